"""A worker and its client over a socket: what a request takes, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.model import (
    Closed,
    ColdCalls,
    Connection,
    Deterministic,
    Empirical,
    Estimate,
    InvalidValue,
    Layout,
    Machine,
    Runtime,
    Scenario,
    Segment,
    SegmentKind,
    Task,
    UnsupportedLayout,
    WakeLatency,
    Work,
    Workload,
    simulate,
)
from gilplan.model.conversation import call_time
from gilplan.model.recorder import State, Timeline

SEND, RECEIVE, CLIENT, TASK, SWITCH, WAKE = 2e-6, 1e-6, 3e-6, 4e-6, 1e-6, 40e-6
CONNECTION = Connection(send_time=SEND, receive_time=RECEIVE, client_time=CLIENT)
NOTHING = Estimate.exact(0.0, "test")
MACHINE = Machine(
    identity="made up",
    cores=2,
    speeds={work: (Estimate.exact(1.0, "test"),) for work in Work},
    wake_latency=WakeLatency(idle_times=(1e-4,), latencies=(Empirical((WAKE,)),)),
    handoff_latencies=((1e-3, Empirical((WAKE,))),),
    overtaking_latencies=((1e-3, Empirical((WAKE,))),),
    retry_time=Empirical((0.0,)),
    overdue_wait_time=NOTHING,
    awake_share=NOTHING,
    awake_share_beside=NOTHING,
    stay_share=NOTHING,
    signal_time=NOTHING,
    busy_signal_time=NOTHING,
    timer_slack=NOTHING,
    preemption_latency=NOTHING,
    context_switch_time=Estimate.exact(SWITCH, "test"),
    forced_switch_time=NOTHING,
    base_slice=0.003,
    tick=0.004,
)
RUNTIME = Runtime(
    build="3.13.0",
    version=(3, 13, 0),
    free_threaded=False,
    release_time=NOTHING,
    poll_time=NOTHING,
)
LAYOUT = Layout(build="3.13.0", gil="own", switch_interval=0.005)


def scenario(**changes: object) -> Scenario:
    python = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(TASK))
    given = {
        "workload": Workload(name="echo", tasks=(Task(name="echo", segments=(python,)),)),
        "arrivals": Closed(connection=CONNECTION),
        "layout": LAYOUT,
        "runtime": RUNTIME,
        "machine": MACHINE,
        "run_time": 0.1,
        "seed": 1,
    }
    return Scenario(**(given | changes))  # type: ignore[arg-type]


def test_on_one_core_a_request_takes_both_sides_processor_time_and_two_switches() -> None:
    replication = simulate(scenario(layout=replace(LAYOUT, cores=1)))
    cycle = 2 * (SEND + RECEIVE + SWITCH) + CLIENT + TASK
    assert len(replication.completed_at) / replication.run_time == pytest.approx(
        1 / cycle, rel=0.01
    )


def test_on_two_idle_cores_a_request_takes_two_wake_ups() -> None:
    replication = simulate(scenario())
    # Each receives before it sleeps, in the time that the other takes to wake up.
    cycle = 2 * (SEND + WAKE) + CLIENT + TASK
    assert len(replication.completed_at) / replication.run_time == pytest.approx(
        1 / cycle, rel=0.01
    )
    assert replication.times[5:, State.RUNNING] == pytest.approx(TASK + SEND)


def test_calls_after_a_pause_take_longer() -> None:
    cold = ColdCalls(pauses=(1e-5, 1e-3), sends=(4e-6, 8e-6), receives=(0.0, 6e-6))
    send = call_time(SEND, cold, cold.sends)
    assert [send(pause) for pause in (0, 5_000, 10_000, 100_000, 1_000_000, 10**9)] == [
        2_000, 4_000, 6_000, 8_000, 10_000, 10_000,
    ]  # fmt: skip
    assert call_time(SEND, None, ())(10**9) == 2_000
    # Each side's calls of one kind are a cycle of 10 ms apart.
    python = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(10e-3))
    workload = Workload(name="slow", tasks=(Task(name="slow", segments=(python,)),))
    one_core = replace(LAYOUT, cores=1)
    warm, colder = (
        simulate(
            scenario(
                workload=workload,
                layout=one_core,
                arrivals=Closed(connection=replace(CONNECTION, cold_calls=calls)),
                run_time=1.0,
            )
        )
        for calls in (None, cold)
    )
    cycles = [np.diff(found.completed_at).mean() for found in (warm, colder)]
    assert cycles[1] - cycles[0] == pytest.approx(2 * (8e-6 + 6e-6), rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pauses": (1e-3, 1e-4)},
        {"pauses": (0.0, 1e-4)},
        {"pauses": (1e-4,)},
        {"sends": (-1e-6, 0.0)},
    ],
)
def test_cold_calls_are_checked(wrong: dict[str, tuple[float, ...]]) -> None:
    right = {"pauses": (1e-4, 1e-3), "sends": (0.0, 0.0), "receives": (0.0, 0.0)}
    with pytest.raises(InvalidValue):
        ColdCalls(**(right | wrong))


def test_response_lasts_from_the_request_s_sending_until_the_answer_is_sent() -> None:
    replication = simulate(scenario())
    response = replication.completed_at - replication.arrived_at
    assert response[5:] == pytest.approx(SEND + WAKE + TASK + SEND)


def test_thread_that_computes_gets_the_gil_when_its_wake_up_is_over() -> None:
    """On one core of two the conversation goes on until the other thread has woken."""
    spin = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(0.05))
    beside = (Task(name="compute", segments=(spin,)),)
    alone = scenario().workload
    interval = LAYOUT.effective_switch_interval
    replication = simulate(
        scenario(workload=replace(alone, background=beside), run_time=200 * interval)
    )
    bursts = len(replication.completed_at) / (replication.run_time / interval)
    request = 2 * (SEND + RECEIVE + SWITCH) + CLIENT + TASK
    assert 1 <= bursts <= WAKE / request + 1


def test_every_request_is_counted_once() -> None:
    replication = simulate(scenario(layout=replace(LAYOUT, threads=3)))
    assert replication.arrivals == (
        len(replication.completed_at) + replication.queued + replication.in_service
    )
    assert 0 <= replication.in_service <= 3


def test_recorder_hears_of_every_answer_when_it_is_sent() -> None:
    timeline = Timeline()
    replication = simulate(scenario(), timeline)
    told = [(at, arrived) for at, _, _, arrived in timeline.completions]
    logged = zip(replication.completed_at, replication.arrived_at, strict=True)
    assert told == [(round(at * 1e9), round(arrived * 1e9)) for at, arrived in logged]
    assert len(told) > 1000


def test_connection_needs_worker_threads_and_no_other_clients() -> None:
    with pytest.raises(UnsupportedLayout, match="worker must be 'thread'"):
        scenario(layout=replace(LAYOUT, worker="event_loop"))
    with pytest.raises(InvalidValue, match="connection"):
        Closed(population=3, connection=CONNECTION)
    with pytest.raises(InvalidValue, match="send_time"):
        Connection(send_time=0.0, receive_time=1e-6, client_time=1e-6)
