"""Executors: what a task pays on its way is what was calibrated, and main's GIL bounds them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from gilplan.calibration.boundaries import boundaries_from, loop_costs_from
from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.campaign import Samples
from gilplan.calibration.measurements import LOOP_TASKS, PAYLOAD, Measurement
from gilplan.calibration.runner import KERNELS, KernelRun, run_kernel
from gilplan.model.arrivals import Arrivals, Batch, Closed, Open
from gilplan.model.boundary import Boundary, Toll
from gilplan.model.durations import Deterministic, Empirical, Exponential
from gilplan.model.errors import InvalidValue, UnsupportedLayout
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout, WorkerKind
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.replication import Replication
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload
from gilplan.planner.layout_option import parse_layout

TASK_TIME = 0.0002
SHAPES = {"thread": "threads", "interpreter": "interpreters", "process": "processes"}


def known(value: float) -> Estimate:
    return Estimate.exact(value, "test")


def toll(time: float, byte_time: float = 0.0) -> Toll:
    return Toll(time=known(time), byte_time=known(byte_time))


COSTS = {"submit": 5e-6, "receive": 3e-6, "reply": 4e-6, "collect": 1e-6}
HELPED = {**COSTS, "forward": 20e-6, "back": 9e-6}


def boundary(costs: dict[str, float], *, byte_time: float = 0.0, poll: float = 0.0) -> Boundary:
    tolls = {place: toll(time, byte_time) for place, time in costs.items()}
    return Boundary(**tolls, poll_interval=poll, round_trip=known(1e-4))


RELEASED = ("submit", "forward", "back")
BOUNDARIES = {
    "thread": boundary(COSTS),
    "interpreter": boundary(HELPED),
    "process": boundary(HELPED),
}
RUNTIME = Runtime(
    build="3.14.0",
    version=(3, 14, 0),
    release_time=known(0.0),
    poll_time=known(0.0),
    boundaries=BOUNDARIES,
)


def machine(cores: int) -> Machine:
    return Machine(
        identity="test",
        cores=cores,
        speeds={work: (known(1.0),) for work in Work},
        wake_latency=WakeLatency(idle_times=(1.0,), latencies=(Empirical((0.0,)),)),
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


def scenario(
    kind: str,
    *,
    workers: int = 2,
    arrivals: Arrivals = Closed(population=1),
    runtime: Runtime = RUNTIME,
    payload: tuple[float, float] = (0.0, 0.0),
    random: bool = False,
    task_time: float = TASK_TIME,
) -> Scenario:
    duration = Exponential(task_time) if random else Deterministic(task_time)
    segments = (Segment(kind=SegmentKind.PYTHON, duration=duration),)
    task = Task(name="task", segments=segments, payload_in=payload[0], payload_out=payload[1])
    return Scenario(
        workload=Workload(name="pool", tasks=(task,)),
        arrivals=arrivals,
        layout=Layout(
            build=runtime.build,
            gil=GilMode.OWN,
            worker=WorkerKind.POOL,
            **{SHAPES[kind]: workers},
        ),
        runtime=runtime,
        machine=machine(8),
        run_time=0.3,
        seed=4,
    )


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_lone_task_takes_its_own_time_and_each_toll_once(kind: str) -> None:
    record = simulate(scenario(kind))
    tolls = sum(each.time.value for each in BOUNDARIES[kind].tolls.values())
    assert np.diff(record.completed_at) == pytest.approx(TASK_TIME + tolls, abs=1e-9)


@pytest.mark.parametrize(("kind", "places"), [("thread", (2, 2)), ("process", (3, 3))])
def test_bytes_pay_where_they_pass(kind: str, places: tuple[int, int]) -> None:
    costs = COSTS if kind == "thread" else HELPED
    runtime = replace(RUNTIME, boundaries={kind: boundary(costs, byte_time=1e-9)})
    record = simulate(scenario(kind, runtime=runtime, payload=(10_000, 30_000)))
    bytes_time = (10_000 * places[0] + 30_000 * places[1]) * 1e-9
    cycle = TASK_TIME + sum(costs.values()) + bytes_time
    assert np.diff(record.completed_at) == pytest.approx(cycle, abs=1e-9)


@pytest.mark.parametrize("kind", ["interpreter", "process"])
def test_fine_grained_tasks_are_bound_by_the_main_gil(kind: str) -> None:
    """Six workers for tasks of 20 us: what passes main's GIL is the whole cycle."""
    record = simulate(scenario(kind, workers=6, arrivals=Closed(population=18), task_time=20e-6))
    in_main = sum(HELPED[place] for place in ("submit", "forward", "back", "collect"))
    rate = record.completions / record.run_time
    assert rate == pytest.approx(1 / in_main, rel=0.03)
    assert record.gil_held[-1][-1] / record.run_time > 0.97


def test_pool_of_threads_shares_one_gil_with_who_submits() -> None:
    record = simulate(scenario("thread", workers=4, arrivals=Closed(population=8)))
    rate = record.completions / record.run_time
    assert rate == pytest.approx(1 / (TASK_TIME + sum(COSTS.values())), rel=0.03)


def test_polled_queue_makes_a_lone_task_wait_for_the_next_look() -> None:
    """The worker and the submitting thread each look every 10 ms, soon in step."""
    polled = replace(RUNTIME, boundaries={"interpreter": boundary(COSTS, poll=0.01)})
    record = simulate(scenario("interpreter", runtime=polled))
    cycles = np.diff(record.completed_at)
    assert (cycles >= 0.0099).all()
    assert (cycles <= 0.0201).all()


def records() -> list[Replication]:
    every: tuple[Arrivals, ...] = (Closed(), Closed(population=9), Open(rate=900), Batch(jobs=40))
    return [
        simulate(scenario(kind, arrivals=arrivals, random=True))
        for kind in SHAPES
        for arrivals in every
    ]


def test_tasks_are_conserved_and_their_time_accounted_for() -> None:
    for record in records():
        assert record.completions > 10
        assert record.arrivals == record.completions + record.queued + record.in_service
        spans = record.completed_at - record.started_at
        assert np.allclose(record.times.sum(axis=1), spans, atol=1e-9)
        assert (record.started_at >= record.arrived_at).all()


def test_same_seed_gives_the_same_bytes() -> None:
    first, second = records(), records()
    assert [r.to_bytes() for r in first] == [r.to_bytes() for r in second]


@pytest.mark.parametrize(("kind", "most"), [("thread", 10), ("interpreter", 14), ("process", 28)])
def test_task_costs_few_kernel_events(kind: str, most: int) -> None:
    record = simulate(scenario(kind, arrivals=Closed(population=4)))
    assert record.events / record.completions <= most


def test_what_a_pool_cannot_be_is_refused() -> None:
    with pytest.raises(UnsupportedLayout, match="no process pool was calibrated"):
        scenario("process", runtime=replace(RUNTIME, boundaries={}))
    with pytest.raises(InvalidValue, match="several kinds"):
        Layout(build="3.14.0", gil=GilMode.OWN, worker=WorkerKind.POOL, processes=2, threads=2)
    own = scenario("interpreter")
    shared = replace(own.layout, gil=GilMode.SHARED)
    with pytest.raises(UnsupportedLayout, match="gil must be 'own' in a pool of interpreters"):
        replace(own, layout=shared)


def test_layout_names_its_worker_kind() -> None:
    option = parse_layout("3.13:processes=4,worker=pool")
    assert option.fields["worker"] is WorkerKind.POOL
    with pytest.raises(InvalidValue, match="'thread', 'pool' or 'event_loop', got 'fibre'"):
        parse_layout("3.13:worker=fibre")


MODERN = Build(path="/python", version=(3, 14, 0), own_gil_module="concurrent.interpreters")


def fitted_from(name: str, series: dict[str, float]) -> Samples:
    """Samples of two rounds, a few per cent around the given values."""
    samples, rng = Samples(), np.random.default_rng(1)
    measurement = Measurement(
        name=name, kernel="boundary", arguments=(), build=MODERN, expected_time=1.0
    )
    for number in range(2):
        drawn = {
            label: (value * rng.normal(1, 0.01, 30)).tolist() for label, value in series.items()
        }
        samples.add(measurement, number, KernelRun(series=drawn, notes=(), steal_share=0.0))
    return samples


def test_tolls_of_an_executor_are_recovered() -> None:
    """A call of 40 us, 24 of them before the switch; a byte costs 2 ns in and 3 ns out."""
    going, coming = 2e-9 * PAYLOAD, 3e-9 * PAYLOAD
    series = {
        **{"submit": 5e-6, "submit in": 5e-6, "submit echo": 5e-6},
        **{"collect": 1e-6, "collect in": 1e-6, "collect echo": 1e-6 + coming},
        **{"worker": 40e-6, "worker in": 40e-6 + going, "worker echo": 40e-6 + going + coming},
        **{"call": 30e-6, "main": 24e-6, "return": 10e-6, "round trip": 1e-4},
    }
    samples = fitted_from("boundary interpreter", series)
    (found,) = boundaries_from(samples, MODERN, np.random.default_rng(2)).values()
    expected = {"submit": 5e-6, "forward": 24e-6, "receive": 6e-6, "reply": 5e-6, "back": 5e-6}
    for place, time in expected.items():
        assert found.tolls[place].time.value == pytest.approx(time, rel=0.03), place
    assert found.forward.byte_time.value == pytest.approx(1e-9, rel=0.1)
    assert found.back.byte_time.value == pytest.approx(3e-9, rel=0.1)
    assert found.collect.byte_time.value == pytest.approx(3e-9, rel=0.1)
    assert found.poll_interval == 0


def test_share_without_the_gil_is_recovered_and_keeps_the_main_gil_free() -> None:
    """Bound by main's GIL: 36 us of tolls a task, of which 13.5 us then pass without it."""
    helped = {place: 9e-6 for place in ("submit", "forward", "back", "collect")}
    places = {**helped, "receive": 1e-6, "reply": 1e-6}
    samples = fitted_from(
        "boundary process",
        {
            **{f"{place}{suffix}": time for place, time in helped.items()
               for suffix in ("", " in", " echo")},
            **{f"worker{suffix}": 2e-6 for suffix in ("", " in", " echo")},
            **{f"{place} released": 0.5 for place in ("submit", "forward", "back")},
            "round trip": 1e-4,
        },
    )  # fmt: skip
    (found,) = boundaries_from(samples, MODERN, np.random.default_rng(2)).values()
    assert found.back.released_share.value == pytest.approx(0.5, rel=0.03)
    assert found.collect.released_share.value == 0
    rates = []
    for released in (0.0, 0.5):
        tolls = {
            place: replace(toll(time, 0.0), released_share=known(released * (place in RELEASED)))
            for place, time in places.items()
        }
        costs = Boundary(**tolls, round_trip=known(1e-4))
        runtime = replace(RUNTIME, boundaries={"process": costs})
        given = scenario(
            "process", workers=4, arrivals=Closed(population=40), runtime=runtime, task_time=1e-6
        )
        rates.append(simulate(given).completions / given.run_time)
    assert rates[0] == pytest.approx(1 / 36e-6, rel=0.05)
    assert rates[1] == pytest.approx(1 / 22.5e-6, rel=0.1)


def test_costs_of_the_loop_are_recovered() -> None:
    round_time, resume_time, bare = 3e-6, 6e-6, 5e-6
    series = {
        "alone": 2 * round_time + resume_time + bare,
        "together": 2 * round_time / LOOP_TASKS + resume_time + bare,
        "bare": bare,
    }
    samples = fitted_from("event_loop", series)
    costs = loop_costs_from(samples, MODERN, np.random.default_rng(2))
    assert costs is not None
    assert costs.round_time.value == pytest.approx(round_time, rel=0.05)
    assert costs.resume_time.value == pytest.approx(resume_time, rel=0.05)


@cache
def builds() -> dict[str, Build]:
    return {build.name: build for build in find_builds()[0]}


@pytest.mark.interpreters
@pytest.mark.parametrize("name", sorted(builds()))
@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_kernel_tells_what_each_place_costs(kind: str, name: str) -> None:
    build = builds()[name]
    if kind == "interpreter" and not build.own_gil_module:
        pytest.skip(f"{name} has no interpreters with a GIL of their own")
    arguments = (kind, "--samples", "2", "--burst", "6", "--bytes", "8192")
    run = run_kernel(build.path, KERNELS / "boundary.py", arguments, timeout=60.0)
    for label in ("submit", "collect", "worker", "worker in", "worker echo", "round trip"):
        assert all(sample > 0 for sample in run.series[label]), label
    assert ("forward" in run.series) == (kind == "process")


@pytest.mark.interpreters
@pytest.mark.parametrize("name", sorted(builds()))
def test_kernel_tells_what_the_loop_costs(name: str) -> None:
    arguments = ("--samples", "3")
    run = run_kernel(builds()[name].path, KERNELS / "event_loop.py", arguments, timeout=60.0)
    assert set(run.series) == {"alone", "together", "bare"}
    assert all(sample > 0 for samples in run.series.values() for sample in samples)
