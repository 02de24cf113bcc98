"""How well measuring a cell again repeats it, by what its workers compete for.

A layout whose workers have a core and a GIL each repeats itself better than one whose workers may
gather on one core in one run and not in the next. The cells of a study are run twice, in random
order; one pair says little, all pairs of a regime say it for each of its cells.

On a shared host some pairs differ by far more than others: a neighbour slowed one of the two runs,
or slowed only the loop that reads the cores' speed. They say nothing of the other cells, so that
their scatter leaves them out, and they are run once more: the median of three is what two of them
agree on, within what is usual.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import pi

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.even_speed import at_even_speed
from gilplan.calibration.model_error import MEASURES, Regime
from gilplan.calibration.pairing import PairedRun
from gilplan.calibration.study import Cell
from gilplan.model.bounds import gils_at_once

Floats = NDArray[np.float64]
#: What the first two runs of a cell say: their relative difference, and how much of its variance
#: the scatter within the runs explains.
Difference = Callable[[Sequence[PairedRun]], tuple[float, float]]

#: So many cells of a regime tell its scatter between runs to a quarter (1 / sqrt(2 n)).
LEAST_FOR_SCATTER = 8
#: Half of a normal distribution lies within so many standard deviations.
HALF_WITHIN = 0.6744897501960817
#: One pair of a hundred differs by more than this, in standard deviations, where only chance is
#: at work.
USUAL = 2.5758293035489004


def in_throughput(runs: Sequence[PairedRun]) -> tuple[float, float]:
    """Return the difference of two runs' relative throughput."""
    first, second = runs[0].relative_throughput, runs[1].relative_throughput
    mean = (first + second) / 2
    if not mean:
        return float("nan"), 0.0
    within = runs[0].standard_error ** 2 + runs[1].standard_error ** 2
    return (first - second) / mean, within / mean**2


def in_response_time(percentile: int) -> Difference:
    """Return what compares a percentile of two runs' response times."""

    def difference(runs: Sequence[PairedRun]) -> tuple[float, float]:
        first, second = (run.response_time(percentile, single=1.0) for run in runs[:2])
        if first is None or second is None:
            return float("nan"), 0.0
        return 2 * (first - second) / (first + second), 0.0

    return difference


def at_usual_speed(
    runs: Mapping[Cell, Sequence[PairedRun]], cores: int
) -> dict[Cell, list[PairedRun]]:
    """Return a study's runs at even speed, cells alike that keep as many cores busy."""
    return at_even_speed(
        runs,
        program=lambda cell: cell.program,
        alike=lambda cell: gils_at_once(cell.layout, cores),
    )


def scatter_by_regime(
    measured: Mapping[Cell, Sequence[PairedRun]],
    cores: int,
    difference: Difference = in_throughput,
) -> dict[Regime, float]:
    """Return what one run differs from the next, a relative standard deviation per regime.

    Over all where the cells of a regime that ran more than once are too few to say.
    """
    return {
        regime: scatter_between_runs(cells.values(), difference)
        for regime, cells in _told_by(measured, cores).items()
    }


def scatters_by_regime(
    measured: Mapping[Cell, Sequence[PairedRun]], cores: int
) -> dict[Regime, dict[str, float]]:
    """Return `scatter_by_regime` of each of `MEASURES`: of throughput and the percentiles."""
    by_measure = {
        measure: scatter_by_regime(
            measured,
            cores,
            in_throughput if measure == "throughput" else in_response_time(int(measure[1:])),
        )
        for measure in MEASURES
    }
    return {
        regime: {measure: scatter[regime] for measure, scatter in by_measure.items()}
        for regime in Regime
    }


def scatter_between_runs(
    cells: Iterable[Sequence[PairedRun]], difference: Difference = in_throughput
) -> float:
    """Return the relative standard deviation between runs of a cell beyond that within them.

    From the first two runs of each cell that ran more than once, but for those that differ by more
    than is usual; 0 where none did.
    """
    found = [difference(runs) for runs in cells if len(runs) > 1]
    pairs = np.array([pair for pair in found if np.isfinite(pair[0])]).reshape(-1, 2)
    usual = pairs[_usual(pairs[:, 0])]
    if not len(usual):
        return 0.0
    excess = float(np.mean(usual[:, 0] ** 2 - usual[:, 1])) / 2
    return float(np.sqrt(max(excess, 0.0)))


def cells_that_disagree(
    measured: Mapping[Cell, Sequence[PairedRun]], cores: int
) -> tuple[Cell, ...]:
    """Return the cells whose first two runs differ by more than is usual in their regime."""
    outside: set[Cell] = set()
    for regime, cells in _told_by(measured, cores).items():
        usual = _usual(np.array([in_throughput(runs)[0] for runs in cells.values()]))
        odd = (cell for cell, kept in zip(cells, usual, strict=True) if not kept)
        outside |= {cell for cell in odd if Regime.of(cell.layout, cores) is regime}
    return tuple(cell for cell in measured if cell in outside)


def runs_worth(count: int) -> float:
    """Return how many runs' mean is as sure as the median of ``count``; that of two is a mean.

    For normal scatter, within 2 % (its variance is nearly pi / (2 n + pi - 2) that of one).
    """
    return count if count == 2 else (2 * count + pi - 2) / pi


def _told_by(
    measured: Mapping[Cell, Sequence[PairedRun]], cores: int
) -> dict[Regime, dict[Cell, Sequence[PairedRun]]]:
    """Return which cells tell each regime's scatter: its own that ran more than once, or all."""
    twice = {cell: runs for cell, runs in measured.items() if len(runs) > 1}
    own = {
        regime: {c: runs for c, runs in twice.items() if Regime.of(c.layout, cores) is regime}
        for regime in Regime
    }
    return {
        regime: cells if len(cells) >= LEAST_FOR_SCATTER else twice for regime, cells in own.items()
    }


def _usual(differences: Floats) -> NDArray[np.bool_]:
    """Mark the differences that are not too great beside the median one, NaN never: ``(n,)``."""
    known = np.abs(differences[np.isfinite(differences)])
    spread = float(np.median(known)) / HALF_WITHIN if len(known) else 0.0
    usual: NDArray[np.bool_] = np.abs(differences) <= USUAL * spread
    return usual
