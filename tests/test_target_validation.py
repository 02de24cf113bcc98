"""The user's own callable, predicted and run for real."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from gilplan.calibration import target_validation
from gilplan.calibration.builds import find_builds
from gilplan.calibration.observation.observation import Observation, observed_from
from gilplan.calibration.observation.target_program import program_of
from gilplan.calibration.pairing import PairedRun
from gilplan.calibration.realrun import RealRun, measure_steps, run_for_real
from gilplan.calibration.steps import StepSamples
from gilplan.calibration.study import natural_gil
from gilplan.calibration.target_validation import turns_for, validate_target, with_cold_start
from gilplan.model.durations import Deterministic
from gilplan.model.errors import InvalidValue, MeasurementFailed
from gilplan.model.layout import Layout
from gilplan.model.prediction import Prediction
from gilplan.model.statistics import Interval
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner.cli import main
from gilplan.planner.target_tables import target_csv, target_table

pytestmark = pytest.mark.interpreters
BUILDS = find_builds()[0]
NAMES = [build.name for build in BUILDS]
#: Long enough for four threads to have turns on a machine whose cores others take for a while: in
#: 0.1 s one of them once had none.
TURNS_TIME = 1.0
APP = """
import sys, threading
LOADED = []
def task():
    print("what a program prints", "x" * 10_000)
    print("is not an answer", "x" * 10_000, file=sys.stderr)
    return sum(range(3000))
def lacks():
    import no_such_package
def raises():
    raise ValueError("no luck")
def leaves():
    sys.exit(3)
def hangs():
    threading.Event().wait()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


def layout_of(build, **fields) -> Layout:
    return Layout(build=build.name, gil=natural_gil(build), **fields)


@pytest.mark.parametrize("build", BUILDS, ids=NAMES)
def test_a_callable_runs_in_threads_and_processes_of_every_build_whatever_it_prints(build, app):
    with program_of(f"{app}:task") as program:
        steps = measure_steps(build, program, time=0.05)
        layout = layout_of(build, processes=2, threads=2)
        run = run_for_real(build, program, layout, warmup=0.02, time=TURNS_TIME)
    assert [step.name for step in steps.steps] == ["task"]
    assert len(run.completed_at) == 4
    assert all(run.completed_at)


@pytest.mark.parametrize("build", [b for b in BUILDS if b.own_gil_module], ids=lambda b: b.name)
def test_a_callable_runs_in_interpreters_of_its_own_gil(build, app):
    with program_of(f"{app}:task") as program:
        layout = layout_of(build, interpreters=2, threads=2)
        run = run_for_real(build, program, layout, warmup=0.02, time=TURNS_TIME)
    assert all(run.completed_at)


def test_threads_share_the_target_s_module_as_they_would_in_the_program(tmp_path):
    path = tmp_path / "once.py"
    seen = tmp_path / "seen"
    path.write_text(f"open({str(seen)!r}, 'a').write('x')\ndef task(): return 1\n")
    with program_of(f"{path}:task") as program:
        run_for_real(BUILDS[-1], program, layout_of(BUILDS[-1], threads=4), warmup=0.0, time=0.05)
    assert seen.read_text() == "x"


def made_up(build) -> tuple[Observation, Prediction, Layout]:
    layout = layout_of(build, threads=2)
    segment = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(1e-4))
    workload = Workload(
        name="w",
        tasks=(Task(name="t", segments=(segment,)),),
        observed=observed_from("exact", [(1e-4, 0.0, 0.0)] * 5, "made up"),
    )
    interval = Interval(mean=1000.0, lower=900.0, upper=1100.0)
    times = {name: Interval(mean=1e-3, lower=5e-4, upper=2e-3) for name in ("p50", "p95", "p99")}
    prediction = Prediction(
        layout=layout,
        throughput=interval,
        response_time=times,
        gil_utilisation=interval,
        core_utilisation=interval,
        breakdown={},
        replications=1,
        seed=0,
    )
    return Observation(workload=workload), prediction, layout


def test_predicted_and_measured_stand_side_by_side(app):
    build = BUILDS[-1]
    observation, prediction, layout = made_up(build)
    target = f"{app}:task"
    with program_of(target) as program:
        found = validate_target(
            target, program, [layout], {build.name: build}, observation, [prediction]
        )
    (row,) = found.rows
    assert row.throughput.predicted == 1000.0
    assert row.throughput.measured > 0
    assert row.throughput.error == pytest.approx(1000 / row.throughput.measured - 1)
    p50, p99 = row.response_time["p50"].measured, row.response_time["p99"].measured
    assert 0 < p50 <= p99
    (record,) = csv.DictReader(target_csv(found).splitlines())
    assert float(record["throughput_measured"]) == row.throughput.measured
    assert json.loads(json.dumps(found.to_json()))["rows"][0]["layout"] == str(layout)
    assert target_table(found).row_count == 1


def test_what_a_core_s_speed_of_the_moment_adds_comes_off(monkeypatch):
    build = BUILDS[-1]
    observation, prediction, layout = made_up(build)
    empty = RealRun(layout=layout, completed_at=((0.1, 0.2, 0.3),), window=(0.0, 1.0))
    slowness = (0.3, -0.3, 0.2, -0.2)
    run = PairedRun(
        run=empty,
        uninterrupted=empty,
        rates=tuple(200 * math.exp(-each) for each in slowness),
        reference_rates=(100.0,) * 4,
        reference=StepSamples(program="p", steps=(), whole=(0.01,) * 4),
        slowness=slowness,
    )
    monkeypatch.setattr(target_validation, "measure_paired", lambda *_: run)
    found = validate_target(
        "t", Path(__file__), [layout], {build.name: build}, observation, [prediction]
    )
    throughput = found.rows[0].throughput
    assert throughput.repeatability < 0.2 * run.standard_error / run.relative_throughput
    assert throughput.measured / run.reference.rate == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lacks", "lacks the module 'no_such_package', which the target imports: install it"),
        ("raises", "ValueError: no luck"),
        ("leaves", "SystemExit: 3"),
    ],
)
def test_a_callable_that_cannot_run_is_skipped_with_the_reason(name, told, app, profile_of):
    build = BUILDS[-1]
    observation, prediction, layout = made_up(build)
    with program_of(f"{app}:{name}") as program:
        found = validate_target(
            name, program, [layout], {build.name: build}, observation, [prediction]
        )
        with pytest.raises(MeasurementFailed, match=r"no luck|module|SystemExit"):
            with_cold_start(observation.workload, build, program, profile_of(build))
    assert found.rows == ()
    assert told in found.skipped[str(layout)]


def test_without_a_profile_of_the_build_cold_caches_are_not_measured(app, profile):
    build = BUILDS[-1]
    observation, _, _ = made_up(build)
    with program_of(f"{app}:task") as program:
        with pytest.raises(MeasurementFailed, match="gilplan calibrate"):
            with_cold_start(observation.workload, build, program, None)
        with pytest.raises(MeasurementFailed, match=build.name):
            with_cold_start(observation.workload, build, program, replace(profile, runtimes=()))


def test_turns_hold_several_tasks_each():
    for task_time in (1e-4, 0.02, 0.5):
        turns = turns_for(task_time)
        assert turns.window >= 6 * task_time
        assert turns.reference_window >= 3 * task_time
        assert turns.count >= 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["app.py:task"], "TARGET and --layout go together"),
        (["--layout", "3.13"], "TARGET and --layout go together"),
    ],
)
def test_a_target_needs_layouts_and_layouts_a_target(arguments, told, capsys):
    assert main(["validate", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_a_target_that_is_not_there_is_refused():
    with pytest.raises(InvalidValue, match="a file that is there"), program_of("absent.py:f"):
        pass
