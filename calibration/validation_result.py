"""What a validation found: a row per cell, the errors in summary, as frame, CSV and JSON."""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gilplan.calibration.atomic_file import write_text
from gilplan.calibration.model_error import LEAST_CELLS, MEASURES, ModelError
from gilplan.calibration.study import Cell

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("error", "error_amdahl", "error_processor_sharing", "error_one_interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cell: predicted, measured, and the errors, relative to the measured value.

    Throughputs in tasks per second, response times in seconds. ``repeatability`` is the
    half-width of the measurement's 90 % interval, relative to it, for a percentile None where no
    cell ran twice. ``regime`` says what the
    workers compete for; the predicted interval holds the model's error there, as found on the
    other programs.
    """

    program: str
    build: str
    mode: str
    layout: str
    regime: str
    workers: int
    switch_interval: float
    predicted: float
    predicted_lower: float
    predicted_upper: float
    measured: float
    repeatability: float | None
    error: float
    error_amdahl: float
    error_processor_sharing: float
    error_one_interval: float
    measured_p50: float | None
    measured_p95: float | None
    measured_p99: float | None
    predicted_p50: float | None
    predicted_p95: float | None
    predicted_p99: float | None
    repeatability_p50: float | None
    repeatability_p95: float | None
    repeatability_p99: float | None
    steal_time: float

    def relative_error(self, measure: str) -> float | None:
        """Return (measured - predicted) / predicted of "throughput", "p50", "p95" or "p99"."""
        suffix = "" if measure == "throughput" else f"_{measure}"
        predicted, measured = (
            getattr(self, f"predicted{suffix}"),
            getattr(self, f"measured{suffix}"),
        )
        return None if not predicted or measured is None else (measured - predicted) / predicted


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSummary:
    """Absolute relative errors of one method over all rows; ``coverage`` where it has intervals.

    Those called net have each row's repeatability taken off first.
    """

    method: str
    cells: int
    median: float
    percentile_90: float
    worst: float
    median_net: float
    percentile_90_net: float
    worst_net: float
    coverage: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSummary:
    """Absolute relative errors of a percentile of response times, over the rows that have it.

    ``repeatability`` is the median of the rows', None where none is known.
    """

    percentile: str
    cells: int
    median: float
    percentile_90: float
    worst: float
    repeatability: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A cell without a row, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What a study found. ``interrupted``: it was stopped before all rounds were done."""

    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]
    seed: int
    interrupted: bool = False

    def frame(self) -> "pd.DataFrame":
        """Return the rows as a frame, one column per field of `Row`."""
        import pandas as pd

        return pd.DataFrame(
            [asdict(row) for row in self.rows], columns=[each.name for each in fields(Row)]
        )

    @property
    def model_error(self) -> ModelError | None:
        """What the cells say about later predictions; None when they are too few."""
        return ModelError.of(self.rows) if len(self.rows) >= LEAST_CELLS else None

    def summaries(self) -> tuple[ErrorSummary, ...]:
        """Summarise the errors of the prediction and of each cheap rule; none without rows."""
        if not self.rows:
            return ()
        covered = [row.predicted_lower <= row.measured <= row.predicted_upper for row in self.rows]
        return tuple(
            _summary(method, self.rows, float(np.mean(covered)) if method == "error" else None)
            for method in METHODS
        )

    def response_summaries(self) -> tuple[ResponseSummary, ...]:
        """Summarise how far the percentiles of response times are off; none without rows."""
        found = (_response_summary(name, self.rows) for name in MEASURES if name != "throughput")
        return tuple(summary for summary in found if summary is not None)

    def save(self, csv: Path | None = None, json_file: Path | None = None) -> None:
        """Write the rows as CSV, and rows, summaries and skipped cells as JSON."""
        if csv is not None:
            write_text(csv, self.frame().to_csv(index=False))
        if json_file is not None:
            write_text(json_file, json.dumps(self.to_json(), indent=1, allow_nan=False))

    def to_json(self) -> dict[str, object]:
        """Return the validation in plain lists, dicts, numbers and texts."""
        return {
            "seed": self.seed,
            "interrupted": self.interrupted,
            "summaries": [asdict(each) for each in self.summaries()],
            "response_summaries": [asdict(each) for each in self.response_summaries()],
            "rows": [_finite(asdict(row)) for row in self.rows],
            "skipped": [{"cell": str(each.cell), "reason": each.reason} for each in self.skipped],
        }


def _summary(method: str, rows: tuple[Row, ...], coverage: float | None) -> ErrorSummary:
    """Summarise a method's errors; net ones have the measurement's repeatability taken off."""
    errors = np.abs([getattr(row, method) for row in rows])
    noise = np.array([row.repeatability or 0.0 for row in rows])
    net = np.maximum(errors - noise, 0.0)
    return ErrorSummary(
        method=method,
        cells=len(rows),
        median=float(np.median(errors)),
        percentile_90=float(np.percentile(errors, 90)),
        worst=float(errors.max()),
        median_net=float(np.median(net)),
        percentile_90_net=float(np.percentile(net, 90)),
        worst_net=float(net.max()),
        coverage=coverage,
    )


def _response_summary(percentile: str, rows: tuple[Row, ...]) -> ResponseSummary | None:
    """Summarise one percentile, relative to the measured value; None where no row has it."""
    errors, known = [], []
    for row in rows:
        predicted = getattr(row, f"predicted_{percentile}")
        measured = getattr(row, f"measured_{percentile}")
        if predicted is not None and measured:
            errors.append(abs(predicted - measured) / measured)
            known.append(getattr(row, f"repeatability_{percentile}"))
    if not errors:
        return None
    noise = [value for value in known if value is not None]
    return ResponseSummary(
        percentile=percentile,
        cells=len(errors),
        median=float(np.median(errors)),
        percentile_90=float(np.percentile(errors, 90)),
        worst=max(errors),
        repeatability=float(np.median(noise)) if noise else None,
    )


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with None for an unbounded end of an interval, which JSON lacks."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }
