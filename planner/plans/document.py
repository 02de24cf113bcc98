"""A plan for machines: one JSON document. Base units: seconds, bytes, tasks per second."""

from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

from gilplan.model.layout import Layout
from gilplan.model.statistics import Interval
from gilplan.planner.exports import interval_document, layout_document
from gilplan.planner.plans.findings import Excluded, Plan


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the plan as a JSON-ready document, field by field.

    Layouts are texts (``choice``'s also field by field); an interval is ``{"mean", "lower",
    "upper"}``, an unbounded end null. ``excluded`` lists each reason with its layouts.
    """
    document = _plain(plan)
    document["met"] = plan.met
    document["excluded"] = _by_reason(plan.excluded)
    if plan.subject is not None:
        document["subject"] = layout_document(plan.subject.layout)
    return dict(document)


def _by_reason(excluded: tuple[Excluded, ...]) -> list[dict[str, Any]]:
    layouts: dict[str, list[str]] = {}
    for each in excluded:
        layouts.setdefault(each.reason, []).append(str(each.layout))
    return [{"reason": reason, "layouts": names} for reason, names in layouts.items()]


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return interval_document(value)
    if isinstance(value, Layout):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
