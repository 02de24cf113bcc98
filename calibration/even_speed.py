"""Measured rates brought to the usual speed of the cores: control variates.

A layout and the single thread beside it take turns, but a core's speed changes within a turn, too.
The gauge that both read (`SpeedGauge`) tells by how much the cores happened to be slower for one of
them. What it says on average over a study stays: that two busy cores of one physical core slow each
other down belongs to the layout. By how much a turn differs from the average is the machine's
doing, and comes off.

Response times are seen on a clock that goes on more slowly while the cores are slow (`EvenClock`).

How closely a program follows the gauge its own turns tell: one that computes nearly does what the
gauge does, one that waits does not at all. From one run to the next it may follow less closely: a
gauge is a loop in one process, and where that lies in memory makes it faster or slower for as long
as the process lives, which the program does not feel (a single thread beside another one like it
was measured 9 to 20 % faster, and its gauge 13, 40 and 57 % faster, in three runs). That tell the
runs of layouts that were measured more than once. (S. S. Lavenberg and P. D. Welch, "A perspective
on the use of control variables to increase the efficiency of Monte Carlo simulations", Management
Science 27, 1981.)
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.even_clock import EvenClock, run_on
from gilplan.calibration.pairing import PairedRun

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)
#: A program that follows the gauge more closely than this is taken for one that computes.
CLOSEST = 1.5
#: With fewer runs beyond the first of each layout they do not tell how closely a program follows.
FEWEST_REPEATS = 8


@dataclass(frozen=True, slots=True)
class Closeness:
    """By how much a program's rates fall with the gauge from turn to turn and from run to run."""

    within: float
    between: float


def at_even_speed(
    runs: Mapping[Key, Sequence[PairedRun]],
    *,
    program: Callable[[Key], Hashable],
    alike: Callable[[Key], Hashable],
) -> dict[Key, list[PairedRun]]:
    """Return the runs with the single thread's rates at the speed that the layout had.

    What is usual stays: the gauge's mean over the runs whose ``alike`` is the same. The turns and
    the repeated runs of one ``program`` tell how closely it follows the gauge. Runs that never read
    it stay as they are.
    """
    closeness = closeness_by(runs, program)
    usual = {kind: _usual(found) for kind, found in _grouped(runs, alike).items()}
    return {
        key: [_corrected(run, closeness[program(key)], usual[alike(key)]) for run in found]
        for key, found in runs.items()
    }


def closeness_by(
    runs: Mapping[Key, Sequence[PairedRun]], name: Callable[[Key], Hashable]
) -> dict[Hashable, Closeness]:
    """Return how closely rates follow the gauge, per ``name``; 0 where nothing says so."""
    repeated: dict[Hashable, list[Sequence[PairedRun]]] = {}
    for key, found in runs.items():
        repeated.setdefault(name(key), []).append(found)
    return {each: _closeness(groups) for each, groups in repeated.items()}


def _grouped(
    runs: Mapping[Key, Sequence[PairedRun]], name: Callable[[Key], Hashable]
) -> dict[Hashable, list[PairedRun]]:
    groups: dict[Hashable, list[PairedRun]] = {}
    for key, found in runs.items():
        groups.setdefault(name(key), []).extend(found)
    return groups


def _corrected(run: PairedRun, closeness: Closeness, usual: float) -> PairedRun:
    slowness = _slowness(run)
    if not len(slowness):
        return run
    of_run = slowness.mean()
    slower = closeness.within * (slowness - of_run) + closeness.between * (of_run - usual)
    factors = np.exp(-slower)
    clock = EvenClock.of(run.run.gauge, run.run.window, closeness.within)
    alone = run.uninterrupted
    return replace(
        run,
        reference_rates=tuple((np.asarray(run.reference_rates) * factors).tolist()),
        run=run_on(clock, run.run),
        windows=tuple((float(begin), float(end)) for begin, end in map(clock.at, run.windows)),
        uninterrupted=run_on(EvenClock.of(alone.gauge, alone.window, closeness.within), alone),
    )


def _slowness(run: PairedRun) -> Floats:
    """Return the gauge's ``slowness`` by turn, the mean where it was not read; none, if never."""
    found = np.asarray(run.slowness, dtype=np.float64)
    known = found[np.isfinite(found)]
    if not len(known):
        return known
    return np.where(np.isfinite(found), found, known.mean())


def _usual(runs: Iterable[PairedRun]) -> float:
    """Return the mean of the runs' mean slowness, 0 without a reading."""
    means = [float(found.mean()) for run in runs if len(found := _slowness(run))]
    return float(np.mean(means)) if means else 0.0


def _closeness(repeated: Sequence[Sequence[PairedRun]]) -> Closeness:
    """Return how closely the runs of one program, grouped by what was repeated, do as the gauge."""
    told = [[run for run in runs if _tells(run)] for runs in repeated]
    within = _slope([_turns(run) for runs in told for run in runs])
    if sum(len(runs) - 1 for runs in told if runs) < FEWEST_REPEATS:
        return Closeness(within, between=within)
    return Closeness(within, between=_slope([_means(runs) for runs in told if runs]))


def _tells(run: PairedRun) -> bool:
    return len(_slowness(run)) > 0 and run.relative_throughput > 0


def _turns(run: PairedRun) -> tuple[Floats, Floats]:
    """Return the gauge's slowness and the relative rates by turn, without their means."""
    slowness = _slowness(run)
    relative = np.asarray(run.rates) / np.asarray(run.reference_rates)
    return slowness - slowness.mean(), relative / relative.mean() - 1


def _means(runs: Sequence[PairedRun]) -> tuple[Floats, Floats]:
    """Return the same of the means of runs of one layout, the rates' logarithms."""
    slowness = np.array([_slowness(run).mean() for run in runs])
    rates = np.log([run.relative_throughput for run in runs])
    return slowness - slowness.mean(), rates - rates.mean()


def _slope(groups: Sequence[tuple[Floats, Floats]]) -> float:
    """Return by how much rates fall with the gauge, at most `CLOSEST`; 0 where nothing says so."""
    if not groups:
        return 0.0
    gauge, rates = (np.concatenate(values) for values in zip(*groups, strict=True))
    square = float(gauge @ gauge)
    return min(max(-float(gauge @ rates) / square, 0.0), CLOSEST) if square > 0 else 0.0
