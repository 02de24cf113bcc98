"""The study is balanced; measuring survives failures and Ctrl-C; rows and errors add up."""

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gilplan.calibration import pairing, validation
from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.crowd import CrowdPoint
from gilplan.calibration.pairing import PairedRun, Turns
from gilplan.calibration.realrun import RealRun, shipped_programs
from gilplan.calibration.steps import StepSamples, StepTimes
from gilplan.calibration.study import SWITCH_INTERVALS, Cell, Study, balanced_cells
from gilplan.calibration.validation import (
    Measurements,
    compare,
    measure,
    validate,
)
from gilplan.calibration.validation_result import METHODS, Row
from gilplan.model.bounds import processor_sharing
from gilplan.model.errors import GilplanError, MachineBusy
from gilplan.model.layout import GilMode, Layout
from gilplan.model.prediction import Prediction
from gilplan.model.statistics import Interval
from gilplan.model.workload import SegmentKind, Work, Workload

PROGRAMS = shipped_programs()
BUILDS = [
    Build(path="a", version=(3, 11, 7), shared_gil_module="m"),
    Build(path="b", version=(3, 13, 0), shared_gil_module="m", own_gil_module="m"),
    Build(path="c", version=(3, 13, 5), free_threaded=True),
]
MODES = {mode for build in BUILDS for mode in build.answers}


def flat(mean: float) -> Interval:
    return Interval(mean=mean, lower=0.9 * mean, upper=1.1 * mean)


def rule_of_thumb(workload: Workload, layout: Layout) -> Prediction:
    """A closed form in the simulation's place: ideal sharing of cores and GIL."""
    throughput = processor_sharing(workload, layout, 2)
    return Prediction(
        layout=layout,
        throughput=flat(throughput),
        response_time={"p50": flat(layout.workers / throughput)},
        gil_utilisation=flat(1.0),
        core_utilisation=flat(1.0),
        breakdown={},
        replications=1,
        seed=0,
    )


def interrupted_prediction(workload: Workload, layout: Layout) -> Prediction:
    raise KeyboardInterrupt


def no_prediction(workload: Workload, layout: Layout) -> Prediction:
    raise GilplanError("no task completed")


def test_study_covers_every_program_build_mode_interval_and_worker_count():
    for study in (Study.quick(BUILDS, PROGRAMS, seed=1), Study.full(BUILDS, PROGRAMS, seed=1)):
        layouts = [cell.layout for cell in study.cells]
        assert {cell.program for cell in study.cells} == set(PROGRAMS)
        assert {cell.mode for cell in study.cells} == MODES
        assert {layout.build for layout in layouts} == {build.name for build in BUILDS}
        assert {layout.switch_interval for layout in layouts} == set(SWITCH_INTERVALS)
        assert {layout.workers for layout in layouts} == {1, 2, 4, 8}


def test_full_study_has_at_least_200_distinct_cells():
    cells = Study.full(BUILDS, PROGRAMS, seed=1).cells
    assert len(set(cells)) == len(cells) >= 200


def test_full_study_uses_all_programs_about_equally_often():
    counts = Counter(cell.program for cell in Study.full(BUILDS, PROGRAMS, seed=1).cells)
    assert max(counts.values()) <= 1.5 * min(counts.values())


def test_same_seed_same_cells_other_seed_others():
    one, same, other = (balanced_cells(BUILDS, PROGRAMS, count=40, seed=seed) for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_study_of_few_candidates_takes_them_all():
    cells = balanced_cells(BUILDS[2:], ["nbody"], count=500, seed=1)
    assert len(cells) == 4 + 6


def test_layouts_in_a_study_match_their_mode():
    for cell in balanced_cells(BUILDS, PROGRAMS, count=100, seed=2):
        assert cell.layout.mode in (cell.mode, "mixed") or cell.layout.workers == 1
        assert (cell.layout.gil is GilMode.DISABLED) == cell.layout.build.endswith("t")


CELL = Cell(
    program="p",
    mode="threads",
    layout=Layout(build="3.13.0", threads=2, gil=GilMode.OWN, switch_interval=0.001),
)
TURNS = Turns(count=4, window=0.02, reference_window=0.02, warmup=0.0, uninterrupted=0.1)
STUDY = Study(cells=(CELL,), repeats=1, turns=TURNS, seed=5)


def measured_at(*rates: int) -> Measurements:
    """A held step of 10 ms; one run of two workers with a turn per rate, in tasks per second.

    The single thread does 100 tasks per second beside it.
    """
    times = (0.010, 0.010)
    step = StepTimes(name="s", kind=SegmentKind.PYTHON, work=Work.BYTECODE, times=times)
    reference = StepSamples(program="p", steps=(step,), whole=times)
    measurements = Measurements()
    measurements.add_steps("3.13.0", reference)
    rate = round(np.mean(rates))
    run = RealRun(
        layout=CELL.layout,
        completed_at=(tuple((n + 1) / rate for n in range(2 * rate)), ()),
        window=(0.0, 1.0),
    )
    measurements.runs[CELL] = [
        PairedRun(
            run=run,
            uninterrupted=run,
            rates=tuple(map(float, rates)),
            reference_rates=(100.0,) * len(rates),
            reference=reference,
        )
    ]
    return measurements


def test_cold_caches_are_fitted_alike_by_workers_and_say_how_far_they_are(profile):
    measurements = measured_at(80, 80)
    point = CrowdPoint(
        threads=2, interval=0.001, cores=2, cycles=((0.010, 0.012),), controls=((1e-4, 1.05e-4),)
    )
    measurements.crowds["3.13.0", "p"] = (point,)
    steps: list[tuple[str, int, int]] = []
    alone = measurements.workloads(profile, progress=lambda *step: steps.append(step))
    with ThreadPoolExecutor(2) as executor:
        assert measurements.workloads(profile, executor=executor) == alone
    assert alone["3.13.0", "p"].cold_start is not None
    assert steps == [("fitted p on 3.13.0", 1, 1)]


@pytest.mark.parametrize("busy", [1, 2])
def test_turns_that_something_else_took_are_tried_once_more(monkeypatch, busy: int):
    study = replace(STUDY, cells=(CELL,), repeats=1)
    known = measured_at(80)
    answers = iter([MachineBusy("too few turns")] * busy + [known.runs[CELL][0]])

    def measured(*_: object) -> PairedRun:
        answer = next(answers)
        if isinstance(answer, MachineBusy):
            raise answer
        return answer

    steps = known.steps["3.13.0", "p"]
    monkeypatch.setattr(pairing, "_measured_in_turns", measured)
    monkeypatch.setattr(validation, "measure_steps", lambda *_, **__: steps)
    monkeypatch.setattr(validation, "measure_crowd", lambda *_, **__: ())
    found = measure(study, BUILDS, {"p": Path("p.py")})
    assert (CELL in found.runs) == (busy == 1)
    assert (CELL in found.failures) == (busy == 2)


def test_a_cell_whose_runs_differ_by_far_more_than_the_others_runs_a_third_time(monkeypatch):
    cells = tuple(replace(CELL, program=f"p{number}") for number in range(12))
    study = replace(STUDY, cells=cells, repeats=2)
    known = measured_at(80, 80)
    steps, usual = known.steps["3.13.0", "p"], known.runs[CELL][0]
    rng = np.random.default_rng(9)
    ran: Counter[str] = Counter()

    def measured(_build: Build, program: Path, *_: object) -> PairedRun:
        ran[program.stem] += 1
        odd = program.stem == "p7" and ran["p7"] == 2
        rate = 40.0 if odd else 80 * (1 + 0.01 * rng.standard_normal())
        return replace(usual, rates=(rate, rate), reference=replace(steps, program=program.stem))

    monkeypatch.setattr(validation, "measure_paired", measured)
    monkeypatch.setattr(
        validation, "measure_steps", lambda _, path, **__: replace(steps, program=path.stem)
    )
    monkeypatch.setattr(validation, "measure_crowd", lambda *_, **__: ())
    told: list[tuple[int, int]] = []
    programs = {cell.program: Path(f"{cell.program}.py") for cell in cells}
    found = measure(
        study, BUILDS, programs, progress=lambda _, done, total: told.append((done, total))
    )
    assert len(found.runs[cells[7]]) == 3
    again = sum(len(runs) - 2 for runs in found.runs.values())
    # Beside it a cell or two by chance.
    assert again <= 3
    assert told[-1] == (24 + again, 24 + again)
    assert np.median([run.relative_throughput for run in found.runs[cells[7]]]) > 0.75


def test_row_compares_prediction_with_the_mean_of_the_turns(profile):
    row = compare(STUDY, measured_at(70, 90, 80), rule_of_thumb, profile=profile).rows[0]
    assert row.measured == pytest.approx(80)
    assert row.predicted == pytest.approx(100)
    assert row.error == pytest.approx(0.25)
    assert row.repeatability == pytest.approx(1.645 * 10 / np.sqrt(3) / 80, rel=0.01)
    assert row.error_processor_sharing == pytest.approx(0.25)
    assert row.predicted_p50 == pytest.approx(0.020)
    assert row.predicted_p99 is None
    assert row.measured_p50 == pytest.approx(1 / 80, rel=0.15)


def test_two_runs_that_differ_make_a_row_less_repeatable(profile):
    measurements = measured_at(80, 80)
    (run,) = measurements.runs[CELL]
    other = replace(run, rates=(88.0, 88.0))
    measurements.runs[CELL] = [run, other]
    row = compare(STUDY, measurements, rule_of_thumb, profile=profile).rows[0]
    # Means of two: the standard error is half their difference.
    assert row.repeatability == pytest.approx(1.645 * 4 / 84, rel=0.01)


def test_machine_that_is_slower_for_both_sides_changes_nothing(profile):
    measurements = measured_at(70, 90, 80)
    run = measurements.runs[CELL][0]
    slow = replace(run, rates=(35.0, 45.0, 40.0), reference_rates=(50.0,) * 3)
    measurements.runs[CELL] = [slow]
    assert compare(STUDY, measurements, rule_of_thumb, profile=profile).rows[
        0
    ].measured == pytest.approx(80)


def test_cell_that_cannot_be_predicted_has_a_reason_instead_of_a_row(profile):
    validation = compare(STUDY, measured_at(80, 80), no_prediction, profile=profile)
    assert validation.rows == ()
    assert [each.reason for each in validation.skipped] == ["no task completed"]


def test_summary_tells_errors_coverage_and_what_is_left_beyond_the_noise(profile):
    summaries = compare(STUDY, measured_at(70, 90, 80), rule_of_thumb, profile=profile).summaries()
    assert [each.method for each in summaries] == list(METHODS)
    own = summaries[0]
    assert (own.cells, own.median, own.worst) == (1, pytest.approx(0.25), pytest.approx(0.25))
    noise = 1.645 * 10 / np.sqrt(3) / 80
    net = pytest.approx(0.25 - noise, rel=0.01)
    assert (own.median_net, own.percentile_90_net, own.worst_net) == (net, net, net)
    assert own.coverage == 0.0
    covered = compare(STUDY, measured_at(98, 102), rule_of_thumb, profile=profile).summaries()[0]
    assert covered.coverage == 1.0


def test_net_errors_have_each_rows_own_noise_taken_off(profile):
    found = compare(STUDY, measured_at(80, 80), rule_of_thumb, profile=profile)
    errors = ((0.1, 0.1), (-0.2, 0.05), (0.3, 0.25))
    rows = tuple(replace(found.rows[0], error=e, repeatability=r) for e, r in errors)
    own = replace(found, rows=rows).summaries()[0]
    nets = (own.median_net, own.percentile_90_net, own.worst_net)
    assert nets == pytest.approx((0.05, 0.13, 0.15))


def test_failed_cell_has_a_reason_instead_of_a_row(profile):
    measurements = measured_at(80, 80)
    measurements.failures[CELL] = "it crashed"
    validation = compare(STUDY, measurements, rule_of_thumb, profile=profile)
    assert validation.rows == ()
    assert [(each.cell, each.reason) for each in validation.skipped] == [(CELL, "it crashed")]
    assert validation.summaries() == ()


def test_interrupt_while_predicting_is_reported(profile):
    validation = compare(STUDY, measured_at(80, 80), interrupted_prediction, profile=profile)
    assert validation.interrupted
    assert validation.rows == ()


def test_saved_files_hold_the_rows(tmp_path, profile):
    import pandas as pd

    validation = compare(STUDY, measured_at(70, 90, 80), rule_of_thumb, profile=profile)
    validation.save(tmp_path / "v.csv", tmp_path / "v.json")
    assert list(pd.read_csv(tmp_path / "v.csv").columns) == list(Row.__dataclass_fields__)
    saved = json.loads((tmp_path / "v.json").read_text())
    assert saved["rows"][0]["measured"] == pytest.approx(80)
    assert saved["seed"] == STUDY.seed
    assert sorted(os.listdir(tmp_path)) == ["v.csv", "v.json"]


def test_measuring_goes_on_after_a_build_that_does_not_start():
    build = Build(path="/nowhere/python", version=(3, 13, 0))
    measurements = measure(STUDY, [build], {"p": PROGRAMS["nbody"]})
    assert "does not start" in measurements.failures[CELL]
    assert not measurements.interrupted


@pytest.mark.interpreters
def test_interrupt_while_measuring_leaves_the_rows_measured_so_far(profile_of):
    build = find_builds()[0][0]
    study = Study(
        cells=balanced_cells([build], ["nbody", "json_transform"], count=4, seed=1),
        repeats=2,
        turns=TURNS,
        seed=1,
    )

    def interrupt(_text: str, done: int, _total: int) -> None:
        if done and not reached:
            reached.append(done)
            raise KeyboardInterrupt

    reached: list[int] = []
    validation = validate(
        study, [build], PROGRAMS, rule_of_thumb, profile=profile_of(build), progress=interrupt
    )
    assert validation.interrupted
    assert len(validation.rows) == reached[0] < len(study.cells)


@pytest.mark.interpreters
def test_validation_on_a_real_build_gives_a_row_per_cell(profile_of):
    build = find_builds()[0][0]
    study = Study(
        cells=balanced_cells([build], ["nbody", "json_transform"], count=3, seed=1),
        repeats=2,
        turns=TURNS,
        cold_time=0.5,
        seed=1,
    )
    validation = validate(study, [build], PROGRAMS, rule_of_thumb, profile=profile_of(build))
    assert len(validation.rows) + len(validation.skipped) == 3
    assert all(row.measured > 0 for row in validation.rows)
    assert list(validation.frame()["build"].unique()) == [build.name]
