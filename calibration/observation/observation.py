"""What observing a program gave: a workload, and how sure its shares are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.workload_writer import to_toml
from gilplan.model.estimate import Estimate
from gilplan.model.units import time_text
from gilplan.model.workload import Workload

SHARES = ("held", "released", "blocked")
RESAMPLES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A workload with the method that gave it ("exact", "sampling", "clock").

    ``shares``: held (with the GIL), released (on a core without it) and blocked, of a task's
    time; ``task_time``: seconds on an otherwise idle machine; ``tasks``: how many were observed;
    ``notes``: what the reader should know before relying on it.
    """

    workload: Workload
    method: str
    shares: dict[str, Estimate]
    task_time: Estimate
    tasks: int
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> tuple[str, ...]:
        """The task's time and shares with their intervals, a line each."""
        shares = (f"{name} share {_interval(share)}" for name, share in self.shares.items())
        return (f"task time {_interval(self.task_time, time=True)}", *shares)

    def to_toml(self) -> str:
        """Return the workload file's text, the shares and the notes as comments on top."""
        lines = [f"Observed by gilplan: {self.workload.source}", *self.summary, *self.notes]
        head = "".join(f"# {' '.join(line.split())}\n" for line in lines)
        return f"{head}\n{to_toml(self.workload)}"


def _interval(estimate: Estimate, *, time: bool = False) -> str:
    def text(value: float) -> str:
        return time_text(float(f"{value:.4g}")) if time else f"{value:.4f}"

    return (
        f"{text(estimate.value)} (90 % interval {text(estimate.lower)} to {text(estimate.upper)})"
    )


def shares_of(
    totals: Sequence[tuple[float, float, float]],
    source: str,
    held_of_busy: tuple[float, float] | None = None,
) -> tuple[dict[str, Estimate], Estimate]:
    """Return the share of each of held, released and blocked time, and the time of a task.

    ``totals``: per task. Intervals by the bootstrap over tasks, with a fixed seed; with
    ``held_of_busy``, the interval of the one held share that all tasks were split by, that of
    held and released time comes from there.
    """
    table = np.asarray(totals, dtype=np.float64)
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(table), (RESAMPLES, len(table)))
    means = table[picks].mean(axis=1)
    sums = means.sum(axis=1)
    whole = table.mean(axis=0)
    shares = {
        name: _estimate(whole[k] / whole.sum(), means[:, k] / sums, source)
        for k, name in enumerate(SHARES)
    }
    if held_of_busy is not None:
        busy = 1 - shares["blocked"].value
        ends = np.array(held_of_busy) * busy
        shares["held"] = _estimate(shares["held"].value, ends, source)
        shares["released"] = _estimate(shares["released"].value, busy - ends, source)
    return shares, _estimate(whole.sum(), sums, source)


def _estimate(value: float, resampled: NDArray[np.float64], source: str) -> Estimate:
    lower, upper = resampled if len(resampled) == 2 else np.percentile(resampled, (5, 95))
    lower, upper = min(lower, upper), max(lower, upper)
    return Estimate(
        value=float(value),
        lower=float(min(lower, value)),
        upper=float(max(upper, value)),
        source=source,
    )
