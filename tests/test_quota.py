"""CPU quotas: what a period may use is never exceeded, and what is stopped stays stopped."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from gilplan.model.clock import Clock
from gilplan.model.durations import Deterministic, Empirical, Exponential
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.quota import Quota
from gilplan.model.recorder import State, Timeline
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.thread import Thread
from gilplan.model.throttled_cores import KEPT_TIME, ThrottledCores
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload

MS = 1_000_000
PERIOD = 100 * MS
SLICE = 5 * MS


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
    stay_share=Estimate.exact(0.0, "test"),
    signal_time=known(1e-6),
    busy_signal_time=known(1e-6),
    timer_slack=known(5e-5),
    base_slice=0.0014,
    tick=0.004,
    preemption_latency=known(1e-5),
    context_switch_time=known(2e-6),
    forced_switch_time=known(5e-6),
)
RUNTIME = Runtime(
    build="3.13.0", version=(3, 13, 0), release_time=known(1e-7), poll_time=known(1e-7)
)


def workload(*segments: tuple[SegmentKind, float]) -> Workload:
    parts = tuple(
        Segment(kind=kind, duration=Deterministic(duration)) for kind, duration in segments
    )
    return Workload(name="test", tasks=(Task(name="test", segments=parts),))


BUSY = workload((SegmentKind.PYTHON, 1e-3))


def scenario(quota: float | None, work: Workload = BUSY, *, run_time: float = 2.0, **shape: int):
    layout = Layout(build="3.13.0", gil=GilMode.OWN, quota=quota, **shape)
    return Scenario(
        workload=work, layout=layout, runtime=RUNTIME, machine=MACHINE, run_time=run_time, seed=3
    )


def throttled(cores: int, budget: int, *, switch_time: int = 0) -> ThrottledCores:
    return ThrottledCores(
        Clock(),
        budget=budget,
        period=PERIOD,
        bandwidth_slice=SLICE,
        count=cores,
        speeds={work: [1.0] * cores for work in Work},
        wake_latency=lambda _: 0,
        switch_time=switch_time,
        forced_switch_time=0,
        preemption_latency=0,
        base_slice=MS,
        tick=4 * MS,
    )


def hog(cores: ThrottledCores, index: int, timeline: Timeline | None = None) -> Thread:
    thread = Thread(cores.env, index=index, recorder=timeline)

    def body():
        cores.wake(thread)
        yield thread.alarm
        while True:
            yield cores.run(thread, 10**12, Work.BYTECODE)

    cores.env.process(body())
    return thread


@pytest.mark.parametrize("quota", [0.1, 0.5, 1.0, 1.37])
def test_busy_processes_get_the_quota_and_no_more(quota: float):
    record = simulate(scenario(quota, processes=2))
    assert record.completions / record.run_time == pytest.approx(quota * 1000, rel=0.02)
    assert record.core_busy[-1].sum() <= quota * record.run_time + 1e-6


@pytest.mark.parametrize("quota", [None, 2.0, 5.0])
def test_quota_of_all_cores_changes_nothing(quota: float | None):
    free = simulate(scenario(None, processes=2))
    assert simulate(scenario(quota, processes=2)).to_bytes() == free.to_bytes()


def test_threads_of_one_gil_never_exceed_a_quota_of_one_core():
    free = simulate(scenario(None, threads=4))
    limited = simulate(scenario(1.0, threads=4))
    assert limited.completions == pytest.approx(free.completions, rel=0.01)


def test_two_hogs_use_up_the_budget_together_and_stop_until_the_next_period():
    cores, timeline = throttled(2, 60 * MS), Timeline()
    for index in range(2):
        hog(cores, index, timeline)
    cores.env.run(until=2 * PERIOD)
    stops = [at for at, _, state, _ in timeline.threads if state is State.WAITING_CORE]
    starts = [at for at, _, state, _ in timeline.threads if state is State.RUNNING]
    assert stops == [30 * MS, 30 * MS, PERIOD + 30 * MS, PERIOD + 30 * MS]
    assert starts == [0, 0, PERIOD, PERIOD]
    assert cores.throttled_time == 2 * 70 * MS


def test_last_slice_goes_to_the_core_that_asks_first():
    """Slices of 5 ms: 25 ms for two cores are 15 and 10, as the kernel gives them."""
    cores = throttled(2, 25 * MS)
    for index in range(2):
        hog(cores, index)
    cores.env.run(until=PERIOD)
    used = sorted(cores.busy_until_now(core) for core in cores.cores)
    assert used == [10 * MS, 15 * MS]


def test_idle_core_gives_back_all_but_a_millisecond():
    cores = throttled(2, 20 * MS)
    thread = Thread(cores.env, index=0)

    def body():
        cores.wake(thread)
        yield thread.alarm
        yield cores.run(thread, MS, Work.BYTECODE)
        cores.block(thread, State.BLOCKED)

    cores.env.process(body())
    cores.env.run(until=2 * MS)
    assert cores.pool == 20 * MS - MS - KEPT_TIME


def test_core_that_stops_while_it_switches_keeps_its_thread():
    """Whoever wakes there meanwhile waits, however far behind its share it is."""
    cores = throttled(1, 10 * MS, switch_time=MS // 10)
    first, second, third = (Thread(cores.env, index=index) for index in range(3))
    third.lag = 2 * MS

    def body(thread: Thread, begin: int, demand: int):
        yield cores.env.timeout(begin)
        cores.wake(thread)
        yield thread.alarm
        yield cores.run(thread, demand, Work.BYTECODE)
        cores.block(thread, State.BLOCKED)

    cores.env.process(body(first, 0, 10 * MS))
    cores.env.process(body(second, 17 * MS // 2, 40 * MS))
    cores.env.process(body(third, 10 * MS + MS // 20, MS))
    cores.env.run(until=11 * MS)
    assert cores.cores[0].thread is second
    assert cores.cores[0].queue.waiting() == [third]
    cores.env.run(until=PERIOD)
    assert (first.core, second.core, third.core) == (None, cores.cores[0], None)


def test_stopped_gil_holder_stops_the_threads_that_wait_for_it():
    """Waking up and asking costs the waiter next to nothing: it could go on, was it not the GIL."""
    timeline = Timeline()
    long_call = workload((SegmentKind.HELD_NATIVE, 0.035))
    simulate(scenario(0.3, long_call, threads=2, run_time=0.099), timeline)
    holder = timeline.gils[0][2]
    waits = [(at, who) for at, who, state, _ in timeline.threads if state is State.WAITING_CORE]
    # Before that it had to let the other one ask, on the core where both have been set up.
    stopped_at = max(at for at, who in waits if who == holder)
    assert stopped_at == pytest.approx(30 * MS, abs=MS)
    assert not [at for at, _, thread in timeline.gils if at > stopped_at and thread is not None]


def test_a_short_request_waits_for_the_next_period_when_the_budget_is_gone():
    short = workload((SegmentKind.PYTHON, 2e-3), (SegmentKind.WAIT, 1e-3))
    limited = simulate(scenario(0.2, short, processes=2, run_time=5.0))
    assert limited.response_times.max() == pytest.approx(0.09, rel=0.1)
    assert np.median(limited.response_times) < 0.005


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@example(quota=0.05, processes=3, threads=3, run=1e-4, wait=1e-4, period=0.1)
@example(
    quota=0.43292867557958475,
    processes=1,
    threads=3,
    run=0.009627900325326757,
    wait=0.010017200592090904,
    period=0.02,
)
@given(
    quota=st.floats(0.05, 3.0),
    processes=st.integers(1, 3),
    threads=st.integers(1, 3),
    run=st.floats(1e-4, 2e-2),
    wait=st.floats(0.0, 2e-2),
    period=st.sampled_from([0.02, 0.1]),
)
def test_no_period_exceeds_its_budget(
    quota: float, processes: int, threads: int, run: float, wait: float, period: float
):
    task = Task(
        name="random",
        segments=(
            Segment(kind=SegmentKind.PYTHON, duration=Exponential(run)),
            Segment(kind=SegmentKind.RELEASED_NATIVE, duration=Exponential(run)),
            Segment(kind=SegmentKind.WAIT, duration=Deterministic(wait)),
        ),
    )
    base = scenario(None, Workload(name="random", tasks=(task,)))
    layout = replace(
        base.layout, processes=processes, threads=threads, quota=quota, quota_period=period
    )
    # Checkpoints fall on the ends of periods.
    record = simulate(replace(base, layout=layout, run_time=200 * period))
    used = np.diff(record.core_busy.sum(axis=1))
    budget = min(quota, 2) * period
    # A core may keep what is left of its slice: the kernel lets no slice expire since 5.4.
    assert used.max() <= budget + 2 * SLICE * 1e-9 + 1e-6
    assert np.all(used.cumsum() <= budget * np.arange(1, len(used) + 1) + 1e-6)


def test_same_seed_same_bytes_and_few_events():
    limited = scenario(0.5, processes=2)
    record = simulate(limited)
    assert record.to_bytes() == simulate(limited).to_bytes()
    free = simulate(scenario(None, processes=2))
    extra = record.events - free.events * record.completions / free.completions
    periods = record.run_time / 0.1
    slices = 0.5 * record.run_time / 0.005
    assert extra <= 10 * periods + 2 * slices


@pytest.mark.parametrize(
    "fields", [{"quota": 0.0}, {"quota": -1.0}, {"quota": 0.005}, {"quota_period": 0.1}]
)
def test_impossible_quota_is_refused(fields: dict[str, float]):
    with pytest.raises(InvalidValue, match="quota"):
        Layout(build="3.13.0", gil=GilMode.OWN, **fields)


def test_period_out_of_the_kernels_range_is_refused():
    with pytest.raises(InvalidValue, match="between 1 ms and 1 s"):
        Quota(cores=1.0, period=2.0)


def test_machines_own_quota_holds_where_the_layout_has_none():
    base = scenario(None, processes=2)
    contained = replace(base, machine=replace(MACHINE, quota=Quota(cores=0.5)))
    assert simulate(contained).to_bytes() == simulate(scenario(0.5, processes=2)).to_bytes()
