"""Limits with closed forms: each inside the simulation's own 99 % interval.

Free-threaded workers on as many cores are servers without a GIL, so the queueing formulas apply
to them; the costs of waking and switching are set to zero there.
"""

from dataclasses import replace
from math import factorial

import numpy as np
import pytest

from gilplan.model.arrivals import Arrivals, Closed, Open
from gilplan.model.durations import Deterministic, Duration, Empirical, Exponential
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.statistics import Interval, mean_interval, steady_state
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload

LEVEL = 0.99
REPLICATIONS = 12


def known(value: float) -> Estimate:
    return Estimate.exact(value, "test")


def machine(cores: int, *, wake_latency: float = 0.0) -> Machine:
    return Machine(
        identity="test",
        cores=cores,
        speeds={work: (known(1.0),) for work in Work},
        wake_latency=WakeLatency(idle_times=(1.0,), latencies=(Empirical((wake_latency,)),)),
        handoff_latencies=((1e-3, Empirical((wake_latency,))),),
        overtaking_latencies=((1e-3, Empirical((wake_latency,))),),
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


FREE_THREADED = Runtime(
    build="3.13.5t",
    version=(3, 13, 5),
    free_threaded=True,
    release_time=known(0.0),
    poll_time=known(0.0),
)
WITH_GIL = replace(FREE_THREADED, build="3.13.5", free_threaded=False)


def program(*segments: tuple[SegmentKind, Duration]) -> Workload:
    parts = tuple(Segment(kind=kind, duration=duration) for kind, duration in segments)
    return Workload(name="theory", tasks=(Task(name="task", segments=parts),))


def simulated(
    workload: Workload,
    *,
    arrivals: Arrivals,
    threads: int,
    run_time: float,
    cores: int | None = None,
    runtime: Runtime = FREE_THREADED,
    wake_latency: float = 0.0,
    measure: str = "response_time",
) -> Interval:
    """Replicate and return the 99 % interval of the mean response time or the throughput."""
    gil = GilMode.DISABLED if runtime.free_threaded else GilMode.OWN
    scenario = Scenario(
        workload=workload,
        arrivals=arrivals,
        layout=Layout(build=runtime.build, threads=threads, gil=gil),
        runtime=runtime,
        machine=machine(cores or threads, wake_latency=wake_latency),
        run_time=run_time,
        seed=20260101,
    )
    values = []
    for replication in range(REPLICATIONS):
        state = steady_state(simulate(replace(scenario, replication=replication)))
        assert state is not None
        values.append(state.throughput if measure == "throughput" else state.response_time["mean"])
    return mean_interval(values, LEVEL)


def assert_inside(expected: float, interval: Interval, *, precision: float) -> None:
    """The closed form lies inside, and the interval is tight enough to mean something."""
    assert interval.lower <= expected <= interval.upper
    assert interval.precision < precision


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_mm1(load: float) -> None:
    service_time = 0.001
    interval = simulated(
        program((SegmentKind.RELEASED_NATIVE, Exponential(service_time))),
        arrivals=Open(rate=load / service_time),
        threads=1,
        run_time=20.0,
    )
    assert_inside(service_time / (1 - load), interval, precision=0.06)


def erlang_c(servers: int, offered: float) -> float:
    top = offered**servers / factorial(servers) * servers / (servers - offered)
    return top / (sum(offered**k / factorial(k) for k in range(servers)) + top)


@pytest.mark.parametrize("servers", [2, 4])
def test_mmc(servers: int) -> None:
    service_time, load = 0.001, 0.75
    offered = servers * load
    waiting = erlang_c(servers, offered) * service_time / (servers - offered)
    interval = simulated(
        program((SegmentKind.RELEASED_NATIVE, Exponential(service_time))),
        arrivals=Open(rate=offered / service_time),
        threads=servers,
        run_time=10.0,
    )
    assert_inside(waiting + service_time, interval, precision=0.06)


def test_md1() -> None:
    service_time, load = 0.001, 0.7
    waiting = load * service_time / (2 * (1 - load))
    interval = simulated(
        program((SegmentKind.RELEASED_NATIVE, Deterministic(service_time))),
        arrivals=Open(rate=load / service_time),
        threads=1,
        run_time=20.0,
    )
    assert_inside(waiting + service_time, interval, precision=0.06)


def machine_repairman(clients: int, think: float, service: float) -> float:
    """Throughput of one server and ``clients`` that think: Erlang's finite-source formula."""
    ratio = service / think
    weights = [factorial(clients) / factorial(clients - n) * ratio**n for n in range(clients + 1)]
    return (1 - weights[0] / sum(weights)) / service


def test_machine_repairman_with_think_time_outside_the_program() -> None:
    clients, think, service = 6, 0.005, 0.001
    interval = simulated(
        program((SegmentKind.RELEASED_NATIVE, Exponential(service))),
        arrivals=Closed(population=clients, think_time=Exponential(think)),
        threads=1,
        run_time=20.0,
        measure="throughput",
    )
    assert_inside(machine_repairman(clients, think, service), interval, precision=0.02)


def test_machine_repairman_with_the_gil_as_the_server() -> None:
    threads, blocked, held = 5, 0.004, 0.001
    interval = simulated(
        program(
            (SegmentKind.WAIT, Exponential(blocked)), (SegmentKind.HELD_NATIVE, Exponential(held))
        ),
        arrivals=Closed(),
        threads=threads,
        run_time=20.0,
        runtime=WITH_GIL,
        measure="throughput",
    )
    assert_inside(machine_repairman(threads, blocked, held), interval, precision=0.02)


def test_cores_share_cpu_bound_free_threads_equally() -> None:
    interval = simulated(
        program((SegmentKind.PYTHON, Deterministic(0.001))),
        arrivals=Closed(),
        threads=5,
        cores=2,
        run_time=5.0,
        measure="throughput",
    )
    assert interval.mean == pytest.approx(2000, rel=0.002)


def test_two_cpu_bound_threads_lose_one_hand_off_per_interval() -> None:
    """Each turn is one interval of the waiter's timer plus its wake-ups; one wake-up is idle.

    The dropper wakes from the forced switch (w), its timer runs (I), it wakes (w) and asks; the
    holder drops at once and the waiter wakes (w), during which nobody runs.
    """
    interval, wake = 0.005, 0.0001
    useful_share = 1 - wake / (interval + 3 * wake)
    measured = simulated(
        program((SegmentKind.PYTHON, Exponential(0.0005))),
        arrivals=Closed(),
        threads=2,
        run_time=20.0,
        runtime=WITH_GIL,
        wake_latency=wake,
        measure="throughput",
    )
    assert_inside(useful_share / 0.0005, measured, precision=0.01)


def test_gil_that_is_never_contended_costs_nothing() -> None:
    measured = simulated(
        program(
            (SegmentKind.PYTHON, Exponential(0.0003)),
            (SegmentKind.RELEASED_NATIVE, Exponential(0.0004)),
            (SegmentKind.HELD_NATIVE, Exponential(0.0003)),
        ),
        arrivals=Closed(),
        threads=1,
        run_time=20.0,
        runtime=WITH_GIL,
        measure="throughput",
    )
    assert_inside(1 / 0.001, measured, precision=0.02)


def test_utilisation_law_holds_for_the_gil_and_the_cores() -> None:
    held, free, cores = 0.0005, 0.001, 4
    scenario = Scenario(
        workload=program(
            (SegmentKind.PYTHON, Deterministic(held)),
            (SegmentKind.RELEASED_NATIVE, Deterministic(free)),
        ),
        arrivals=Open(rate=1000),
        layout=Layout(build="3.13.5", threads=8, gil=GilMode.OWN),
        runtime=WITH_GIL,
        machine=machine(cores),
        run_time=20.0,
        seed=5,
    )
    state = steady_state(simulate(scenario))
    assert state is not None
    assert state.gil_utilisation[0] == pytest.approx(state.throughput * held, rel=0.005)
    busy = sum(state.core_utilisation)
    assert busy == pytest.approx(state.throughput * (held + free), rel=0.005)


@pytest.mark.parametrize("together", [True, False])
def test_a_task_that_is_drawn_as_a_whole_is_one_that_was_measured(together: bool) -> None:
    """One part is long when the other is short: measured tasks all took three milliseconds."""
    rising = tuple(1e-3 + 1e-5 * n for n in range(101))
    kinds = (SegmentKind.PYTHON, SegmentKind.WAIT)
    parts = zip(kinds, (Empirical(rising), Empirical(rising[::-1])), strict=True)
    workload = program(*parts)
    workload = replace(workload, tasks=(replace(workload.tasks[0], together=together),))
    run = simulate(
        Scenario(
            workload=workload,
            layout=Layout(build="3.13.5t", gil=GilMode.DISABLED),
            runtime=FREE_THREADED,
            machine=machine(1),
            run_time=2.0,
            seed=1,
        )
    )
    assert len(run.kind) > 500
    spread = np.ptp(run.completed_at - run.started_at)
    assert spread < 1e-6 if together else spread > 1e-3


def test_times_that_belong_together_are_equally_many() -> None:
    uneven = program(
        (SegmentKind.PYTHON, Empirical((1.0, 2.0))), (SegmentKind.WAIT, Empirical((1.0,)))
    )
    with pytest.raises(InvalidValue, match="together"):
        replace(uneven.tasks[0], together=True)


@pytest.mark.parametrize("wake_latency", [0.0, 1e-4])
def test_wait_lasts_until_the_thread_runs_again_on_an_idle_core(wake_latency: float):
    """It is measured around the call: the wake-up is part of it."""
    seen = simulated(
        program(
            (SegmentKind.WAIT, Deterministic(2e-3)),
            (SegmentKind.RELEASED_NATIVE, Deterministic(5e-4)),
        ),
        arrivals=Closed(),
        threads=1,
        run_time=1.0,
        wake_latency=wake_latency,
    )
    assert seen.mean == pytest.approx(2.5e-3, rel=1e-6)


def test_wait_that_is_shorter_than_a_wake_up_takes_as_long_as_that():
    """A thread that did nothing else once took no time at all, and the simulation never ended."""
    seen = simulated(
        program((SegmentKind.WAIT, Deterministic(2e-5))),
        arrivals=Closed(),
        threads=1,
        run_time=0.1,
        wake_latency=1e-4,
    )
    assert seen.mean == pytest.approx(1e-4, rel=1e-4)


@pytest.mark.parametrize(("interval", "share"), [(1e-3, 0.0), (1e-2, 0.6)])
def test_sleeper_loses_hand_offs_to_askers_who_are_awake_at_its_switch_interval(
    interval: float, share: float
) -> None:
    """It comes in the middle of a turn and then loses a geometric number of hand-offs."""
    sleeps = Empirical(tuple(0.02 + interval * step / 100 for step in range(100)))
    hog = Task(
        name="hog", segments=(Segment(kind=SegmentKind.PYTHON, duration=Deterministic(1.0)),)
    )
    sleeper = program((SegmentKind.WAIT, sleeps), (SegmentKind.PYTHON, Deterministic(1e-6)))
    scenario = Scenario(
        workload=replace(sleeper, background=(hog, replace(hog, name="another"))),
        layout=Layout(build=WITH_GIL.build, gil=GilMode.OWN, switch_interval=interval),
        runtime=WITH_GIL,
        machine=replace(
            machine(4), awake_share=known(0.6), awake_factors=((1e-3, 0.0), (1e-2, 1.0))
        ),
        run_time=100.0,
        seed=1,
    )
    state = steady_state(simulate(scenario))
    assert state is not None
    lost = share / (1 - share)
    late = state.response_time["mean"] - sleeps.mean
    assert late == pytest.approx((1 / 2 + lost) * interval, rel=0.05)
