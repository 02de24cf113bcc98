"""Garbage collection: when it is due by version, how long it takes, and whom it stops."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.model.behaviours import Behaviours
from gilplan.model.boundary import LoopCosts
from gilplan.model.collector_costs import CollectorCosts
from gilplan.model.durations import Deterministic, Empirical
from gilplan.model.errors import ProfileError
from gilplan.model.estimate import Estimate
from gilplan.model.heap import NEVER, Heap, PauseTimes
from gilplan.model.layout import GilMode, Layout, WorkerKind
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.recorder import State, Timeline
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.workload import Collections, Segment, SegmentKind, Task, Work, Workload

YOUNG, FULL, GARBAGE = 30e-9, 100e-9, 60e-9


def known(value: float) -> Estimate:
    return Estimate.exact(value, "test")


MACHINE = Machine(
    identity="test",
    cores=4,
    speeds=dict.fromkeys(Work, (known(1.0),) * 4),
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
ONES = PauseTimes(young=1, full=1, garbage=1)
COSTS = CollectorCosts(
    young_time=known(YOUNG),
    full_time=known(FULL),
    garbage_time=known(GARBAGE),
    untracked_time=known(20e-9),
    base_time=known(0.0),
    bare_objects=known(0.0),
)


def runtime(version: tuple[int, int, int] = (3, 13, 0), *, free_threaded: bool = False) -> Runtime:
    return Runtime(
        build=".".join(map(str, version)) + "t" * free_threaded,
        version=version,
        free_threaded=free_threaded,
        release_time=known(0.0),
        poll_time=known(1e-7),
        collector=COSTS,
    )


def scenario(
    build: Runtime,
    *,
    rate: float = 1e6,
    live: float = 1e5,
    collections: Collections = Collections.SEPARATE,
    kind: SegmentKind = SegmentKind.PYTHON,
    garbage_share: float = 0.0,
    run_time: float = 3.0,
    duration: float = 1e-3,
    **shape: int,
) -> Scenario:
    task = Task(
        name="test",
        segments=(Segment(kind=kind, duration=Deterministic(duration)),),
        allocation_rate=rate,
        garbage_share=garbage_share,
    )
    gil = GilMode.DISABLED if build.free_threaded else GilMode.OWN
    return Scenario(
        workload=Workload(name="test", tasks=(task,), live_objects=live, collections=collections),
        layout=Layout(build=build.build, gil=gil, **shape),
        runtime=build,
        machine=MACHINE,
        run_time=run_time,
        seed=1,
    )


def pauses(behaviours: Behaviours, live: float, count: int, garbage_share: float = 0.0):
    """Collect ``count`` times as soon as it is due; return the pauses in ns and the heap."""
    heap = Heap(behaviours, PauseTimes(young=30, full=100, garbage=60), live=live)
    taken, allocated = [], 0
    for _ in range(count):
        while not heap.allocate(1, garbage_share):
            allocated += 1
        taken.append(heap.collect())
    return taken, heap, allocated


@pytest.mark.parametrize(("version", "threshold"), [((3, 11, 7), 700), ((3, 13, 0), 2000)])
def test_every_eleventh_collection_looks_at_the_middle_generation(version, threshold):
    taken, heap, _ = pauses(Behaviours(version=version), live=1e9, count=24)
    new = threshold + 1
    assert taken[:11] == [30 * new] * 11
    assert taken[11] == 30 * new + 100 * 11 * new
    assert heap.collections == [22, 2, 0]


def test_full_collection_waits_until_a_quarter_of_the_old_generation_is_new():
    """After 11 middle ones (a small heap), or once a quarter of it was added (a large one)."""
    small, large = 1e3, 1e7
    for live, least in ((small, 11 * 12 * 2001), (large, large / 4)):
        _, heap, allocated = pauses(Behaviours(version=(3, 13, 0)), live, count=3000)
        assert heap.collections[2] == pytest.approx(allocated / least, rel=0.1, abs=1)


def test_garbage_never_reaches_the_old_generation_and_costs_its_own():
    taken, heap, _ = pauses(Behaviours(version=(3, 13, 0)), 1e5, 500, garbage_share=1.0)
    assert heap.collections[2] == 0
    assert taken[0] == 2001 * (30 + 60)


def test_incremental_pauses_do_not_grow_with_a_large_heap():
    large, _, _ = pauses(Behaviours(version=(3, 14, 2)), 1e7, 50)
    huge, _, _ = pauses(Behaviours(version=(3, 14, 2)), 1e8, 50)
    assert large == huge == [2001 * (30 + 2 * 100)] * 50
    assert max(pauses(Behaviours(version=(3, 14, 5)), 1e7, 5000)[0]) > 1e9


def test_free_threaded_collects_when_a_quarter_of_the_heap_is_new():
    taken, heap, allocated = pauses(
        Behaviours(version=(3, 13, 10), free_threaded=True), 1e5, count=10
    )
    assert heap.collections == [0, 0, 10]
    assert allocated == 10 * 25_000
    assert taken[0] == 100 * (25_001 + 1e5)


def test_garbage_that_was_freed_counts_against_the_next_collection_before_gh_142048():
    """What dies otherwise was counted when it was made, and is subtracted again."""
    for version, growing in (((3, 13, 5), True), ((3, 13, 10), False)):
        heap = Heap(
            Behaviours(version=version, free_threaded=True),
            PauseTimes(young=0, full=100, garbage=60),
            live=1e3,
        )
        intervals = []
        for _ in range(4):
            count = 1
            while not heap.allocate(1, 0.25):
                count += 1
            intervals.append(count)
            heap.collect()
        expected = [8_000 * k for k in (1, 2, 3, 4)] if growing else [2_000] * 4
        assert intervals == pytest.approx(expected, rel=0.01)
    nothing = Heap(Behaviours(version=(3, 13, 5), free_threaded=True), ONES, live=1e3)
    assert not nothing.allocate(1e9, 0.0)
    assert nothing.due_in(1.0, 0.0) == NEVER


def test_without_a_gil_containers_that_are_not_tracked_take_time_in_every_collection():
    times = PauseTimes(young=0, full=100, garbage=0, untracked=20, base=5e5)
    pauses = {}
    for free_threaded in (True, False):
        given = Behaviours(version=(3, 14, 5), free_threaded=free_threaded)
        for untracked in (0, 1e6):
            heap = Heap(given, times, live=1e5, untracked=untracked)
            heap.allocate(1000, 0.0)
            pauses[free_threaded, untracked] = heap.collect()
    assert pauses[True, 0] == 5e5 + 100 * 101_000
    assert pauses[True, 1e6] == pauses[True, 0] + 20 * 1e6
    assert pauses[False, 1e6] == pauses[False, 0] == 0


def test_from_3_14_a_heap_that_does_not_grow_is_collected_later():
    later = Behaviours(version=(3, 14, 5), free_threaded=True)
    assert pauses(later, 1e5, 1)[2] == 80_000
    assert pauses(later, 1e6, 1)[2] == 250_000


def amortised(build: Runtime, live: float, rate: float) -> float:
    """Seconds of collecting per second of allocating, by hand, for survivors of 3.13."""
    middle = 12 * 2001  # containers per middle collection
    full = max(11 * middle, live / 4)
    per_object = YOUNG + FULL * (11 * 2001) / middle * (1 - middle / full) + FULL * live / full
    return rate * per_object


@pytest.mark.parametrize("live", [1e4, 1e5, 2e6])
def test_pauses_lower_the_throughput_by_what_they_take(live: float):
    given = scenario(runtime(), live=live, run_time=20.0)
    busy = 1 / (1 + amortised(runtime(), live, 1e6))
    assert simulate(given).completions / 20.0 == pytest.approx(1000 * busy, rel=0.02)


def test_event_loop_collects_like_a_thread():
    given = scenario(runtime(), live=1e5, run_time=20.0)
    loop = replace(
        given,
        layout=replace(given.layout, worker=WorkerKind.EVENT_LOOP),
        runtime=replace(
            given.runtime, loop_costs=LoopCosts(round_time=known(0.0), resume_time=known(0.0))
        ),
    )
    assert simulate(loop).completions == pytest.approx(simulate(given).completions, rel=0.01)


def test_full_pause_holds_the_gil_from_everybody_and_cannot_be_interrupted():
    """200 ms of pause at 2e6 live objects: no GIL passes meanwhile, though a thread asks."""
    timeline = Timeline()
    simulate(scenario(runtime(), live=2e6, threads=2, run_time=5.0), timeline)
    takes = [at for at, _, thread in timeline.gils if thread is not None]
    longest = max(np.diff(takes))
    assert longest == pytest.approx(FULL * 2e6 * 1e9, rel=0.1)


def test_own_gil_interpreters_pause_alone():
    together = simulate(scenario(runtime(), live=2e6, interpreters=2))
    alone = simulate(scenario(runtime(), live=2e6))
    assert together.completions == pytest.approx(2 * alone.completions, rel=0.03)


def test_collection_on_a_free_threaded_build_stops_every_thread():
    timeline = Timeline()
    build = runtime((3, 13, 10), free_threaded=True)
    record = simulate(scenario(build, live=1e6, threads=3, run_time=5.0), timeline)
    # Three threads fill a quarter of a million in 83 ms, and then all wait for 125 ms.
    share = 0.125 / (0.125 + 0.25 / 3)
    assert record.completions / 5.0 == pytest.approx(3000 * (1 - share), rel=0.05)
    waits = [at for at, _, state, _ in timeline.threads if state is State.WAITING_GIL]
    assert len(waits) >= 2 * 5.0 / (0.125 + 0.25 / 3) - 4


def test_a_long_call_that_stays_attached_makes_the_collection_wait():
    build = runtime((3, 13, 10), free_threaded=True)
    calls = scenario(
        build, live=1e4, threads=2, kind=SegmentKind.HELD_NATIVE, duration=0.05, run_time=5.0
    )
    bytecode = scenario(build, live=1e4, threads=2, duration=0.05, run_time=5.0)
    assert simulate(calls).completions < simulate(bytecode).completions


@pytest.mark.parametrize(
    "shape", [{}, {"threads": 4}, {"interpreters": 2}, {"processes": 2, "threads": 2}]
)
def test_included_collections_are_not_counted_twice(shape: dict[str, int]):
    included = scenario(runtime(), collections=Collections.INCLUDED, **shape)
    without = scenario(runtime(), collections=Collections.INCLUDED, rate=0.0, **shape)
    first, second = simulate(included), simulate(without)
    assert first.to_bytes() == second.to_bytes()
    assert first.events == second.events


def test_included_collections_without_a_gil_stop_the_others_only():
    """The times of one hold its pauses; those that three cause together stop all of them."""
    build = runtime((3, 13, 10), free_threaded=True)
    one = scenario(build, live=1e6, collections=Collections.INCLUDED, run_time=10.0)
    three = replace(one, layout=replace(one.layout, threads=3))
    assert simulate(one).completions == pytest.approx(10_000, rel=0.01)
    # A quarter of a million containers are 250 tasks. One thread makes them in 250 ms, of which
    # 125 are the collection; three make them in a third of the other 125, and then all stand.
    expected = 250 * 10.0 / (0.125 / 3 + 0.125)
    assert simulate(three).completions == pytest.approx(expected, rel=0.05)


def test_separate_collections_need_measured_costs():
    bare = replace(runtime(), collector=None)
    with pytest.raises(ProfileError, match="calibrate"):
        scenario(bare)
    scenario(bare, collections=Collections.INCLUDED)


def test_same_seed_same_bytes_and_an_event_or_two_a_collection():
    given = scenario(runtime(), threads=2)
    record = simulate(given)
    assert record.to_bytes() == simulate(given).to_bytes()
    free = simulate(scenario(runtime(), threads=2, rate=0.0))
    collections = 3.0 * 1e6 / 2001
    assert record.events <= free.events + 6 * collections
