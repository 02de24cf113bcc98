"""Predicted beside measured: run a study's cells for real and compare.

The machine's speed drifts, so each cell is measured in turns with a single thread of the same
program (see `pairing`), in several rounds over all cells, and brought to the usual speed of the
cores (see `even_speed`). Its measured throughput is the one relative to the single thread's, times
the single thread's over the whole study. How repeatable
that is say the scatter of the turns within a run, and the scatter between runs of a cell (see
`repeatability`): where a process's memory happens to lie makes it some per cent faster or slower
for all its life.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.crowd import CrowdPoint, control_ratios, measure_crowd
from gilplan.calibration.crowd_model import CrowdModel
from gilplan.calibration.crowd_pooling import pooled as pooled_crowds
from gilplan.calibration.even_speed import closeness_by
from gilplan.calibration.model_error import Regime, held_out
from gilplan.calibration.other_builds import see_on_builds
from gilplan.calibration.pairing import PairedRun, Turns, measure_paired
from gilplan.calibration.profile import Profile
from gilplan.calibration.realrun import measure_steps
from gilplan.calibration.repeatability import (
    at_usual_speed,
    cells_that_disagree,
    runs_worth,
    scatters_by_regime,
)
from gilplan.calibration.steps import StepSamples, workload_from_steps
from gilplan.calibration.study import Cell, Study
from gilplan.calibration.validation_result import Row, Skipped, Validation
from gilplan.model.bounds import amdahl, one_interval_rule, processor_sharing
from gilplan.model.errors import GilplanError, MeasurementFailed
from gilplan.model.layout import Layout
from gilplan.model.prediction import Prediction
from gilplan.model.seen_on import SeenOn
from gilplan.model.statistics import Interval
from gilplan.model.workload import Workload

#: What predicts a layout; picklable when an executor is given.
Predict = Callable[[Workload, Layout], Prediction]
#: Told after each step of the work: what is done, how much of how much.
Progress = Callable[[str, int, int], None]

PERCENTILES = (50, 95, 99)
#: A cell is measured again when the host took more than this share of the processor time.
STEAL_LIMIT = 0.02
STEAL_RETRIES = 2
#: A 90 % interval's half-width in standard deviations of a normal.
Z90 = 1.6448536269514722


@dataclass(slots=True, kw_only=True)
class Measurements:
    """What has been measured so far; grows while the study runs."""

    runs: dict[Cell, list[PairedRun]] = field(default_factory=dict)
    steps: dict[tuple[str, str], StepSamples] = field(default_factory=dict)
    crowds: dict[tuple[str, str], tuple[CrowdPoint, ...]] = field(default_factory=dict)
    seen: dict[tuple[str, str], tuple[SeenOn, ...]] = field(default_factory=dict)
    failures: dict[Cell, str] = field(default_factory=dict)
    interrupted: bool = False

    def add_steps(self, build: str, samples: StepSamples) -> None:
        key = (build, samples.program)
        self.steps[key] = self.steps[key].joined(samples) if key in self.steps else samples

    def workloads(
        self,
        profile: Profile,
        *,
        executor: Executor | None = None,
        progress: Progress | None = None,
    ) -> dict[tuple[str, str], Workload]:
        """Return what each program demands under each build, by (build, program).

        What cold caches cost is fitted for one after the other, or by the executor's workers.
        """
        pooled = pooled_crowds(self.crowds)
        by_build: dict[str, list[tuple[CrowdPoint, ...]]] = {}
        for (build, _), crowd in self.crowds.items():
            by_build.setdefault(build, []).append(crowd)
        models = {
            build: CrowdModel(profile.runtime(build), profile.machine, control_ratios(crowds))
            for build, crowds in by_build.items()
        }
        closeness = closeness_by(self.runs, lambda cell: cell.program)
        follows = {program: found.within for program, found in closeness.items()}
        found = {
            (build, program): replace(
                workload_from_steps(
                    program, samples.at_even_speed(follows.get(program, 0.0)), build
                ),
                seen_on=self.seen.get((build, program), ()),
            )
            for (build, program), samples in self.steps.items()
        }
        keys = [key for key in found if pooled.get(key)]
        colds = (executor.map if executor is not None else map)(
            CrowdModel.cold_start,
            [models[build] for build, _ in keys],
            [pooled[key] for key in keys],
            [found[key] for key in keys],
        )
        for done, (key, cold) in enumerate(zip(keys, colds, strict=True), 1):
            found[key] = replace(found[key], cold_start=cold)
            if progress is not None:
                build, program = key
                progress(f"fitted {program} on {build}", done, len(keys))
        return found


def validate(
    study: Study,
    builds: Sequence[Build],
    programs: Mapping[str, Path],
    predict: Predict,
    *,
    profile: Profile,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Measure the study's cells, predict them, and compare.

    ``profile`` is that of the machine and the builds. Ctrl-C while measuring leaves
    the rows of what was measured so far; a second one while predicting, what was predicted.
    """
    measurements = measure(study, builds, programs, progress=progress)
    return compare(
        study, measurements, predict, profile=profile, executor=executor, progress=progress
    )


def measure(
    study: Study,
    builds: Sequence[Build],
    programs: Mapping[str, Path],
    *,
    progress: Progress | None = None,
) -> Measurements:
    """Run all rounds of the study in the order that its seed fixes; failed cells only once.

    Cells whose runs differ by more than is usual run once more.
    """
    measurements = Measurements()
    by_name = {build.name: build for build in builds}

    def run(cells: Iterable[Cell], done: int, total: int) -> None:
        for number, cell in enumerate(cells, done + 1):
            build = by_name[cell.layout.build]
            _measure_cell(study, cell, build, programs[cell.program], measurements)
            if progress is not None:
                progress(str(cell), number, total)

    planned = study.repeats * len(study.cells)
    try:
        run(_schedule(study), 0, planned)
        cores = len(os.sched_getaffinity(0))
        again = cells_that_disagree(at_usual_speed(measurements.runs, cores), cores)
        run(again, planned, planned + len(again))
    except KeyboardInterrupt:
        measurements.interrupted = True
    return measurements


def _schedule(study: Study) -> Iterator[Cell]:
    """Yield the cells of every round, each round in a random order of its own."""
    rng = np.random.default_rng(np.random.SeedSequence(entropy=study.seed, spawn_key=(1,)))
    for _ in range(study.repeats):
        for index in rng.permutation(len(study.cells)):
            yield study.cells[index]


def _measure_cell(
    study: Study, cell: Cell, build: Build, program: Path, into: Measurements
) -> None:
    if cell in into.failures:
        return
    try:
        if (build.name, cell.program) not in into.steps:
            into.add_steps(build.name, measure_steps(build, program, time=0.05))
            crowd = measure_crowd(build, program, time=study.cold_time)
            into.crowds[build.name, cell.program] = crowd
        if build.free_threaded and cell.layout.threads > 1:
            _see_threads(study, cell.program, build, program, into)
        run = _undisturbed(build, program, cell.layout, study.turns)
    except MeasurementFailed as failure:
        into.failures[cell] = str(failure)
        return
    into.runs.setdefault(cell, []).append(run)
    into.add_steps(build.name, run.reference)


def _see_threads(study: Study, name: str, build: Build, program: Path, into: Measurements) -> None:
    """Measure what the program's threads cost each other without a GIL, as `observe` does."""
    key = (build.name, name)
    if key not in into.seen:
        alone = workload_from_steps(name, into.steps[key], build.name)
        workload, _ = see_on_builds(program, alone, build, [build], turns=study.turns)
        into.seen[key] = workload.seen_on


def _undisturbed(build: Build, program: Path, layout: Layout, turns: Turns) -> PairedRun:
    """Measure in turns, again while the host takes much away; return the least disturbed run.

    What the host takes, it takes from layouts that use all cores more than from the single
    thread beside them, so that their turns do not cancel it.
    """
    limit = STEAL_LIMIT * turns.time_of(layout) * len(os.sched_getaffinity(0))
    best = measure_paired(build, program, layout, turns)
    for _ in range(STEAL_RETRIES):
        if best.run.steal_time <= limit:
            break
        again = measure_paired(build, program, layout, turns)
        best = min(best, again, key=lambda one: one.run.steal_time)
    return best


def compare(
    study: Study,
    measurements: Measurements,
    predict: Predict,
    *,
    profile: Profile,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Predict the cells that were measured without failure and set both side by side."""
    cells = [
        cell
        for cell in study.cells
        if cell in measurements.runs and cell not in measurements.failures
    ]
    cores = profile.machine.cores
    workloads = measurements.workloads(profile, executor=executor, progress=progress)
    wanted = [workloads[cell.layout.build, cell.program] for cell in cells]
    layouts = [cell.layout for cell in cells]
    rows: list[Row] = []
    failures = dict(measurements.failures)
    interrupted = measurements.interrupted
    attempt = partial(_attempt, predict)
    predictions = (executor.map if executor is not None else map)(attempt, wanted, layouts)
    measured = at_usual_speed({cell: measurements.runs[cell] for cell in cells}, cores)
    scatters = scatters_by_regime(measured, cores)
    try:
        for cell, workload, prediction in zip(cells, wanted, predictions, strict=True):
            if isinstance(prediction, str):
                failures[cell] = prediction
                continue
            single = measurements.steps[cell.layout.build, cell.program].rate
            regime = Regime.of(cell.layout, cores)
            scatter = scatters[regime]
            row = _row(cell, workload, prediction, measured[cell], single, cores, scatter)
            rows.append(row)
            if progress is not None:
                progress(f"predicted {cell}", len(rows), len(cells))
    except KeyboardInterrupt:
        interrupted = True
    return Validation(
        rows=_with_model_error(rows),
        skipped=tuple(Skipped(cell=cell, reason=reason) for cell, reason in failures.items()),
        seed=study.seed,
        interrupted=interrupted,
    )


def _with_model_error(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Widen each row's interval by the error that the other programs' rows show."""
    error_beside = held_out(rows)
    widened = []
    for row in rows:
        error = error_beside(row)
        if error is None:
            widened.append(row)
            continue
        own = Interval(mean=row.predicted, lower=row.predicted_lower, upper=row.predicted_upper)
        joined = error.widened("throughput", own, Regime(row.regime))
        widened.append(replace(row, predicted_lower=joined.lower, predicted_upper=joined.upper))
    return tuple(widened)


def _attempt(predict: Predict, workload: Workload, layout: Layout) -> Prediction | str:
    """Predict, or say in a line why not: one cell must not cost the others their rows."""
    try:
        return predict(workload, layout)
    except GilplanError as error:
        return str(error)


def _row(
    cell: Cell,
    workload: Workload,
    prediction: Prediction,
    runs: Sequence[PairedRun],
    single: float,
    cores: int,
    scatter: Mapping[str, float],
) -> Row:
    layout = cell.layout
    relative = float(np.median([run.relative_throughput for run in runs]))
    measured = single * relative
    within = float(np.mean([run.standard_error**2 for run in runs]))
    usable = cores if layout.cores is None else layout.cores
    real = {percentile: _response_time(runs, percentile, single) for percentile in PERCENTILES}

    def half_width(measure: str, within: float = 0.0) -> float:
        return Z90 * float(np.sqrt((within + scatter[measure] ** 2) / runs_worth(len(runs))))

    def half_width_of(percentile: int) -> float | None:
        known = real[percentile] is not None and scatter[f"p{percentile}"] > 0
        return half_width(f"p{percentile}") if known else None

    def error(value: float) -> float:
        return (value - measured) / measured if measured else float(value > 0)

    def forecast(percentile: int) -> float | None:
        interval = prediction.response_time.get(f"p{percentile}")
        return None if interval is None else interval.mean

    return Row(
        program=cell.program,
        build=layout.build,
        mode=cell.mode,
        layout=str(layout),
        regime=Regime.of(layout, cores).value,
        workers=layout.workers,
        switch_interval=layout.effective_switch_interval,
        predicted=prediction.throughput.mean,
        predicted_lower=prediction.throughput.lower,
        predicted_upper=prediction.throughput.upper,
        measured=measured,
        repeatability=half_width("throughput", within / relative**2) if measured else None,
        error=error(prediction.throughput.mean),
        error_amdahl=error(amdahl(workload, layout, usable)),
        error_processor_sharing=error(processor_sharing(workload, layout, usable)),
        error_one_interval=error(one_interval_rule(workload, layout, usable)),
        measured_p50=real[50],
        measured_p95=real[95],
        measured_p99=real[99],
        predicted_p50=forecast(50),
        predicted_p95=forecast(95),
        predicted_p99=forecast(99),
        repeatability_p50=half_width_of(50),
        repeatability_p95=half_width_of(95),
        repeatability_p99=half_width_of(99),
        steal_time=sum(run.run.steal_time for run in runs),
    )


def _response_time(runs: Sequence[PairedRun], percentile: int, single: float) -> float | None:
    """Return the median of the runs' percentiles, None where a run completed no task."""
    found = [run.response_time(percentile, single) for run in runs]
    known = [value for value in found if value is not None]
    return float(np.median(known)) if len(known) == len(found) else None
