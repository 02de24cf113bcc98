"""What must hold whatever the scenario: random workloads, arrivals, layouts and machines."""

from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gilplan.model.arrivals import Arrivals, Batch, Closed, Open, Recorded
from gilplan.model.durations import Deterministic, Empirical, Exponential, Lognormal
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.recorder import Timeline
from gilplan.model.replication import Replication
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload

RUN_TIME = 0.3


def known(value: float) -> Estimate:
    return Estimate.exact(value, "test")


times = st.floats(2e-5, 5e-3)
durations = st.one_of(
    st.builds(Deterministic, times),
    st.builds(Exponential, times),
    st.builds(Lognormal, times, st.floats(0.0, 1.5)),
    st.builds(Empirical, st.lists(times, min_size=1, max_size=5).map(tuple)),
)
plain = st.builds(
    Segment,
    kind=st.sampled_from([kind for kind in SegmentKind if kind is not SegmentKind.CRITICAL]),
    duration=durations,
)
critical = st.builds(
    Segment,
    kind=st.just(SegmentKind.CRITICAL),
    lock=st.sampled_from(["a", "b"]),
    inner=st.lists(plain, min_size=1, max_size=2).map(tuple),
)
tasks = st.builds(
    Task,
    name=st.just("task"),
    segments=st.lists(st.one_of(plain, plain, critical), min_size=1, max_size=4).map(tuple),
    weight=st.floats(0.1, 3.0),
)
workloads = st.builds(
    Workload, name=st.just("random"), tasks=st.lists(tasks, min_size=1, max_size=2).map(tuple)
)
arrivals_of_any_kind: st.SearchStrategy[Arrivals] = st.one_of(
    st.just(Closed()),
    st.builds(Closed, population=st.integers(1, 12), think_time=durations),
    st.builds(Open, rate=st.floats(20, 3000), poisson=st.booleans()),
    st.builds(Batch, jobs=st.integers(1, 60)),
    st.builds(
        Recorded,
        arrived_at=st.lists(st.floats(0, RUN_TIME * 0.9), min_size=1, max_size=40).map(
            lambda instants: tuple(sorted(instants))
        ),
    ),
)


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    cores = draw(st.integers(1, 6))
    slower = draw(st.floats(0.5, 1.0))
    curve = tuple(known(slower if k else 1.0) for k in range(cores))
    return Machine(
        identity="random",
        cores=cores,
        speeds=dict.fromkeys(Work, curve),
        wake_latency=WakeLatency(
            idle_times=(1e-5, 1e-3),
            latencies=(Empirical((1e-6, draw(st.floats(1e-6, 2e-4)))), Empirical((1e-4,))),
        ),
        handoff_latencies=((1e-3, Empirical((2e-6, 2e-5))),),
        overtaking_latencies=((1e-3, Empirical((2e-6, 2e-5))),),
        retry_time=Empirical((0.0,)),
        overdue_wait_time=known(draw(st.floats(0, 5e-5))),
        awake_share=Estimate.exact(0.65, "test"),
        awake_share_beside=Estimate.exact(0.65, "test"),
        stay_share=Estimate.exact(0.5, "test"),
        signal_time=known(draw(st.floats(0, 1e-5))),
        busy_signal_time=known(draw(st.floats(0, 1e-5))),
        timer_slack=known(5e-5),
        base_slice=draw(st.floats(5e-4, 4e-3)),
        tick=draw(st.sampled_from((0.001, 0.004, 0.01))),
        preemption_latency=known(draw(st.floats(0, 5e-5))),
        context_switch_time=known(draw(st.floats(0, 2e-4))),
        forced_switch_time=known(draw(st.floats(0, 2e-4))),
        packing_room=draw(st.sampled_from((None, known(0.7)))),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    free_threaded = draw(st.booleans())
    version = draw(st.sampled_from([(3, 11, 7), (3, 12, 1), (3, 13, 0), (3, 14, 0)]))
    if free_threaded:
        version = (3, 13, 5)
    runtime = Runtime(
        build="random",
        version=version,
        free_threaded=free_threaded,
        release_time=known(1e-7),
        poll_time=known(1e-7),
    )
    interpreters = 1 if free_threaded else draw(st.integers(1, 3))
    modes = [GilMode.SHARED] if version < (3, 12, 0) else [GilMode.SHARED, GilMode.OWN]
    layout = Layout(
        build="random",
        processes=draw(st.integers(1, 2)),
        interpreters=interpreters,
        threads=draw(st.integers(1, 4)),
        gil=GilMode.DISABLED if free_threaded else draw(st.sampled_from(modes)),
        switch_interval=draw(st.sampled_from([None, 1e-4, 1e-3, 0.05])),
        cores=draw(st.sampled_from([None, 1, 3])),
    )
    return Scenario(
        workload=draw(workloads),
        arrivals=draw(arrivals_of_any_kind),
        layout=layout,
        runtime=runtime,
        machine=draw(machines()),
        run_time=RUN_TIME,
        seed=draw(st.integers(0, 2**32)),
    )


@given(scenarios())
@settings(max_examples=150)
def test_a_gil_never_has_two_holders(scenario: Scenario) -> None:
    timeline = Timeline()
    simulate(scenario, timeline)
    holder: dict[int, int | None] = defaultdict(lambda: None)
    for _, gil, thread in timeline.gils:
        if thread is None:
            assert holder[gil] is not None, "dropped by nobody"
        else:
            assert holder[gil] is None, "taken while held"
        holder[gil] = thread


@given(scenarios())
@settings(max_examples=150)
def test_recorded_run_stays_within_what_there_is(scenario: Scenario) -> None:
    record = simulate(scenario)
    slack = 1e-9
    assert (record.core_busy.sum(axis=1) <= scenario.cores * record.checkpoints + slack).all()
    assert (record.gil_held <= record.checkpoints[:, None] + slack).all()
    assert (np.diff(record.core_busy, axis=0) >= 0).all()
    spans = record.completed_at - record.started_at
    assert np.allclose(record.times.sum(axis=1), spans, atol=1e-9)
    assert (record.started_at >= record.arrived_at).all()


@given(scenarios())
@settings(max_examples=150)
def test_tasks_are_conserved(scenario: Scenario) -> None:
    record = simulate(scenario)
    assert record.arrivals == record.completions + record.queued + record.in_service
    assert 0 <= record.in_service <= scenario.layout.workers
    if isinstance(scenario.arrivals, Batch):
        assert record.completions == scenario.arrivals.jobs
    if isinstance(scenario.arrivals, Closed) and scenario.arrivals.population is not None:
        assert record.queued + record.in_service <= scenario.arrivals.population


@given(scenarios())
@settings(max_examples=100)
def test_littles_law(scenario: Scenario) -> None:
    """Tasks in service, counted at instants, average to completions x their time in service."""
    record = simulate(scenario)
    done_in_service = float((record.completed_at - record.started_at).sum())
    instants = np.linspace(0, record.run_time, 4000, endpoint=False)
    counted = np.searchsorted(np.sort(record.started_at), instants, "right") - np.searchsorted(
        np.sort(record.completed_at), instants, "right"
    )
    step = record.run_time / len(instants)
    assert counted.sum() * step == pytest.approx(
        done_in_service, abs=step * 2 * np.sqrt(record.completions + 1) + 1e-9, rel=0.01
    )


@given(scenarios())
@settings(max_examples=60)
def test_same_seed_same_bytes(scenario: Scenario) -> None:
    assert simulate(scenario).to_bytes() == simulate(scenario).to_bytes()


@given(scenarios())
@settings(max_examples=60)
def test_recorder_changes_nothing(scenario: Scenario) -> None:
    assert simulate(scenario, Timeline()).to_bytes() == simulate(scenario).to_bytes()


def random_scenario(seed: int) -> Scenario:
    workload = Workload(
        name="w",
        tasks=(
            Task(
                name="t",
                segments=(
                    Segment(kind=SegmentKind.PYTHON, duration=Exponential(5e-4)),
                    Segment(kind=SegmentKind.RELEASED_NATIVE, duration=Exponential(5e-4)),
                ),
            ),
        ),
    )
    runtime = Runtime(
        build="b", version=(3, 13, 0), release_time=known(1e-7), poll_time=known(1e-7)
    )
    machine = Machine(
        identity="m",
        cores=2,
        speeds=dict.fromkeys(Work, (known(1.0), known(0.9))),
        wake_latency=WakeLatency(
            idle_times=(1e-5, 1e-3), latencies=(Empirical((1e-6, 2e-5)), Empirical((4e-5, 9e-5)))
        ),
        handoff_latencies=((1e-3, Empirical((2e-6, 2e-5))),),
        overtaking_latencies=((1e-3, Empirical((2e-6, 2e-5))),),
        retry_time=Empirical((0.0,)),
        overdue_wait_time=known(2e-5),
        awake_share=Estimate.exact(0.65, "test"),
        awake_share_beside=Estimate.exact(0.65, "test"),
        stay_share=Estimate.exact(0.5, "test"),
        signal_time=known(2e-6),
        busy_signal_time=known(2e-6),
        timer_slack=known(5e-5),
        base_slice=0.0014,
        tick=0.004,
        preemption_latency=known(1e-5),
        context_switch_time=known(2e-6),
        forced_switch_time=known(2e-5),
    )
    return Scenario(
        workload=workload,
        layout=Layout(build="b", threads=4, gil=GilMode.OWN),
        runtime=runtime,
        machine=machine,
        run_time=1.0,
        seed=seed,
    )


def as_bytes(scenario: Scenario) -> bytes:
    return simulate(scenario).to_bytes()


def test_one_worker_process_and_four_give_the_same_bytes() -> None:
    scenarios_in_order = [replace(random_scenario(7), replication=r) for r in range(8)]
    here = [as_bytes(scenario) for scenario in scenarios_in_order]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        there = [record.to_bytes() for record in pool.map(simulate, scenarios_in_order)]
    assert here == there


def test_other_seed_other_bytes() -> None:
    assert as_bytes(random_scenario(0)) != as_bytes(random_scenario(1))


def test_other_replication_other_bytes() -> None:
    scenario = random_scenario(0)
    assert as_bytes(scenario) != as_bytes(replace(scenario, replication=1))


@given(st.integers(0, 1000), st.integers(1, 5))
@settings(max_examples=30)
def test_more_cores_never_hurt_an_uncontended_layout(seed: int, cores: int) -> None:
    def completions(count: int) -> Replication:
        scenario = random_scenario(seed)
        layout = Layout(build="b", processes=4, gil=GilMode.OWN, cores=count)
        flat = replace(scenario.machine, speeds=dict.fromkeys(Work, (known(1.0),)))
        return simulate(replace(scenario, layout=layout, machine=flat, run_time=0.5))

    assert completions(cores + 1).completions >= completions(cores).completions - 4
