"""Predictions for machines: JSON documents and CSV rows. Base units: seconds, bytes, per second."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from gilplan.calibration.profile import Profile, gilplan_version
from gilplan.model.bounds import amdahl, one_interval_rule, processor_sharing
from gilplan.model.layout import Layout
from gilplan.model.prediction import Prediction
from gilplan.model.scenario import Scenario
from gilplan.model.statistics import Interval

LEVEL = 0.9


def prediction_document(
    predictions: Sequence[Prediction],
    scenarios: Sequence[Scenario],
    profile: Profile,
) -> dict[str, Any]:
    """Return a JSON-ready document: ``{"predictions": [...]}`` in the given order.

    Every number is ``{"mean", "lower", "upper"}`` at the level ``interval_level``; an unbounded
    end is null. ``rules`` is what the rules of thumb say of the layout's saturated throughput.
    """
    return {
        "predictions": [
            _one(prediction, scenario, profile)
            for prediction, scenario in zip(predictions, scenarios, strict=True)
        ],
        "interval_level": LEVEL,
        "profile": profile.identity,
        "version": gilplan_version(),
    }


def _one(prediction: Prediction, scenario: Scenario, profile: Profile) -> dict[str, Any]:
    return {
        "layout": layout_document(prediction.layout),
        "workload": scenario.workload.name,
        "throughput": interval_document(prediction.throughput),
        "response_time": _documents(prediction.response_time),
        "utilisation": {
            "gil": interval_document(prediction.gil_utilisation),
            "cores": interval_document(prediction.core_utilisation),
        },
        "breakdown": _documents(prediction.breakdown),
        "memory": interval_document(prediction.memory),
        "makespan": interval_document(prediction.makespan),
        "overloaded": prediction.overloaded,
        "sustainable_rate": interval_document(prediction.sustainable_rate),
        "rules": _rules(scenario),
        "warnings": list(prediction.warnings),
        "replications": prediction.replications,
        "seed": prediction.seed,
        "profile": profile.identity,
        "version": gilplan_version(),
    }


def _rules(scenario: Scenario) -> dict[str, float]:
    return {
        rule.__name__: rule(scenario.workload, scenario.layout, scenario.cores)
        for rule in (amdahl, processor_sharing, one_interval_rule)
    }


def layout_document(layout: Layout) -> dict[str, Any]:
    """Return the layout as text and by field, the switch interval that is in force included."""
    return {"text": str(layout), **asdict(layout), "mode": layout.mode} | {
        "switch_interval": layout.effective_switch_interval,
        "config": None if layout.config is None else str(layout.config),
    }


def interval_document(interval: Interval | None) -> dict[str, float | None] | None:
    """Return mean, lower and upper; None stays None."""
    if interval is None:
        return None
    return {name: _finite(getattr(interval, name)) for name in ("mean", "lower", "upper")}


def prediction_csv(predictions: Sequence[Prediction], profile: Profile) -> str:
    """Return one row per prediction; an interval takes columns x, x_lower and x_upper."""
    rows = [_row(prediction, profile) for prediction in predictions]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(prediction: Prediction, profile: Profile) -> dict[str, object]:
    intervals = {
        "throughput": prediction.throughput,
        **{f"response_time_{name}": i for name, i in prediction.response_time.items()},
        "gil_utilisation": prediction.gil_utilisation,
        "core_utilisation": prediction.core_utilisation,
        **{f"{name}_time": i for name, i in prediction.breakdown.items()},
        "memory": prediction.memory,
        "makespan": prediction.makespan,
        "sustainable_rate": prediction.sustainable_rate,
    }
    row: dict[str, object] = dict(layout_document(prediction.layout))
    row["layout"] = row.pop("text")
    for name, interval in intervals.items():
        if interval is not None:
            row |= {name: interval.mean, f"{name}_lower": interval.lower}
            row[f"{name}_upper"] = interval.upper
    return {"layout": row.pop("layout"), **row} | {
        "overloaded": prediction.overloaded,
        "replications": prediction.replications,
        "seed": prediction.seed,
        "profile": profile.identity,
        "warnings": "; ".join(prediction.warnings),
    }


def _documents(intervals: dict[str, Interval]) -> dict[str, dict[str, float | None] | None]:
    return {name: interval_document(interval) for name, interval in intervals.items()}


def _finite(number: float) -> float | None:
    return number if isfinite(number) else None
