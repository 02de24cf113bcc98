"""Real runs: every mode of every build gives completions; failures cost one line."""

import os
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.crowd import measure_crowd
from gilplan.calibration.harness.worker import SpeedGauge, loop
from gilplan.calibration.realrun import RealRun, measure_steps, run_for_real, shipped_programs
from gilplan.calibration.steps import StepSamples, StepTimes, workload_from_steps
from gilplan.calibration.study import candidate_layouts, natural_gil
from gilplan.model.errors import InvalidValue, MeasurementFailed
from gilplan.model.layout import GilMode, Layout
from gilplan.model.workload import SegmentKind, Work

BUILDS = find_builds()[0]
MODES = [(build, mode) for build in BUILDS for mode in build.answers]
MODE_IDS = [f"{build.name} {mode}" for build, mode in MODES]
PROGRAMS = shipped_programs()
ONE = Layout(build="3.13.0", threads=1, gil=GilMode.OWN)


def real_run(*completed_at, window=(1.0, 3.0)) -> RealRun:
    return RealRun(layout=ONE, completed_at=completed_at, window=window)


def own_build(path: Path) -> Build:
    return Build(path=str(path), version=(3, 13, 0))


def test_throughput_counts_tasks_that_cross_an_edge_by_their_share_inside():
    # One task a second, half a second out of step with the window: half a task, one, half a task.
    assert real_run((0.5, 1.5, 2.5, 3.5)).throughput == pytest.approx(1.0)


def test_throughput_of_evenly_spaced_completions_is_their_rate_wherever_the_window_lies():
    completed = tuple(np.arange(1, 400) * 0.013 + 0.004)
    assert real_run(completed, window=(1.0, 3.3)).throughput == pytest.approx(1 / 0.013)


def test_throughput_adds_up_workers_that_take_turns_in_bursts():
    # Two workers, 10 ms a task, each running for 0.5 s while the other waits: 100 tasks a second.
    starts = np.arange(0, 4, 1.0)
    burst = np.arange(1, 51) * 0.01
    one = tuple((starts[:, None] + burst).ravel())
    other = tuple((starts[:, None] + 0.5 + burst).ravel())
    assert real_run(one, other, window=(1.0, 3.0)).throughput == pytest.approx(100, rel=0.02)


def test_worker_that_never_ran_adds_nothing():
    completed = tuple(np.arange(1, 50) * 0.1)
    alone = real_run(completed)
    assert real_run(completed, ()).throughput == alone.throughput
    assert len(real_run(completed, ()).response_times) == len(alone.response_times)


def test_response_times_are_those_of_tasks_that_complete_in_the_half_open_window():
    run = real_run((0.5, 1.0, 1.25, 2.0, 3.0, 3.5))
    assert run.response_times.tolist() == [0.5, 0.25, 0.75]


def steps_of(*kinds: SegmentKind, releases: int = 1) -> StepSamples:
    return StepSamples(
        program="p",
        steps=tuple(
            StepTimes(
                name=f"step {number}",
                kind=kind,
                work=None if kind is SegmentKind.WAIT else Work.COMPUTE,
                times=(0.001, 0.003),
                releases=releases if kind is SegmentKind.RELEASED_NATIVE else 1,
            )
            for number, kind in enumerate(kinds)
        ),
        whole=tuple(time * len(kinds) * 0.9 for time in (0.001, 0.003)),
    )


def test_workload_has_the_steps_in_order_scaled_to_the_untouched_task():
    samples = steps_of(SegmentKind.PYTHON, SegmentKind.RELEASED_NATIVE)
    workload = workload_from_steps("p", samples, "3.13.0")
    segments = workload.tasks[0].segments
    assert [segment.kind for segment in segments] == [step.kind for step in samples.steps]
    assert workload.mean_demand() == pytest.approx(np.mean(samples.whole))
    assert workload.build == "3.13.0"


def test_task_that_blocks_is_not_scaled():
    samples = steps_of(SegmentKind.PYTHON, SegmentKind.WAIT)
    assert workload_from_steps("p", samples, "").mean_demand() == pytest.approx(0.004)


def test_step_with_several_releases_becomes_that_many_released_segments():
    samples = steps_of(SegmentKind.PYTHON, SegmentKind.RELEASED_NATIVE, releases=6)
    segments = workload_from_steps("p", samples, "").tasks[0].segments
    released = [segment for segment in segments if segment.kind is SegmentKind.RELEASED_NATIVE]
    assert len(released) == 6
    assert [segment.holds_gil for segment in segments[1:]] == [False, True] * 5 + [False]


def test_samples_of_one_program_join_and_of_two_do_not():
    one = steps_of(SegmentKind.PYTHON)
    assert one.joined(one).steps[0].times == one.steps[0].times * 2
    with pytest.raises(InvalidValue, match="steps must be those of p"):
        one.joined(steps_of(SegmentKind.PYTHON, SegmentKind.PYTHON))


@pytest.mark.interpreters
@pytest.mark.parametrize(("build", "mode"), MODES, ids=MODE_IDS)
def test_every_mode_of_every_build_completes_tasks(build, mode):
    layout = max(candidate_layouts(build, mode), key=lambda each: (each.workers, each.threads))
    run = run_for_real(build, PROGRAMS["socket_rpc"], layout, warmup=0.02, time=0.2)
    assert len(run.completed_at) == layout.workers == 8
    assert run.throughput > 0
    for row in run.completed_at:
        assert list(row) == sorted(row)
        assert not row or row[-1] >= run.window[1]


@pytest.mark.interpreters
@pytest.mark.parametrize("build", [b for b in BUILDS if not b.free_threaded], ids=lambda b: b.name)
def test_idle_waits_overlap_in_threads(build):
    alone, together = (
        run_for_real(
            build,
            PROGRAMS["paced_parser"],
            Layout(build=build.name, threads=threads, gil=natural_gil(build)),
            warmup=0.05,
            time=0.3,
        )
        for threads in (1, 4)
    )
    assert together.throughput > 1.5 * alone.throughput


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS[:1], ids=lambda build: build.name)
def test_broken_programs_cost_one_line(build, tmp_path):
    gil = natural_gil(build)
    layout = Layout(build=build.name, processes=2, threads=2, gil=gil)
    sources = {
        "refuses": "raise ImportError('this module does\\n not load')",
        "dies": "import os\ndef setup(): os.kill(os.getpid(), 9)\nSTEPS = ()",
        "hangs": "import time\ndef setup(): time.sleep(600)\nSTEPS = ()",
    }
    expected = {"refuses": "does not load", "dies": "status -9", "hangs": "no end after 1 s"}
    for name, source in sources.items():
        program = tmp_path / f"{name}.py"
        program.write_text(source)
        with pytest.raises(MeasurementFailed, match=expected[name]) as failure:
            run_for_real(build, program, layout, warmup=0, time=0.1, time_limit=1)
        assert "\n" not in str(failure.value)
    with pytest.raises(MeasurementFailed, match="does"):
        measure_steps(build, tmp_path / "refuses.py", time=0.01)


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS[:1], ids=lambda build: build.name)
def test_layout_beyond_the_machine_is_refused(build):
    cores = len(os.sched_getaffinity(0)) + 1
    layout = Layout(build=build.name, gil=natural_gil(build), cores=cores)
    with pytest.raises(MeasurementFailed, match="cores must be between"):
        run_for_real(build, PROGRAMS["nbody"], layout, warmup=0, time=0.1)


def test_the_gauge_is_read_again_only_after_so_much_work():
    always, often, once = (SpeedGauge(demand, 300) for demand in (1_000, 100, 1))
    for _ in range(7):
        for gauge in (always, often, once):
            gauge.read()
    # The first time at once, then every third task, or every three hundredth.
    assert [len(gauge.readings) for gauge in (always, often, once)] == [7, 3, 1]
    instants, spent = zip(*always.readings, strict=True)
    assert list(instants) == sorted(instants)
    assert min(spent) > 0


def test_the_gauge_never_asks_the_scheduler_to_account_for_the_thread(monkeypatch):
    def refused() -> int:
        raise AssertionError("reading the thread's processor clock ends slices that are over")

    monkeypatch.setattr(time, "thread_time_ns", refused)
    monkeypatch.setattr(time, "thread_time", refused)
    gauge = SpeedGauge(1_000, 1_000)
    state = SimpleNamespace(done=0)

    def call(state: SimpleNamespace) -> None:
        state.done += 1

    loop((call,), state, time.perf_counter_ns() + 2_000_000, gauge)
    assert len(gauge.readings) == state.done > 0


def test_build_that_does_not_start_costs_one_line(tmp_path):
    with pytest.raises(MeasurementFailed, match="does not start"):
        measure_steps(own_build(tmp_path / "nothing"), PROGRAMS["nbody"], time=0.01)


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS[:1], ids=lambda build: build.name)
@pytest.mark.parametrize("program", ["nbody", "sqlite_report"])
def test_crowds_are_measured_even_where_a_state_belongs_to_its_thread(build, program):
    points = measure_crowd(build, PROGRAMS[program], time=0.1)
    assert points
    assert min(min(cycle) for point in points for cycle in point.cycles) > 0


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS, ids=[build.name for build in BUILDS])
def test_threads_take_turns_in_one_process_and_without_a_gil_in_several(build, tmp_path):
    """Where they run at the same time, what one process's threads share costs them more."""
    seen, program = tmp_path / "seen", tmp_path / "telling.py"
    program.write_text(
        "import os\n"
        f"def setup():\n    open({str(seen)!r}, 'a').write(f'{{os.getpid()}} ')\n"
        "STEPS = (('compute', 'python', 'bytecode', lambda state: sum(range(1000))),)\n",
        encoding="utf-8",
    )
    measure_crowd(build, program, time=0.1)
    threads = sorted(set(Counter(seen.read_text(encoding="utf-8").split()).values()))
    assert threads == ([1] if build.free_threaded else [1, 2, 4, 8])


@pytest.mark.interpreters
def test_program_that_fails_in_a_crowd_says_why(tmp_path):
    program = tmp_path / "failing.py"
    program.write_text(
        "def setup():\n    raise ValueError('no data')\n"
        "STEPS = (('compute', 'python', 'bytecode', print),)\n",
        encoding="utf-8",
    )
    with pytest.raises(MeasurementFailed, match="ValueError: no data"):
        measure_crowd(BUILDS[0], program, time=0.1)
