"""Measured rates brought to the usual speed of the cores: control variates.

A layout and the single thread beside it take turns, but a core's speed changes within a turn, too.
The gauge that both read (`SpeedGauge`) tells by how much the cores happened to be slower for one of
them. What it says on average over a study stays: that two busy cores of one physical core slow each
other down belongs to the layout. By how much a turn differs from the average is the machine's
doing, and comes off.

Response times are seen on a clock that goes on more slowly while the cores are slow (`EvenClock`).

How closely a program follows the gauge its own turns tell: one that computes nearly does what the
gauge does, one that waits does not at all. (S. S. Lavenberg and P. D. Welch, "A perspective on the
use of control variables to increase the efficiency of Monte Carlo simulations", Management Science
27, 1981.)
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.even_clock import EvenClock, run_on
from gilplan.calibration.pairing import PairedRun

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)
#: A program that follows the gauge more closely than this is taken for one that computes.
CLOSEST = 1.5


def at_even_speed(
    runs: Mapping[Key, Sequence[PairedRun]],
    *,
    program: Callable[[Key], Hashable],
    alike: Callable[[Key], Hashable],
) -> dict[Key, list[PairedRun]]:
    """Return the runs with the single thread's rates at the speed that the layout had.

    What is usual stays: the gauge's mean over the runs whose ``alike`` is the same. The turns of
    one ``program`` tell how closely it follows the gauge. Runs that never read it stay as they are.
    """
    closeness = closeness_by(runs, program)
    usual = {kind: _usual(found) for kind, found in _grouped(runs, alike).items()}
    return {
        key: [_corrected(run, closeness[program(key)], usual[alike(key)]) for run in found]
        for key, found in runs.items()
    }


def closeness_by(
    runs: Mapping[Key, Sequence[PairedRun]], name: Callable[[Key], Hashable]
) -> dict[Hashable, float]:
    """Return by how much rates fall with the gauge, per ``name``; 0 where nothing says so."""
    return {each: _closeness(found) for each, found in _grouped(runs, name).items()}


def _grouped(
    runs: Mapping[Key, Sequence[PairedRun]], name: Callable[[Key], Hashable]
) -> dict[Hashable, list[PairedRun]]:
    groups: dict[Hashable, list[PairedRun]] = {}
    for key, found in runs.items():
        groups.setdefault(name(key), []).extend(found)
    return groups


def _corrected(run: PairedRun, closeness: float, usual: float) -> PairedRun:
    slowness = _slowness(run)
    if not len(slowness):
        return run
    factors = np.exp(-closeness * (slowness - usual))
    clock = EvenClock.of(run.run.gauge, run.run.window, closeness)
    alone = run.uninterrupted
    return replace(
        run,
        reference_rates=tuple((np.asarray(run.reference_rates) * factors).tolist()),
        run=run_on(clock, run.run),
        windows=tuple((float(begin), float(end)) for begin, end in map(clock.at, run.windows)),
        uninterrupted=run_on(EvenClock.of(alone.gauge, alone.window, closeness), alone),
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


def _closeness(runs: Iterable[PairedRun]) -> float:
    """Return by how much rates fall with the gauge, within runs; 0 where nothing says so."""
    gauge: list[Floats] = []
    rates: list[Floats] = []
    for run in runs:
        slowness = _slowness(run)
        if len(slowness) and run.relative_throughput > 0:
            relative = np.asarray(run.rates) / np.asarray(run.reference_rates)
            gauge.append(slowness - slowness.mean())
            rates.append(relative / relative.mean() - 1)
    if not gauge:
        return 0.0
    x, y = np.concatenate(gauge), np.concatenate(rates)
    square = float(x @ x)
    return min(max(-float(x @ y) / square, 0.0), CLOSEST) if square > 0 else 0.0
