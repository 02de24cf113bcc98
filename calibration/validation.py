"""Predicted beside measured: run a study's cells for real and compare.

The host's speed drifts, so each cell's prediction rests on steps timed right before and after its
real runs, in the same rounds; the median over rounds is compared with the prediction, and the
rounds' spread says how repeatable the measurement itself is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.builds import Build
from gilplan.calibration.realrun import RealRun, measure_steps, run_for_real
from gilplan.calibration.steps import StepSamples, workload_from_steps
from gilplan.calibration.study import Cell, Study
from gilplan.calibration.validation_result import Row, Skipped, Validation
from gilplan.model.bounds import amdahl, one_interval_rule, processor_sharing
from gilplan.model.errors import MeasurementFailed
from gilplan.model.layout import Layout
from gilplan.model.prediction import Prediction
from gilplan.model.workload import Workload

#: What predicts a layout; picklable when an executor is given.
Predict = Callable[[Workload, Layout], Prediction]
#: Told after each step of the work: what is done, how much of how much.
Progress = Callable[[str, int, int], None]

PERCENTILES = (50, 95, 99)


@dataclass(slots=True, kw_only=True)
class Measurements:
    """What has been measured so far; grows while the study runs."""

    runs: dict[Cell, list[RealRun]] = field(default_factory=dict)
    steps: dict[tuple[str, str], StepSamples] = field(default_factory=dict)
    failures: dict[Cell, str] = field(default_factory=dict)
    interrupted: bool = False

    def add_steps(self, build: str, samples: StepSamples) -> None:
        key = (build, samples.program)
        self.steps[key] = self.steps[key].joined(samples) if key in self.steps else samples


def validate(
    study: Study,
    builds: Sequence[Build],
    programs: Mapping[str, Path],
    predict: Predict,
    *,
    cores: int,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Measure the study's cells, predict them, and compare.

    ``cores`` is what the machine has for layouts that do not say. Ctrl-C while measuring leaves
    the rows of what was measured so far; a second one while predicting, what was predicted.
    """
    measurements = measure(study, builds, programs, progress=progress)
    return compare(study, measurements, predict, cores=cores, executor=executor, progress=progress)


def measure(
    study: Study,
    builds: Sequence[Build],
    programs: Mapping[str, Path],
    *,
    progress: Progress | None = None,
) -> Measurements:
    """Run all rounds of the study in the order that its seed fixes; failed cells only once."""
    measurements = Measurements()
    by_name = {build.name: build for build in builds}
    total = study.repeats * len(study.cells)
    done = 0
    try:
        for block in _schedule(study):
            build = by_name[block[0].layout.build]
            _measure_block(study, block, build, programs[block[0].program], measurements)
            done += len(block)
            if progress is not None:
                progress(f"{block[0].program} under {build.name}", done, total)
    except KeyboardInterrupt:
        measurements.interrupted = True
    return measurements


def _schedule(study: Study) -> Iterator[tuple[Cell, ...]]:
    """Yield the blocks of every round: blocks, and cells in a block, in random order."""
    rng = np.random.default_rng(np.random.SeedSequence(entropy=study.seed, spawn_key=(1,)))
    blocks = study.blocks
    for _ in range(study.repeats):
        for index in rng.permutation(len(blocks)):
            block = blocks[index]
            yield tuple(block[cell] for cell in rng.permutation(len(block)))


def _measure_block(
    study: Study, block: tuple[Cell, ...], build: Build, program: Path, into: Measurements
) -> None:
    """Time the steps, run the cells, time the steps again: a drift in between cancels."""
    waiting = [cell for cell in block if cell not in into.failures]
    if not waiting:
        return
    try:
        into.add_steps(build.name, measure_steps(build, program, time=study.step_time / 2))
    except MeasurementFailed as failure:
        into.failures.update(dict.fromkeys(waiting, str(failure)))
        return
    for cell in waiting:
        try:
            run = run_for_real(build, program, cell.layout, warmup=study.warmup, time=study.time)
            into.runs.setdefault(cell, []).append(run)
        except MeasurementFailed as failure:
            into.failures[cell] = str(failure)
    try:
        into.add_steps(build.name, measure_steps(build, program, time=study.step_time / 2))
    except MeasurementFailed as failure:
        into.failures.update(dict.fromkeys(waiting, str(failure)))


def compare(
    study: Study,
    measurements: Measurements,
    predict: Predict,
    *,
    cores: int,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Predict the cells that were measured without failure and set both side by side."""
    cells = [
        cell
        for cell in study.cells
        if cell in measurements.runs and cell not in measurements.failures
    ]
    workloads = {
        key: workload_from_steps(key[1], samples, key[0])
        for key, samples in measurements.steps.items()
    }
    wanted = [workloads[cell.layout.build, cell.program] for cell in cells]
    layouts = [cell.layout for cell in cells]
    rows: list[Row] = []
    interrupted = measurements.interrupted
    predictions = (executor.map if executor is not None else map)(predict, wanted, layouts)
    try:
        for cell, workload, prediction in zip(cells, wanted, predictions, strict=True):
            rows.append(_row(cell, workload, prediction, measurements.runs[cell], cores))
            if progress is not None:
                progress(f"predicted {cell}", len(rows), len(cells))
    except KeyboardInterrupt:
        interrupted = True
    return Validation(
        rows=tuple(rows),
        skipped=tuple(
            Skipped(cell=cell, reason=reason) for cell, reason in measurements.failures.items()
        ),
        seed=study.seed,
        interrupted=interrupted,
    )


def _row(
    cell: Cell, workload: Workload, prediction: Prediction, runs: Sequence[RealRun], cores: int
) -> Row:
    layout = cell.layout
    throughputs = np.array([run.throughput for run in runs])
    measured = float(np.median(throughputs))
    usable = cores if layout.cores is None else layout.cores
    spread = float(np.ptp(throughputs)) / 2 / measured if len(runs) > 1 and measured else None
    real = _percentiles(np.concatenate([run.response_times for run in runs]))

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
        workers=layout.workers,
        switch_interval=layout.effective_switch_interval,
        predicted=prediction.throughput.mean,
        predicted_lower=prediction.throughput.lower,
        predicted_upper=prediction.throughput.upper,
        measured=measured,
        repeatability=spread,
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
        steal_time=sum(run.steal_time for run in runs),
    )


def _percentiles(response_times: NDArray[np.float64]) -> dict[int, float | None]:
    """Return the percentiles, None where no task completed."""
    if not len(response_times):
        return dict.fromkeys(PERCENTILES)
    values = np.percentile(response_times, PERCENTILES)
    return {percentile: float(value) for percentile, value in zip(PERCENTILES, values, strict=True)}
