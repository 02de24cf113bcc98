"""Where a curve bends: the knee of throughput and p99 against the switch interval.

A curve is taken on logarithmic axes, where a floor and a proportional rise are two straight lines,
whatever the range that was swept (a knee by distance from the chord moves with the range). Two
lines that meet are fitted by weighted least squares over the place where they meet (Muggeo 2003,
"Estimating regression models with unknown break-points"); its interval comes from curves redrawn
within their intervals, and is never narrower than the grid. A knee is told only where two lines
explain the curve better than one by more than the intervals allow.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gilplan.planner.sweeps.curves import Z90, Curve, Floats, curves

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("throughput", "response_time_p99")
LEAST_POINTS = 5
BREAKS = 81
REDRAWN = 400
#: A change of less than this over the whole range is none that anyone would act on.
LEAST_CHANGE = 0.02
#: Below it no interval of a simulation is to be believed; keeps weights finite.
LEAST_SPREAD = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """Where ``measure`` bends along ``field``, or why no such place can be named.

    ``at`` with the 90 % interval ``lower`` to ``upper``, in units of the field; ``below`` and
    ``above`` are the relative changes of the measure per doubling of the field on either side.
    All of them are None where ``reason`` is given.
    """

    field: str
    measure: str
    layout: str
    program: tuple[tuple[str, Any], ...]
    at: float | None = None
    lower: float | None = None
    upper: float | None = None
    below: float | None = None
    above: float | None = None
    reason: str = ""


def knees(
    frame: "pd.DataFrame", field: str = "switch_interval", measures: tuple[str, ...] = MEASURES
) -> list[Knee]:
    """Return one for each curve of the measures along ``field``; none where it is no axis."""
    if field not in frame.attrs["axes"]:
        return []
    return [
        _knee(curve, field, measure, int(frame.attrs["seed"]))
        for measure in measures
        for curve in curves(frame, field, measure)
    ]


def _knee(curve: Curve, field: str, measure: str, seed: int) -> Knee:
    def told(**found: Any) -> Knee:
        return Knee(
            field=field, measure=measure, layout=curve.layout, program=curve.program, **found
        )

    if len(curve.x) < LEAST_POINTS or curve.x[0] <= 0 or not np.all(curve.y > 0):
        return told(reason=f"needs {LEAST_POINTS} values above zero or more")
    x, y = np.log2(curve.x), np.log(curve.y)
    spread = np.maximum(curve.half_widths / Z90 / curve.y, LEAST_SPREAD)
    flat = _misfit(np.ones((len(x), 1)), y, spread)
    if float(np.ptp(y)) < LEAST_CHANGE or flat <= _chi2(len(x) - 1):
        return told(reason="flat within its uncertainty")
    breaks = np.linspace(x[1], x[-2], BREAKS)
    designs = [_two_lines(x, at) for at in breaks]
    misfits = np.array([_misfit(design, y, spread) for design in designs])
    line = _misfit(_two_lines(x, x[0])[:, :2], y, spread)
    if line - misfits.min() <= _chi2(2):
        return told(reason="bends less than its uncertainty")
    best = int(misfits.argmin())
    _, below, bend = _fit(designs[best], y, spread)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    redrawn = y[:, None] + spread[:, None] * rng.standard_normal((len(x), REDRAWN))
    places = breaks[np.array([_misfits(d, redrawn, spread) for d in designs]).argmin(axis=0)]
    low, high = np.percentile([*places, breaks[best]], (5, 95))
    return told(
        at=float(2 ** breaks[best]),
        lower=float(curve.x[x <= min(low, breaks[best]) + 1e-9][-1]),
        upper=float(curve.x[x >= max(high, breaks[best]) - 1e-9][0]),
        below=float(np.expm1(below)),
        above=float(np.expm1(below + bend)),
    )


def _two_lines(x: Floats, at: float) -> Floats:
    """Design of two lines that meet: intercept, slope, and its change at ``at``: ``(n, 3)``."""
    return np.column_stack((np.ones_like(x), x, np.maximum(x - at, 0.0)))


def _fit(design: Floats, y: Floats, spread: Floats) -> Floats:
    weighted = design / spread[:, None]
    values = (y.T / spread).T
    return np.asarray(np.linalg.lstsq(weighted, values, rcond=None)[0], dtype=np.float64)


def _misfits(design: Floats, y: Floats, spread: Floats) -> Floats:
    """Return the weighted sum of squares that the best fit leaves, of each column of ``y``."""
    residuals = y - design @ _fit(design, y, spread)
    return np.asarray(((residuals.T / spread) ** 2).sum(axis=-1), dtype=np.float64)


def _misfit(design: Floats, y: Floats, spread: Floats) -> float:
    return float(_misfits(design, y, spread))


def _chi2(degrees: int) -> float:
    """What noise alone leaves in 95 % of cases."""
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, degrees))
