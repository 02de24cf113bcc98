"""Where two layouts change places: one is better on this side of a value, the other beyond.

Layouts count as apart where the 90 % interval of their ratio leaves out one, the intervals taken
as independent: layouts share their random numbers, so this is on the wide side. A crossing lies
between the last value at which one layout is surely better and the first at which the other is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gilplan.planner.sweeps.curves import Curve, Floats, curves, numeric_axes

if TYPE_CHECKING:
    import pandas as pd

#: Measures by whether more is better.
MEASURES = {"throughput": True, "response_time_p99": False}
#: Of more layouts than these, only those are compared that are the best somewhere.
MOST_COMPARED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """``below`` is the better layout up to ``lower``, ``above`` from ``upper`` on.

    ``at`` is where the curves meet; in units of ``field``.
    """

    field: str
    measure: str
    program: tuple[tuple[str, Any], ...]
    below: str
    above: str
    at: float
    lower: float
    upper: float


def crossings(frame: "pd.DataFrame") -> list[Crossing]:
    """Return the crossings of throughput and p99 between layouts along every numeric axis."""
    return [
        crossing
        for field in numeric_axes(frame)
        for measure, more_is_better in MEASURES.items()
        for group in _programs(list(curves(frame, field, measure)))
        for first, second in combinations(_compared(group, more_is_better), 2)
        for crossing in _between(first, second, field, measure, more_is_better)
    ]


def _programs(found: Sequence[Curve]) -> list[list[Curve]]:
    """Group the curves by what is not of the layout: only those are compared."""
    groups: dict[tuple[tuple[str, Any], ...], list[Curve]] = {}
    for curve in found:
        groups.setdefault(curve.program, []).append(curve)
    return list(groups.values())


def _compared(group: list[Curve], more_is_better: bool) -> list[Curve]:
    if len(group) <= MOST_COMPARED:
        return group
    sign = 1 if more_is_better else -1
    leaders = set()
    for x in sorted({value for curve in group for value in curve.x}):
        there = [curve for curve in group if x in curve.x]
        leaders.add(id(max(there, key=lambda curve: sign * curve.y[curve.x == x][0])))
    return [curve for curve in group if id(curve) in leaders]


def _between(
    first: Curve, second: Curve, field: str, measure: str, more_is_better: bool
) -> list[Crossing]:
    x, of_first, of_second = np.intersect1d(first.x, second.x, return_indices=True)
    y1, y2 = first.y[of_first], second.y[of_second]
    if len(x) < 2 or not (np.all(y1 > 0) and np.all(y2 > 0)):
        return []
    lead = np.log(y1 / y2) * (1 if more_is_better else -1)
    unsure = np.hypot(first.half_widths[of_first] / y1, second.half_widths[of_second] / y2)
    sure = np.flatnonzero(np.abs(lead) > unsure)
    return [
        Crossing(
            field=field,
            measure=measure,
            program=first.program,
            below=(first if lead[i] > 0 else second).layout,
            above=(second if lead[i] > 0 else first).layout,
            at=_meet(x[i : j + 1], lead[i : j + 1]),
            lower=float(x[i]),
            upper=float(x[j]),
        )
        for i, j in pairwise(sure)
        if lead[i] * lead[j] < 0
    ]


def _meet(x: Floats, lead: Floats) -> float:
    """Return where the lead is zero, straight between the points, logarithmically where it can."""
    index = int(np.flatnonzero(np.sign(lead) != np.sign(lead[0]))[0])
    (x0, x1), (y0, y1) = x[index - 1 : index + 1], lead[index - 1 : index + 1]
    share = y0 / (y0 - y1)
    if x0 > 0:
        return float(x0 * (x1 / x0) ** share)
    return float(x0 + (x1 - x0) * share)
