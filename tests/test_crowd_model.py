"""What a crowd pays beyond its hand-offs is found again by the model that it was made with."""

from dataclasses import replace

import pytest

from gilplan.calibration.crowd import CrowdPoint
from gilplan.calibration.crowd_model import CrowdModel
from gilplan.calibration.harness.crowd import POINTS
from gilplan.calibration.profile import Profile
from gilplan.model import simulate
from gilplan.model.arrivals import Closed
from gilplan.model.cold_start import ColdStart
from gilplan.model.durations import Deterministic
from gilplan.model.layout import GilMode, Layout
from gilplan.model.scenario import Scenario
from gilplan.model.workload import Segment, SegmentKind, Task, Workload

WARM = ColdStart(crowded=0.0, growth=0.0, moved=0.0, halved_after=1.0)


def workload(*segments: tuple[SegmentKind, float], cold: ColdStart | None = None) -> Workload:
    """A task of these segments, each so many microseconds long."""
    return Workload(
        name="w",
        tasks=(
            Task(
                name="w",
                segments=tuple(
                    Segment(name=f"s{k}", kind=kind, duration=Deterministic(time * 1e-6))
                    for k, (kind, time) in enumerate(segments)
                ),
            ),
        ),
        cold_start=cold,
    )


COMPUTING = ((SegmentKind.PYTHON, 250.0),)
RELEASING = ((SegmentKind.PYTHON, 100.0), (SegmentKind.RELEASED_NATIVE, 300.0))


@pytest.fixture
def model(profile: Profile) -> CrowdModel:
    """A crowd whose control costs what the model says."""
    plain = CrowdModel(profile.runtime("3.13.0"), profile.machine, {})
    control = workload((SegmentKind.PYTHON, 100.0))
    alone = plain.cost(control, 1, 1e-3).task_time
    controls = {c: plain.cost(control, *c).task_time / alone for c in POINTS}
    return CrowdModel(profile.runtime("3.13.0"), profile.machine, controls)


def measured(model: CrowdModel, truth: Workload, warm: Workload) -> tuple[CrowdPoint, ...]:
    """Crowds as if the truth had been measured."""
    alone = model.cost(warm, 1, 1e-3).task_time
    return tuple(
        CrowdPoint(
            threads=threads,
            interval=interval,
            cores=cores,
            cycles=((alone, model.cost(truth, threads, interval, cores).task_time),),
            controls=((1e-4, model.controls[threads, interval, cores] * 1e-4),),
        )
        for threads, interval, cores in POINTS
    )


@pytest.mark.parametrize("segments", [COMPUTING, RELEASING], ids=["computing", "releasing"])
def test_known_slow_downs_are_recovered(model: CrowdModel, segments):
    truth = ColdStart(crowded=0.25, growth=0.7, moved=0.5, halved_after=8e-4)
    points = measured(model, workload(*segments, cold=truth), workload(*segments))
    found = model.cold_start(points, workload(*segments))
    assert found is not None
    assert found.moved == pytest.approx(truth.moved, abs=0.1)
    assert found.crowded == pytest.approx(truth.crowded, abs=0.1)
    assert found.halved_after == pytest.approx(truth.halved_after, rel=0.5)
    for point in points:
        shown = model.cost(workload(*segments, cold=found), *point.condition)
        assert shown.task_time / point.cycles[0][1] == pytest.approx(1, abs=0.04)


def test_a_crowd_that_pays_only_for_its_hand_offs_has_warm_caches(model: CrowdModel):
    warm = workload(*RELEASING)
    found = model.cold_start(measured(model, warm, warm), warm)
    assert found is not None
    assert found.moved < 0.03
    assert found.crowded < 0.05


def test_what_the_control_pays_more_than_the_model_says_is_no_cold_cache(model: CrowdModel):
    truth = replace(WARM, moved=0.2)
    warm = workload(*COMPUTING)
    points = measured(model, workload(*COMPUTING, cold=truth), warm)
    # The control pays as much more, for each switch that is forced on it.
    control = workload((SegmentKind.PYTHON, 100.0), cold=truth)
    alone = model.cost(workload((SegmentKind.PYTHON, 100.0)), 1, 1e-3).task_time
    controls = {c: model.cost(control, *c).task_time / alone for c in POINTS}
    same = CrowdModel(model.runtime, model.machine, controls)
    unexplained, explained = model.cold_start(points, warm), same.cold_start(points, warm)
    assert unexplained is not None
    assert explained is not None
    assert unexplained.moved == pytest.approx(0.2, abs=0.03)
    assert explained.moved < 0.05


def test_of_a_program_that_releases_all_the_time_nothing_is_said(model: CrowdModel):
    chatty = workload(*[(SegmentKind.PYTHON, 5.0), (SegmentKind.RELEASED_NATIVE, 1.0)] * 20)
    assert model.cold_start(measured(model, chatty, chatty), chatty) is None


def test_without_a_gil_a_crowd_is_one_of_processes(profile: Profile):
    """Threads of one process begin on one core, and the balancer takes its time."""
    runtime = profile.runtime("3.13.5t")
    cold = ColdStart(crowded=0.4, growth=1.0, moved=0.0, halved_after=1e-3)
    computing = workload((SegmentKind.PYTHON, 1700.0), cold=cold)
    time = 2.0
    processes = Scenario(
        workload=computing,
        arrivals=Closed(),
        layout=Layout(build="3.13.5t", processes=8, gil=GilMode.DISABLED),
        runtime=runtime,
        machine=profile.machine,
        run_time=time,
        seed=1,
    )
    task_time = profile.machine.cores * time / simulate(processes).completions
    found = CrowdModel(runtime, profile.machine, {}).cost(computing, 8, 3e-3, 2)
    assert found.task_time == pytest.approx(task_time, rel=0.05)


def test_without_a_gil_there_are_no_signals_in_vain(profile: Profile):
    model = CrowdModel(profile.runtime("3.13.5t"), profile.machine, {(4, 3e-3, 1): 1.0})
    chatty = workload(*[(SegmentKind.PYTHON, 5.0), (SegmentKind.RELEASED_NATIVE, 1.0)] * 20)
    time = model.cost(chatty, 1, 3e-3).task_time
    point = CrowdPoint(
        threads=4, interval=3e-3, cores=1, cycles=((time, 1.3 * time),), controls=((1e-4, 1e-4),)
    )
    found = model.cold_start((point,), chatty)
    assert found is not None
    assert found.crowded > 0


def test_crowd_without_a_completed_task_says_nothing(model: CrowdModel):
    assert model.cold_start((), workload(*COMPUTING)) is None


def test_where_only_two_threads_completed_tasks_these_tell_all(model: CrowdModel):
    truth = replace(WARM, moved=0.6, halved_after=4e-4)
    points = measured(model, workload(*COMPUTING, cold=truth), workload(*COMPUTING))
    found = model.cold_start(tuple(p for p in points if p.cores == 2), workload(*COMPUTING))
    assert found is not None
    assert found.moved == pytest.approx(0.6, rel=0.25)
    assert found.crowded == 0.0


def test_pairs_that_contradict_each_other_are_met_in_the_middle(model: CrowdModel):
    """The program gives up the GIL before either interval ends: both should say the same."""
    warm = workload(*RELEASING)
    alone = model.cost(warm, 1, 1e-3).task_time
    points = tuple(
        CrowdPoint(
            threads=2,
            interval=interval,
            cores=2,
            cycles=((alone, ratio * alone),),
            controls=((1e-4, model.controls[2, interval, 2] * 1e-4),),
        )
        for interval, ratio in ((1e-4, 1.1), (1e-3, 1.3))
    )
    found = model.cold_start(points, warm)
    assert found is not None
    for point in points:
        shown = model.cost(workload(*RELEASING, cold=found), *point.condition)
        assert shown.task_time / alone == pytest.approx(1.2, abs=0.03)


def test_without_a_gil_only_turns_on_the_cores_count(profile: Profile):
    model = CrowdModel(profile.runtime("3.13.5t"), profile.machine, {(4, 3e-3, 1): 1.0})
    warm = workload(*COMPUTING)
    alone = model.cost(warm, 1, 3e-3).task_time
    point = CrowdPoint(
        threads=4, interval=3e-3, cores=1, cycles=((alone, 1.2 * alone),), controls=((1e-4, 1e-4),)
    )
    found = model.cold_start((point,), warm)
    assert found is not None
    assert found.moved == 0.0
    shown = model.ratio(warm, found, point.condition, alone)
    assert shown == pytest.approx(1.2, abs=0.03)
