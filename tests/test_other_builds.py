"""A program run on the builds that it may move to: what that tells, and what it changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gilplan.calibration import other_builds
from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.other_builds import Pace, relative_time, see_on_builds, sharing
from gilplan.calibration.pairing import Turns
from gilplan.calibration.realrun import measure_steps, shipped_programs
from gilplan.calibration.steps import workload_from_steps
from gilplan.calibration.workload_file import parse_workload
from gilplan.calibration.workload_writer import to_toml
from gilplan.model.contention import SharedOperation
from gilplan.model.durations import Empirical, Exponential
from gilplan.model.errors import InvalidValue, MeasurementFailed
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.seen_on import SeenOn
from gilplan.model.simulation import simulate
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload

BUILD = Build(path="/nowhere", version=(3, 13, 5), free_threaded=True)
FOUND = find_builds()[0]


def known(value: float) -> Estimate:
    return Estimate.exact(value, "test")


MACHINE = Machine(
    identity="test",
    cores=2,
    speeds=dict.fromkeys(Work, (known(1.0), known(1.0))),
    wake_latency=WakeLatency(idle_times=(1e-3,), latencies=(Empirical((0.0,)),)),
    handoff_latencies=((1e-3, Empirical((0.0,))),),
    overtaking_latencies=((1e-3, Empirical((0.0,))),),
    retry_time=Empirical((0.0,)),
    overdue_wait_time=known(0.0),
    awake_share=known(0.65),
    awake_share_beside=known(0.65),
    stay_share=known(1.0),
    signal_time=known(0.0),
    busy_signal_time=known(0.0),
    timer_slack=known(0.0),
    base_slice=0.0014,
    tick=0.004,
    preemption_latency=known(0.0),
    context_switch_time=known(0.0),
    forced_switch_time=known(0.0),
)
FREE = Runtime(
    build="3.13.5t",
    version=(3, 13, 5),
    free_threaded=True,
    release_time=known(0.0),
    poll_time=known(1e-7),
)


def segment(kind: SegmentKind, time: float) -> Segment:
    return Segment(kind=kind, duration=Exponential(time))


def program(*, python: float, native: float = 0.0, wait: float = 0.0) -> Workload:
    kinds = (SegmentKind.PYTHON, SegmentKind.RELEASED_NATIVE, SegmentKind.WAIT)
    times = zip(kinds, (python, native, wait), strict=True)
    segments = tuple(segment(kind, time) for kind, time in times if time > 0)
    return Workload(name="w", tasks=(Task(name="t", segments=segments),), build="3.13.5t")


def seen(build: str = "3.13.5t", **fields: Estimate) -> SeenOn:
    return SeenOn(build=build, **{"relative_time": known(1.0), **fields})


def pace_of(workload: Workload, *, threads: int = 1, processes: int = 1) -> Pace:
    """Return a layout's simulated time per task and worker, relative to a task alone."""
    layout = Layout(
        build=FREE.build, gil=GilMode.DISABLED, threads=threads, processes=processes, cores=2
    )
    scenario = Scenario(
        workload=workload, layout=layout, runtime=FREE, machine=MACHINE, seed=1, run_time=20.0
    )
    rate = len(simulate(scenario).completed_at) / scenario.run_time
    return Pace(time=layout.workers / (rate * workload.mean_demand()), error=0.0)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    "workload",
    [
        program(python=1e-3),
        program(python=1e-3, native=1e-3),
        program(python=1e-3, wait=1e-3),
    ],
    ids=["bytecode", "native", "waits"],
)
def test_what_threads_share_is_found_again(workload: Workload, share: float) -> None:
    sharers = replace(workload, seen_on=(seen(sharing=known(share)),))
    threads = pace_of(sharers, threads=2)
    processes = pace_of(sharers, processes=2)
    found = sharing(threads, processes, workload, "test")
    assert found.value == pytest.approx(share, abs=0.03 + 0.05 * share)


def test_waits_take_as_long_on_every_build() -> None:
    workload = program(python=1e-3, wait=3e-3)
    single = Pace(time=1.25, error=0.01)
    found = relative_time(single, workload, "test")
    assert found.value == pytest.approx(2.0)
    assert found.half_width == pytest.approx(1.645 * 0.01 / 0.25, rel=1e-2)


def test_the_program_itself_goes_before_what_its_kind_of_work_would_cost() -> None:
    workload = program(python=1e-3)
    task = replace(workload.tasks[0], shared_share=0.9, shared_operation=SharedOperation.COUNTER)
    stated = replace(workload, tasks=(task,))
    # The profile has no cost of counters: only what was seen can answer.
    shown = replace(stated, seen_on=(seen(sharing=known(0.0)),))
    threads = pace_of(shown, threads=2)
    assert threads.time == pytest.approx(1.0, abs=0.03)


def test_what_was_seen_is_written_and_read_again() -> None:
    ratio = Estimate(value=1.2, lower=1.1, upper=1.35, source="in turns")
    workload = replace(
        program(python=1e-3),
        seen_on=(seen("3.14.0", relative_time=ratio), seen(sharing=replace(ratio, lower=0.0))),
    )
    assert parse_workload(to_toml(workload))[0] == workload


def test_the_doubt_about_another_build_reaches_what_is_drawn() -> None:
    ratio = Estimate(value=1.0, lower=0.9, upper=1.1, source="in turns")
    doubtful = replace(
        program(python=1e-3, wait=1e-3), seen_on=(seen(relative_time=ratio, sharing=ratio),)
    )
    rng = np.random.default_rng(5)
    drawn = [doubtful.redrawn(rng) for _ in range(400)]
    times = [each.mean_demand(SegmentKind.PYTHON) for each in drawn]
    assert np.percentile(times, [5, 95]) == pytest.approx([0.9e-3, 1.1e-3], rel=0.03)
    assert {each.mean_demand(SegmentKind.WAIT) for each in drawn} == {1e-3}
    assert np.std([each.seen_on[0].sharing.value for each in drawn]) > 0.03  # type: ignore[union-attr]
    elsewhere = replace(doubtful, build="3.14.0")
    assert elsewhere.redrawn(rng).mean_demand() == elsewhere.mean_demand()


def test_a_build_is_seen_once_and_takes_some_time() -> None:
    with pytest.raises(InvalidValue, match="one for each build"):
        replace(program(python=1e-3), seen_on=(seen(), seen()))
    with pytest.raises(InvalidValue, match="relative_time"):
        seen(relative_time=known(0.0))
    with pytest.raises(InvalidValue, match="sharing"):
        seen(sharing=known(-0.1))


def test_a_build_that_cannot_run_the_program_is_scaled_to_and_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise MeasurementFailed("No module named 'numpy'")

    monkeypatch.setattr(other_builds, "measure_paired", fails)
    workload, notes = see_on_builds(Path("x.py"), program(python=1e-3), BUILD, [BUILD])
    assert workload.seen_on == ()
    assert "3.13.5t" in notes[0]
    assert "'numpy'" in notes[0]


def test_a_program_that_waits_is_not_timed_elsewhere() -> None:
    waiting = program(python=1e-3, wait=1.0)
    workload, (note,) = see_on_builds(Path("x.py"), waiting, BUILD, [BUILD])
    assert workload == waiting
    assert "waits 100%" in note


@pytest.mark.interpreters
@pytest.mark.skipif(len(FOUND) < 2, reason="one CPython build is here")
def test_a_real_program_is_run_on_every_build_here() -> None:
    reference, path = FOUND[0], shipped_programs()["nbody"]
    alone = workload_from_steps("nbody", measure_steps(reference, path, time=0.05), reference.name)
    turns = Turns(count=6, window=0.05, reference_window=0.03, warmup=0.05, uninterrupted=0.05)
    workload, notes = see_on_builds(path, alone, reference, FOUND[1:], turns=turns)
    assert notes == ()
    assert [each.build for each in workload.seen_on] == [build.name for build in FOUND[1:]]
    for build, each in zip(FOUND[1:], workload.seen_on, strict=True):
        assert (each.sharing is not None) == build.free_threaded
        # Bytecode runs on every build, at a speed of the same order.
        assert 0.1 < each.relative_time.value < 10
