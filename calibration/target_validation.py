"""The user's own callable in layouts: predicted from one observation, and run for real.

Each layout takes turns with a single thread of the callable (see `pairing`), for the machine
changes its speed: the measured throughput is the one relative to the single thread's, times the
single thread's over all runs under that build; response times are brought to the same speed. What
a core's speed of the moment adds comes off as in the validation with the shipped programs (see
`even_speed`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gilplan.calibration.builds import Build
from gilplan.calibration.crowd import control_ratios, measure_crowd
from gilplan.calibration.crowd_model import CrowdModel
from gilplan.calibration.even_speed import at_even_speed
from gilplan.calibration.measurements import available_cores
from gilplan.calibration.observation.observation import Observation
from gilplan.calibration.pairing import PairedRun, Turns, measure_paired
from gilplan.calibration.profile import Profile
from gilplan.calibration.steps import StepSamples
from gilplan.model.bounds import gils_at_once
from gilplan.model.errors import GilplanError, MeasurementFailed, MissingBuild
from gilplan.model.layout import Layout
from gilplan.model.prediction import Prediction
from gilplan.model.workload import Workload

PERCENTILES = ("p50", "p95", "p99")
Z90 = 1.6448536269514722
#: A task longer than this loses next to nothing to cold caches, and trying would take long.
COLD_TASK = 0.05
COLD_TIME = 10.0
Measured = TypeVar("Measured")
MISSING = re.compile(r"No module named '([^']+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A figure as predicted, with its 90 % interval, and as measured; base units."""

    predicted: float
    lower: float
    upper: float
    measured: float
    repeatability: float | None = None

    @property
    def error(self) -> float:
        """The prediction's error relative to the measured value."""
        return (self.predicted - self.measured) / self.measured

    @property
    def covered(self) -> bool:
        """Whether the interval holds the measured value."""
        return self.lower <= self.measured <= self.upper


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """One layout: throughput in tasks per second, response times in seconds by percentile.

    ``throughput.repeatability`` is the half-width of the measurement's own 90 % interval,
    relative; ``steal_time`` what the host took meanwhile.
    """

    layout: str
    build: str
    throughput: Compared
    response_time: dict[str, Compared]
    steal_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetValidation:
    """What comparing found; ``skipped`` says of each layout without a row why."""

    target: str
    rows: tuple[TargetRow, ...]
    skipped: dict[str, str]
    workload: Workload

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, numbers and texts."""
        return {
            "target": self.target,
            "rows": [
                {
                    **asdict(row),
                    "throughput": _plain(row.throughput),
                    "response_time": {n: _plain(c) for n, c in row.response_time.items()},
                }
                for row in self.rows
            ],
            "skipped": self.skipped,
            "observed": asdict(self.workload.observed) if self.workload.observed else None,
        }

    def flat(self) -> list[dict[str, object]]:
        """Return a flat record per row, for CSV."""
        records = []
        for row in self.rows:
            record: dict[str, object] = {"layout": row.layout, "build": row.build}
            for name, compared in {"throughput": row.throughput, **row.response_time}.items():
                record |= {f"{name}_{key}": value for key, value in _plain(compared).items()}
            records.append(record | {"steal_time": row.steal_time})
        return records


def _plain(compared: Compared) -> dict[str, object]:
    return {**asdict(compared), "error": compared.error, "covered": compared.covered}


def with_cold_start(
    workload: Workload, build: Build, program: Path, profile: Profile | None
) -> Workload:
    """Return the workload with what its threads pay for cold caches, measured where it is short.

    Raises `MeasurementFailed` where the program cannot be run in a crowd, and without a profile
    that knows the build: what hand-offs alone cost is not known then.
    """
    if workload.mean_demand() > COLD_TASK:
        return workload
    if profile is None:
        raise MeasurementFailed("there is no profile of this machine; run `gilplan calibrate`")
    try:
        runtime = profile.runtime(build.name)
    except MissingBuild as missing:
        raise MeasurementFailed(str(missing)) from None
    crowd = explained(build, lambda: measure_crowd(build, program, time=COLD_TIME))
    model = CrowdModel(runtime, profile.machine, control_ratios([crowd]))
    return replace(workload, cold_start=model.cold_start(crowd, workload))


def turns_for(task_time: float) -> Turns:
    """Return turns that hold several tasks each."""
    window = max(0.1, 6 * task_time)
    reference = max(0.05, 3 * task_time)
    count = int(min(max(6 / (window + reference), 6), 24))
    return Turns(
        count=count,
        window=window,
        reference_window=reference,
        warmup=max(0.15, 2 * task_time),
        uninterrupted=max(1.5, 20 * task_time),
    )


def validate_target(
    target: str,
    program: Path,
    layouts: Sequence[Layout],
    builds: Mapping[str, Build],
    observation: Observation,
    predictions: Sequence[Prediction],
    *,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> TargetValidation:
    """Run each layout for real and set it beside its prediction, in order.

    A layout that cannot be run is skipped with its reason.
    """
    turns = turns_for(observation.task_time.value)
    runs: dict[Layout, PairedRun] = {}
    singles: dict[str, StepSamples] = {}
    skipped: dict[str, str] = {}
    for number, layout in enumerate(layouts):
        progress(f"running {layout}", number / len(layouts))
        build = builds[layout.build]
        try:
            run = explained(build, partial(measure_paired, build, program, layout, turns))
        except MeasurementFailed as error:
            skipped[str(layout)] = str(error)
            continue
        runs[layout] = run
        known = singles.get(build.name)
        singles[build.name] = known.joined(run.reference) if known else run.reference
    cores = available_cores()
    even = at_even_speed(
        {layout: [run] for layout, run in runs.items()},
        program=lambda _: target,
        alike=lambda layout: gils_at_once(layout, cores),
    )
    rows = [
        _row(layout, prediction, even[layout][0], singles[layout.build].rate)
        for layout, prediction in zip(layouts, predictions, strict=True)
        if layout in runs
    ]
    return TargetValidation(
        target=target, rows=tuple(rows), skipped=skipped, workload=observation.workload
    )


def _row(layout: Layout, prediction: Prediction, run: PairedRun, single: float) -> TargetRow:
    throughput = prediction.throughput
    times = {name: run.response_time(int(name[1:]), single) for name in PERCENTILES}
    if None in times.values():
        raise GilplanError(f"layout {layout}: no task completed while it was measured")
    return TargetRow(
        layout=str(layout),
        build=layout.build,
        throughput=Compared(
            predicted=throughput.mean,
            lower=throughput.lower,
            upper=throughput.upper,
            measured=single * run.relative_throughput,
            repeatability=Z90 * run.standard_error / run.relative_throughput,
        ),
        response_time={
            name: Compared(
                predicted=interval.mean,
                lower=interval.lower,
                upper=interval.upper,
                measured=measured,
            )
            for name in PERCENTILES
            if (interval := prediction.response_time.get(name)) is not None
            and (measured := times[name]) is not None
        },
        steal_time=run.run.steal_time,
    )


def explained(build: Build, measure: Callable[[], Measured]) -> Measured:
    """Measure; where a module is missing, say which build lacks it."""
    try:
        return measure()
    except MeasurementFailed as error:
        missing = MISSING.search(str(error))
        if missing is None:
            raise
        raise MeasurementFailed(
            f"{build.name} ({build.path}) lacks the module {missing[1]!r}, which the target "
            "imports: install it there, or name the interpreter of its environment "
            "(--interpreter)"
        ) from None
