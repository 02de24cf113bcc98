"""What CPython's versions do differently: by version, in the simulation, and on real builds."""

import pytest

from gilplan.calibration.behaviour_probes import GENERATIONS, run_probe, show_behaviours
from gilplan.calibration.builds import find_builds
from gilplan.model.arrivals import Closed
from gilplan.model.behaviours import (
    LONGEST_SWITCH_INTERVAL,
    Behaviours,
    Collector,
    DropRequest,
    IntervalScope,
    acting_switch_interval,
    stored_switch_interval,
)
from gilplan.model.durations import Deterministic, Empirical
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, IntervalSetter, Layout
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.replication import Replication
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload
from gilplan.planner.layout_option import parse_layout

BUILDS = find_builds()[0]


def of(version: str) -> Behaviours:
    major, minor, micro = (int(part) for part in version.rstrip("t").split("."))
    return Behaviours(version=(major, minor, micro), free_threaded=version.endswith("t"))


@pytest.mark.parametrize(
    ("version", "preempts", "request_in", "scope"),
    [
        ("3.11.7", False, DropRequest.WAITERS_INTERPRETER, IntervalScope.PROCESS),
        ("3.12.0", False, DropRequest.WAITERS_INTERPRETER, IntervalScope.GIL),
        ("3.12.99", False, DropRequest.WAITERS_INTERPRETER, IntervalScope.GIL),
        ("3.13.0", True, DropRequest.HOLDERS_THREAD, IntervalScope.GIL),
        ("3.15.0", True, DropRequest.HOLDERS_THREAD, IntervalScope.GIL),
    ],
)
def test_drop_request_moved_to_the_holders_thread_in_313(version, preempts, request_in, scope):
    behaviours = of(version)
    assert behaviours.preempts_across_interpreters is preempts
    assert behaviours.drop_request is request_in
    assert behaviours.switch_interval_scope is scope


@pytest.mark.parametrize(
    ("version", "collector", "thresholds"),
    [
        ("3.11.7", Collector.GENERATIONAL, (700, 10, 10)),
        ("3.12.1", Collector.GENERATIONAL, (700, 10, 10)),
        ("3.13.0", Collector.GENERATIONAL, (2000, 10, 10)),
        ("3.14.0", Collector.INCREMENTAL, (2000, 10, 0)),
        ("3.14.4", Collector.INCREMENTAL, (2000, 10, 0)),
        ("3.14.5", Collector.GENERATIONAL, (2000, 10, 10)),
        ("3.15.0", Collector.GENERATIONAL, (2000, 10, 10)),
        ("3.13.5t", Collector.STOP_THE_WORLD, (2000, 10, 10)),
        ("3.14.2t", Collector.STOP_THE_WORLD, (2000, 10, 10)),
    ],
)
def test_collector_depends_on_the_micro_version(version, collector, thresholds):
    assert of(version).collector is collector
    assert of(version).gc_thresholds == thresholds


@pytest.mark.parametrize(
    ("behaviour", "without", "since"),
    [
        ("gil_per_interpreter", "3.11.9", "3.12.0"),
        ("configurable_interpreters", "3.11.9", "3.12.0"),
        ("collects_at_poll", "3.11.9", "3.12.0"),
        ("late_daemon_threads_hang", "3.13.9", "3.14.0"),
        ("specialises", "3.13.5t", "3.14.0t"),
    ],
)
def test_behaviour_came_with_a_version(behaviour, without, since):
    assert getattr(of(without), behaviour) is False
    assert getattr(of(since), behaviour) is True


def test_processes_start_by_forkserver_since_314():
    assert of("3.13.5").default_start_method == "fork"
    assert of("3.14.0").default_start_method == "forkserver"


@pytest.mark.parametrize(
    ("asked", "stored", "acting"),
    [
        (0.005, 0.005, 0.005),
        (1.9999e-6, 1e-6, 1e-6),
        (1e-7, 0.0, 1e-6),
        (86400.0, 86400.0, 86400.0),
    ],
)
def test_interval_is_cut_off_to_whole_microseconds_and_acts_as_one_at_least(asked, stored, acting):
    assert stored_switch_interval(asked) == pytest.approx(stored)
    assert acting_switch_interval(asked) == pytest.approx(acting)


@pytest.mark.parametrize("asked", [0.0, -1.0, float("nan"), float("inf"), 1.9e13, 5e14])
def test_interval_that_cpython_refuses_or_overflows_is_refused(asked):
    with pytest.raises(InvalidValue, match="switch_interval must be above 0 and below"):
        stored_switch_interval(asked)
    with pytest.raises(InvalidValue, match="switch_interval"):
        Layout(build="3.13.0", gil=GilMode.OWN, switch_interval=asked)


# In the simulation


def simulated(version: str, layout: Layout) -> Replication:
    """Run tasks of 50 ms of bytecode for a second, on a machine without noise."""
    nothing, at_once = Estimate.exact(0.0, "test"), Empirical((0.0,))
    behaviours = of(version)
    machine = Machine(
        identity="test",
        cores=4,
        speeds={work: (Estimate.exact(1.0, "test"),) for work in Work},
        wake_latency=WakeLatency(idle_times=(1.0,), latencies=(at_once,)),
        handoff_latencies=((1e-3, at_once),),
        overtaking_latencies=((1e-3, at_once),),
        retry_time=Empirical((0.0,)),
        overdue_wait_time=nothing,
        awake_share=Estimate.exact(0.65, "test"),
        awake_share_beside=Estimate.exact(0.65, "test"),
        stay_share=Estimate.exact(0.5, "test"),
        signal_time=nothing,
        busy_signal_time=nothing,
        timer_slack=nothing,
        base_slice=0.0014,
        tick=0.004,
        preemption_latency=nothing,
        context_switch_time=nothing,
        forced_switch_time=nothing,
    )
    runtime = Runtime(
        build=version,
        version=behaviours.version,
        free_threaded=behaviours.free_threaded,
        release_time=nothing,
        poll_time=nothing,
    )
    segment = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(0.05))
    scenario = Scenario(
        workload=Workload(name="spin", tasks=(Task(name="spin", segments=(segment,)),)),
        arrivals=Closed(),
        layout=layout,
        runtime=runtime,
        machine=machine,
        run_time=1.0,
        seed=0,
    )
    return simulate(scenario)


def hand_overs(version: str, gil: GilMode, **fields: object) -> int:
    layout = Layout(build=version, interpreters=2, gil=gil, **fields)  # type: ignore[arg-type]
    return simulated(version, layout).switches


def test_interpreters_with_one_gil_starve_each_other_before_313():
    before, since = (hand_overs(version, GilMode.SHARED) for version in ("3.12.1", "3.13.0"))
    assert before == 1, "only the first taking"
    assert since == pytest.approx(1.0 / 0.005, rel=0.1), "one hand-over an interval"


def test_threads_of_one_interpreter_take_turns_in_every_version():
    for version in ("3.11.7", "3.12.1", "3.13.0"):
        gil = GilMode.SHARED if version < "3.12" else GilMode.OWN
        layout = Layout(build=version, threads=2, gil=gil)
        assert simulated(version, layout).switches > 150


def test_free_threaded_build_whose_gil_is_back_runs_one_thread_at_a_time():
    without, back = (
        simulated("3.13.5t", Layout(build="3.13.5t", threads=2, gil=gil))
        for gil in (GilMode.DISABLED, GilMode.SHARED)
    )
    assert without.completions == pytest.approx(2 * back.completions, abs=2)
    assert back.switches > 150


def test_interval_set_in_main_does_not_reach_interpreters_with_their_own_gil():
    fields = {"threads": 2, "switch_interval": 0.001}
    each = hand_overs("3.13.0", GilMode.OWN, **fields)
    main = hand_overs("3.13.0", GilMode.OWN, **fields, interval_set_in=IntervalSetter.MAIN)
    assert main == hand_overs("3.13.0", GilMode.OWN, threads=2)
    assert each > 4 * main


def test_interval_set_in_main_reaches_interpreters_that_share_its_gil():
    fields = {"switch_interval": 0.001}
    each = hand_overs("3.13.0", GilMode.SHARED, **fields)
    assert each == hand_overs(
        "3.13.0", GilMode.SHARED, **fields, interval_set_in=IntervalSetter.MAIN
    )


def test_layout_says_where_its_interval_is_set():
    text = "3.13:interpreters=2,gil=own,switch_interval=1ms,interval_set_in=main"
    fields = {**parse_layout(text).fields, "gil": GilMode.OWN}
    layout = Layout(build="3.13", **fields)
    assert str(layout) == text
    assert layout.effective_switch_interval == 0.005


# On the builds of this machine


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_build_behaves_as_its_version_says(build):
    shown = show_behaviours(build)
    assert [each for each in shown if not each.agrees] == []
    assert len({each.behaviour for each in shown}) == (5 if build.free_threaded else 6)


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_build_stores_intervals_as_the_model_says(build):
    for asked, read in run_probe(build, "switch_interval")["stored"]:
        if asked <= 0:
            assert read is None
        elif asked < LONGEST_SWITCH_INTERVAL:
            assert read == stored_switch_interval(asked)
        else:
            assert read == 0.0, "it overflows without a word"


def test_kinds_of_collectors_are_told_apart_by_what_their_collections_name():
    assert set(GENERATIONS) == set(Collector)
    assert len({tuple(named) for named in GENERATIONS.values()}) == len(GENERATIONS)


@pytest.mark.parametrize(
    ("libc", "waits"),
    [("glibc 2.36", True), ("glibc 2.40", True), ("glibc 2.41", False), ("", True)],
)
def test_signals_wait_for_earlier_waiters_until_glibc_240(libc: str, waits: bool):
    known = Estimate.exact(1e-6, "test")
    runtime = Runtime(
        build="3.13.0", version=(3, 13, 0), libc=libc, release_time=known, poll_time=known
    )
    assert runtime.signaller_waits is waits
