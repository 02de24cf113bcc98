"""How long a stretch with the GIL cannot be interrupted.

A second thread sleeps for a random while and then asks for the GIL with an interval of 50 us. It
goes on when the holder has reached a poll, so its lateness beyond what it is beside pure
bytecode is the residual of the stretch between two polls that the request hit. The density of
residuals falls as the survival function of stretches: f(r) = P(L > r) / E[L]. Grenander's
estimator of a falling density, the slope of the least concave majorant of the residuals'
distribution, therefore gives the stretches' lengths at the majorant's corners.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.observation.observation import mean_estimate
from gilplan.model.durations import Empirical
from gilplan.model.estimate import Estimate

#: Below this the lateness is that of the scheduler, and the runtime's own poll time will do.
NOTICEABLE = 200e-6
LEAST_REQUESTS = 20
#: Lengths that stand for the stretches, each for as much of the time as any other.
LENGTHS = 8
SOURCE = "residual: how late a second thread gets the GIL, beyond its lateness beside bytecode"
SHORT = "no longer than bytecode's own"
#: The shortest stretch is told apart down to this part of the longest.
SHORTEST = 40


@dataclass(frozen=True, slots=True)
class Interruption:
    """Stretches between polls: None where they are as short as bytecode's.

    ``p90``: how late nine in ten requests are at most; ``length``: the mean length of the
    stretch that a request hits (long ones are hit more often), None where it was not measured.
    """

    uninterruptible: Empirical | None
    p90: float
    length: Estimate | None = None

    @property
    def typical(self) -> float:
        """The mean length of the stretch that a request hits, 0 where it is short."""
        return 0.0 if self.uninterruptible is None else typical_length(self.uninterruptible)


def typical_length(stretches: Empirical) -> float:
    """Return the mean length of the stretch that a random instant hits."""
    lengths = np.asarray(stretches.samples)
    return float((lengths**2).sum() / lengths.sum())


def interruption(rounds: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Interruption:
    """Compare, round by round, how late requests are beside bytecode and beside tasks (seconds).

    Every round must show the difference, for a busy machine is late by itself now and then. A
    request that found the GIL free (lateness below the fastest beside bytecode) tells nothing.
    """
    usual: list[float] = []
    late: list[float] = []
    excess: list[float] = []
    for bytecode, tasks in rounds:
        if not bytecode:
            continue
        held = [time for time in tasks if time >= min(bytecode)]
        usual += bytecode
        late += held
        if len(held) >= LEAST_REQUESTS / len(rounds):
            excess.append(float(np.percentile(held, 90) - np.percentile(bytecode, 90)))
    if len(late) < LEAST_REQUESTS or not excess:
        return Interruption(None, 0.0)
    p90 = max(float(np.median(excess)), 0.0)
    if min(excess) < NOTICEABLE:
        # Twice the mean residual is the length of a stretch; nothing beyond bytecode's was seen.
        most = max(2 * max(excess), 0.0)
        return Interruption(
            None, p90, Estimate(value=0.0, lower=0.0, upper=most, source=SOURCE, flags=(SHORT,))
        )
    residuals = np.sort(np.maximum(np.asarray(late) - np.median(usual), 0.0))
    return Interruption(stretches(residuals), p90, _length(residuals))


def _length(residuals: NDArray[np.float64]) -> Estimate:
    """Return the mean length of the stretch that a request hits: twice the mean of what is left."""
    left = mean_estimate(residuals.tolist(), SOURCE)
    ends = {name: 2 * getattr(left, name) for name in ("value", "lower", "upper")}
    return Estimate(**ends, source=SOURCE)


def stretches(residuals: NDArray[np.float64]) -> Empirical:
    """Return the lengths of stretches whose residuals, hit at random instants, are these.

    The share of time that each length takes is kept; very short ones stand as longer ones that
    still are short, so that few samples can say so.
    """
    corners, slopes = concave_majorant(residuals)
    lengths = corners[1:]
    time_share = -np.diff(slopes, append=0.0) * lengths
    levels = (np.arange(LENGTHS) + 0.5) / LENGTHS
    places = np.searchsorted(np.cumsum(time_share) / time_share.sum(), levels)
    typical = np.maximum(lengths[places], lengths[places].max() / SHORTEST)
    counts = np.round(typical.max() / typical).astype(int)
    samples = np.repeat(typical, counts)
    return Empirical(tuple(round(float(length), 9) for length in samples))


def concave_majorant(
    ordered: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of the least concave majorant of the distribution, and its slopes.

    ``ordered``: ascending, not negative. Corners begin at 0; there is a slope per gap.
    """
    values, counts = np.unique(np.maximum(ordered, 1e-6), return_counts=True)
    points = [(0.0, 0.0)]
    for value, height in zip(values, np.cumsum(counts) / len(ordered), strict=True):
        while len(points) > 1 and _slope(points[-2], points[-1]) <= _slope(
            points[-1], (value, height)
        ):
            points.pop()
        points.append((float(value), float(height)))
    corners = np.array([x for x, _ in points])
    heights = np.array([y for _, y in points])
    return corners, np.diff(heights) / np.diff(corners)


def _slope(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])
