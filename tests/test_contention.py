"""Objects that threads share without a GIL: how much they slow each other down, and when."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.campaign import Samples
from gilplan.calibration.measurements import Measurement
from gilplan.calibration.object_costs import collector_costs, contentions
from gilplan.calibration.runner import KERNELS, KernelRun, run_kernel
from gilplan.calibration.workload_file import parse_workload
from gilplan.calibration.workload_writer import to_toml
from gilplan.model.contention import Contention, SharedOperation
from gilplan.model.durations import Deterministic, Empirical
from gilplan.model.errors import InvalidFile, ProfileError
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.workload import Collections, Segment, SegmentKind, Task, Work, Workload

#: Medians of three runs of the kernel on 3.13.5t, two cores: (share, time beside one sharer over
#: time with objects of one's own) among 40, 8 and 0 steps of other work.
RECORDED = {
    SharedOperation.COUNTER: ((0.062, 1.226), (0.224, 1.808), (0.891, 2.04)),
    SharedOperation.LIST_WRITE: ((0.011, 1.48), (0.042, 1.729), (0.313, 1.997)),
    SharedOperation.CALL: ((0.027, 1.023), (0.126, 1.087), (0.507, 1.161)),
}


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
    awake_share=Estimate.exact(0.65, "test"),
    awake_share_beside=Estimate.exact(0.65, "test"),
    stay_share=Estimate.exact(0.5, "test"),
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
    contention={
        operation: Contention(
            shares=tuple(share for share, _ in points),
            extra_times=tuple(known(slower - 1) for _, slower in points),
        )
        for operation, points in RECORDED.items()
    },
)
PYTHON = (Segment(kind=SegmentKind.PYTHON, duration=Deterministic(1e-3)),)


def scenario(
    share: float,
    operation: SharedOperation | None = SharedOperation.COUNTER,
    *,
    segments: tuple[Segment, ...] = PYTHON,
    runtime: Runtime = FREE,
    **shape: int,
) -> Scenario:
    task = Task(name="t", segments=segments, shared_share=share, shared_operation=operation)
    gil = GilMode.DISABLED if runtime.free_threaded else GilMode.OWN
    return Scenario(
        workload=Workload(name="test", tasks=(task,)),
        layout=Layout(build=runtime.build, gil=gil, **shape),
        runtime=runtime,
        machine=MACHINE,
        run_time=1.0,
        seed=1,
    )


@pytest.mark.parametrize("operation", sorted(RECORDED))
def test_two_threads_slow_down_as_recorded(operation: SharedOperation):
    for share, slower in RECORDED[operation]:
        two = simulate(scenario(share, operation, threads=2))
        assert two.completions / 2000 == pytest.approx(1 / slower, rel=0.01)


def test_one_thread_and_threads_of_other_processes_lose_nothing():
    assert simulate(scenario(0.2)).completions == pytest.approx(1000, abs=2)
    apart = simulate(scenario(0.2, processes=2))
    assert apart.completions == pytest.approx(2000, abs=4)


def test_only_running_sharers_count():
    """A thread that computes without its thread state, or waits, slows nobody down."""
    mostly_away = (
        Segment(kind=SegmentKind.PYTHON, duration=Deterministic(1e-4)),
        Segment(kind=SegmentKind.RELEASED_NATIVE, duration=Deterministic(9.9e-3)),
    )
    slower = RECORDED[SharedOperation.COUNTER][-1][1]
    two = simulate(scenario(0.891, segments=mostly_away, threads=2))
    assert two.completions > 200 / (1 + 0.01 * (slower - 1)) - 4


def test_more_threads_than_cores_contend_as_many_as_run():
    two = simulate(scenario(0.224, threads=2))
    four = simulate(scenario(0.224, threads=4))
    assert four.completions == pytest.approx(two.completions, rel=0.02)


def test_extra_time_is_between_what_was_measured_and_nothing_without_a_share():
    contention = FREE.contention[SharedOperation.COUNTER]
    assert contention.extra_time(0.0) == 0.0
    assert contention.extra_time(0.224) == pytest.approx(0.808)
    assert contention.extra_time(0.031) == pytest.approx(0.113)
    assert contention.extra_time(1.0) == pytest.approx(1.04 / 0.891)


def test_shares_cost_nothing_under_a_gil():
    gil = replace(FREE, build="3.13.0", version=(3, 13, 0), free_threaded=False)
    shared = simulate(scenario(0.5, runtime=gil, threads=2))
    plain = simulate(scenario(0.0, None, runtime=gil, threads=2))
    assert shared.to_bytes() == plain.to_bytes()
    assert shared.events == plain.events


def test_quota_and_contention_hold_together():
    base = scenario(0.224, threads=2)
    limited = replace(base, layout=replace(base.layout, quota=1.0))
    free, record = simulate(base), simulate(limited)
    assert record.completions == pytest.approx(free.completions / 2, rel=0.05)
    assert record.to_bytes() == simulate(limited).to_bytes()


@pytest.mark.parametrize("operation", [None, SharedOperation.READ])
def test_operation_that_is_not_known_is_refused(operation: SharedOperation | None):
    with pytest.raises(ProfileError, match="shared_operation"):
        scenario(0.2, operation, threads=2)
    scenario(0.2, operation)  # alone it shares with nobody


def synthetic(build: Build, series: list[dict[str, list[float]]], kernel: str) -> Samples:
    samples = Samples()
    for number, taken in enumerate(series):
        measurement = Measurement(
            name=kernel, kernel=kernel, arguments=(), build=build, expected_time=1.0
        )
        samples.add(measurement, number, KernelRun(series=taken, notes=(), steal_share=0.0))
    return samples


def test_known_contention_is_recovered():
    rng = np.random.default_rng(5)

    def near(value: float) -> list[float]:
        return (value * rng.normal(1, 0.03, 8)).tolist()

    def taken() -> dict[str, list[float]]:
        series = {"empty": near(20e-9), "counter alone": near(120e-9)}
        for gap, turn, slower in ((0, 120e-9, 1.0), (8, 500e-9, 0.8), (40, 2e-6, 0.2)):
            for count in (2, 4):
                series[f"counter gap={gap} own n={count}"] = near(turn)
                shared = turn * (1 + slower * (count - 1))
                series[f"counter gap={gap} shared n={count}"] = near(shared)
        return series

    build = Build(path="/x", version=(3, 13, 5), free_threaded=True)
    samples = synthetic(build, [taken() for _ in range(3)], "contention")
    (found,) = contentions(samples, build.name, rng).values()
    assert found.shares == pytest.approx((0.05, 0.2, 0.83), rel=0.05)
    assert [extra.value for extra in found.extra_times] == pytest.approx([0.2, 0.8, 1.0], abs=0.05)
    for extra, truth in zip(found.extra_times, (0.2, 0.8, 1.0), strict=True):
        assert extra.lower - 0.02 <= truth <= extra.upper + 0.02


def test_known_collection_times_are_recovered_and_the_interval_spans_kinds():
    rng = np.random.default_rng(6)
    build = Build(path="/x", version=(3, 13, 0))
    kinds = (50e-9, 80e-9, 120e-9)
    taken = [
        {
            "full": [kind * rng.normal(1, 0.02) for kind in kinds],
            "young": [kind / 3 for kind in kinds],
            "garbage": [60e-9],
            "untracked": [20e-9],
            "full base": [1e-3],
            "bare objects": [5000.0],
        }
        for _ in range(5)
    ]
    found = collector_costs(synthetic(build, taken, "collect"), build.name, rng)
    assert found is not None
    assert found.full_time.value == pytest.approx(80e-9, rel=0.05)
    assert found.full_time.lower < 55e-9
    assert found.full_time.upper > 110e-9
    assert found.garbage_time.value == pytest.approx(60e-9)
    assert found.untracked_time.value == pytest.approx(20e-9)
    assert found.base_time.value == pytest.approx(1e-3 - 5000 * 80e-9, rel=0.05)
    assert collector_costs(Samples(), build.name, rng) is None


def test_workload_file_says_what_objects_cost():
    text = """
        name = "web"
        live_objects = 200000
        untracked_objects = 50000
        collections = "separate"
        [[tasks]]
        name = "request"
        allocation_rate = "1000/s"
        garbage_share = "10%"
        shared_share = "5%"
        shared_operation = "dict_write"
        segments = [{ kind = "python", duration = "500us" }]
    """
    workload, _ = parse_workload(text)
    assert workload.collections is Collections.SEPARATE
    assert (workload.live_objects, workload.untracked_objects) == (200_000, 50_000)
    assert workload.tasks[0].garbage_share == pytest.approx(0.1)
    assert workload.tasks[0].shared_operation is SharedOperation.DICT_WRITE
    assert parse_workload(to_toml(workload))[0] == workload
    with pytest.raises(InvalidFile, match=r"shared_operation.*counter"):
        parse_workload(text.replace("dict_write", "dict_read"))


@pytest.mark.interpreters
@pytest.mark.parametrize("build", find_builds()[0], ids=lambda build: build.name)
def test_kernels_print_samples_that_fit(build: Build):
    rng = np.random.default_rng(1)
    run = run_kernel(
        build.path, KERNELS / "collect.py", ("--samples", "1", "--objects", "5000"), timeout=60
    )
    costs = collector_costs(synthetic(build, [run.series], "collect"), build.name, rng)
    assert costs is not None
    assert 1e-9 < costs.full_time.value < 1e-5
    # One sample on a machine that may be busy: only the interval is sure.
    assert 0 <= costs.untracked_time.value < 1e-6
    assert not build.free_threaded or costs.untracked_time.upper > 1e-9
    if not build.free_threaded:
        return
    run = run_kernel(
        build.path,
        KERNELS / "contention.py",
        ("2", "--gaps", "0,8", "--samples", "1", "--window", "0.002"),
        timeout=60,
    )
    found = contentions(synthetic(build, [run.series], "contention"), build.name, rng)
    assert found.keys() == set(SharedOperation)
