"""An event loop is one server: closed forms, what overlaps, what blocks, what is conserved."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.model.arrivals import Arrivals, Batch, Closed, Open
from gilplan.model.boundary import LoopCosts
from gilplan.model.durations import Deterministic, Duration, Empirical, Exponential, Lognormal
from gilplan.model.errors import UnsupportedLayout
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout, WorkerKind
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.replication import Replication
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.statistics import Interval, mean_interval, steady_state
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload

LEVEL = 0.99
REPLICATIONS = 12


def known(value: float) -> Estimate:
    return Estimate.exact(value, "test")


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


FREE = LoopCosts(round_time=known(0.0), resume_time=known(0.0))
RUNTIME = Runtime(
    build="3.13.5",
    version=(3, 13, 5),
    release_time=known(0.0),
    poll_time=known(0.0),
    loop_costs=FREE,
)


def segment(kind: SegmentKind, duration: Duration) -> Segment:
    return Segment(kind=kind, duration=duration)


def wait(duration: Duration) -> Segment:
    return segment(SegmentKind.WAIT, duration)


def program(*segments: Segment) -> Workload:
    return Workload(name="loop", tasks=(Task(name="task", segments=segments),))


def scenario(
    workload: Workload,
    *,
    arrivals: Arrivals,
    run_time: float = 6.0,
    cores: int = 2,
    runtime: Runtime = RUNTIME,
    **layout: int,
) -> Scenario:
    return Scenario(
        workload=workload,
        arrivals=arrivals,
        layout=Layout(build=runtime.build, gil=GilMode.OWN, worker=WorkerKind.EVENT_LOOP, **layout),
        runtime=runtime,
        machine=machine(cores),
        run_time=run_time,
        seed=20260101,
    )


def replicated(given: Scenario, measure: str) -> Interval:
    values = []
    for replication in range(REPLICATIONS):
        state = steady_state(simulate(replace(given, replication=replication)))
        assert state is not None
        values.append(state.throughput if measure == "throughput" else state.response_time["mean"])
    return mean_interval(values, LEVEL)


def assert_inside(expected: float, interval: Interval, *, precision: float) -> None:
    assert interval.lower <= expected <= interval.upper
    assert interval.precision < precision


CPU_KINDS = (SegmentKind.PYTHON, SegmentKind.HELD_NATIVE, SegmentKind.RELEASED_NATIVE)


@pytest.mark.parametrize("kind", CPU_KINDS)
def test_loop_is_one_mg1_server_for_every_kind_of_computing(kind: SegmentKind) -> None:
    """Pollaczek-Khinchine: a call that computes without the GIL blocks the loop as well."""
    service, load = Lognormal(0.0008, 0.6), 0.7
    rate = load / service.mean
    second_moment = service.mean**2 * np.exp(0.6**2)
    waiting = rate * second_moment / (2 * (1 - load))
    measured = replicated(
        scenario(program(segment(kind, service)), arrivals=Open(rate=rate)), "response_time"
    )
    assert_inside(waiting + service.mean, measured, precision=0.06)


def before_and_after_a_wait(held: float, blocked: float) -> Workload:
    return program(
        segment(SegmentKind.PYTHON, Exponential(held)),
        wait(Exponential(blocked)),
        segment(SegmentKind.PYTHON, Exponential(held)),
    )


def test_waits_of_open_arrivals_overlap_with_everything() -> None:
    """Jackson's theorem: a server that each task visits twice, a delay without any queue."""
    held, blocked, rate = 0.0005, 0.02, 700
    measured = replicated(
        scenario(before_and_after_a_wait(held, blocked), arrivals=Open(rate=rate)),
        "response_time",
    )
    assert_inside(2 * held / (1 - 2 * held * rate) + blocked, measured, precision=0.02)


def closed_network(clients: int, delay: float, demand: float) -> float:
    """Throughput of one server and a delay by exact mean-value analysis."""
    queue = throughput = 0.0
    for population in range(1, clients + 1):
        response = demand * (1 + queue)
        throughput = population / (response + delay)
        queue = throughput * response
    return throughput


def test_closed_population_shares_the_loop_like_a_closed_network() -> None:
    clients, blocked, held = 6, 0.004, 0.0005
    measured = replicated(
        scenario(before_and_after_a_wait(held, blocked), arrivals=Closed(population=clients)),
        "throughput",
    )
    assert_inside(closed_network(clients, blocked, 2 * held), measured, precision=0.02)


def test_rounds_and_resumptions_cost_processor_time() -> None:
    """Alone, a task takes two rounds for each event: its callback's and its own."""
    round_time, resume_time, held, blocked = 1e-5, 4e-5, 0.001, 0.002
    costly = LoopCosts(round_time=known(round_time), resume_time=known(resume_time))
    record = simulate(
        scenario(
            program(segment(SegmentKind.PYTHON, Deterministic(held)), wait(Deterministic(blocked))),
            arrivals=Closed(population=1),
            runtime=replace(RUNTIME, loop_costs=costly),
            run_time=1.0,
        )
    )
    cycle = held + blocked + 2 * (2 * round_time + resume_time)
    assert np.diff(record.completed_at) == pytest.approx(cycle, abs=1e-9)


def test_asyncio_lock_makes_its_section_serial_and_leaves_the_loop_free() -> None:
    """Who leaves the lock goes on to its end before the next one, which it has woken, runs."""
    inner = wait(Deterministic(0.010))
    locked = Segment(kind=SegmentKind.CRITICAL, lock="connection", inner=(inner,))
    record = simulate(
        scenario(
            program(locked, segment(SegmentKind.PYTHON, Deterministic(0.001))),
            arrivals=Closed(population=4),
            run_time=2.0,
        )
    )
    assert np.diff(record.completed_at)[10:] == pytest.approx(0.011, abs=1e-9)


def test_two_loops_in_a_process_share_its_gil() -> None:
    def throughput(**layout: int) -> float:
        held = program(segment(SegmentKind.PYTHON, Deterministic(0.001)))
        given = scenario(held, arrivals=Closed(population=8), run_time=3.0, **layout)
        state = steady_state(simulate(given))
        assert state is not None
        return state.throughput

    assert throughput(threads=2) == pytest.approx(1000, rel=0.01)
    assert throughput(processes=2) == pytest.approx(2000, rel=0.01)


def records() -> list[Replication]:
    mixed = program(
        segment(SegmentKind.PYTHON, Exponential(0.0004)),
        wait(Exponential(0.003)),
        segment(SegmentKind.RELEASED_NATIVE, Exponential(0.0004)),
    )
    costly = replace(RUNTIME, loop_costs=LoopCosts(round_time=known(1e-5), resume_time=known(2e-5)))
    every: tuple[Arrivals, ...] = (Closed(), Closed(population=9), Open(rate=1200), Batch(jobs=50))
    return [
        simulate(scenario(mixed, arrivals=arrivals, run_time=0.5, runtime=costly, threads=threads))
        for arrivals in every
        for threads in (1, 3)
    ]


def test_time_of_each_task_is_accounted_for() -> None:
    for record in records():
        assert record.completions > 10
        spans = record.completed_at - record.started_at
        assert np.allclose(record.times.sum(axis=1), spans, atol=1e-9)
        assert (record.started_at >= record.arrived_at).all()


def test_tasks_are_conserved() -> None:
    for record in records():
        assert record.arrivals == record.completions + record.queued + record.in_service
        assert record.queued >= 0
        assert record.in_service >= 0


def test_same_seed_gives_the_same_bytes() -> None:
    first, second = records(), records()
    assert [r.to_bytes() for r in first] == [r.to_bytes() for r in second]


def test_task_with_one_wait_costs_few_kernel_events() -> None:
    """The wait's end, the loop's wake-up, the stretch, and the client's return."""
    record = simulate(
        scenario(
            program(wait(Deterministic(0.003)), segment(SegmentKind.PYTHON, Deterministic(0.0005))),
            arrivals=Closed(population=4),
            run_time=10.0,
        )
    )
    assert record.events / record.completions <= 5


def test_loop_that_was_not_calibrated_is_refused() -> None:
    work = program(wait(Deterministic(0.001)))
    with pytest.raises(UnsupportedLayout, match=r"no event loop was calibrated on 3\.13\.5"):
        scenario(work, arrivals=Closed(), runtime=replace(RUNTIME, loop_costs=None))


def test_lock_across_the_loops_of_a_process_is_refused() -> None:
    inner = segment(SegmentKind.PYTHON, Deterministic(0.001))
    locked = program(Segment(kind=SegmentKind.CRITICAL, lock="a", inner=(inner,)))
    with pytest.raises(UnsupportedLayout, match="belongs to one loop"):
        scenario(locked, arrivals=Closed(), threads=2)
