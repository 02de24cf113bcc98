"""A clock that goes on more slowly while the cores are slow: response times at even speed.

A host that takes a core's turbo, its caches or the core itself for some tens of milliseconds makes
every task of that while longer. Whether such a while falls into the second that a percentile is
read from is chance, and the samples of a whole study hold all of them, so that their tail is
longer than that of any second. Seen on this clock, a task takes what it takes at the run's usual
speed: real time is weighed by how fast the gauge's loop ran just then, as closely as the program
follows the gauge, and keeps its length over the whole window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binned_statistic

from gilplan.calibration.harness.worker import usual_reading
from gilplan.calibration.realrun import RealRun

Floats = NDArray[np.float64]
#: Seconds whose readings count together: some six for each core that computes (one every 3 ms).
BIN = 0.02


@dataclass(frozen=True, slots=True)
class EvenClock:
    """Real instants and what this clock shows then, in seconds: ``(n,)`` each; linear between."""

    instants: Floats
    shown: Floats

    @classmethod
    def of(
        cls, gauge: Sequence[tuple[float, float]], window: tuple[float, float], closeness: float
    ) -> "EvenClock":
        """Make the clock for a window in which the gauge was read.

        ``gauge`` holds instants and the loop's times, in seconds. Without a reading in the window
        it is the real clock; so it always is before the window.
        """
        begin, end = window
        edges = np.linspace(begin, end, max(round((end - begin) / BIN), 1) + 1)
        at, readings = np.reshape(np.asarray(gauge, dtype=np.float64), (-1, 2)).T
        inside = (at >= begin) & (at <= end)
        if not inside.any():
            return cls(np.array([0.0, end]), np.array([0.0, end]))
        usual = binned_statistic(at[inside], readings[inside], usual_reading, edges).statistic
        known = np.isfinite(usual)
        slowness = np.log(usual)
        middles = (edges[:-1] + edges[1:]) / 2
        progress = np.exp(-closeness * np.interp(middles, middles[known], slowness[known]))
        progress *= np.diff(edges)
        shown = begin + np.cumsum([0.0, *progress]) * (end - begin) / progress.sum()
        return cls(np.array([0.0, *edges]), np.array([0.0, *shown]))

    def at(self, instants: Sequence[float] | Floats) -> Floats:
        """Return what the clock shows at real instants: ``(n,)`` seconds, within its window."""
        shown: Floats = np.interp(instants, self.instants, self.shown)
        return shown


def run_on(clock: EvenClock, run: RealRun) -> RealRun:
    """Return the run with its completions on this clock, those after the window left out."""
    return replace(
        run,
        completed_at=tuple(
            tuple(clock.at([at for at in row if at <= run.window[1]]).tolist())
            for row in run.completed_at
        ),
    )
