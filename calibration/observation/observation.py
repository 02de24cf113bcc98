"""What observing a program gave: a workload, and how sure its shares are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.workload_writer import to_toml
from gilplan.model.estimate import Estimate
from gilplan.model.observed import Observed
from gilplan.model.seen_on import SeenOn
from gilplan.model.units import size_text, time_text
from gilplan.model.workload import Workload

SHARES = ("held", "released", "blocked")
RESAMPLES = 400
#: How the figures are written, by the last word of their names.
FORMS: dict[str, Callable[[float], str]] = {
    "share": lambda value: f"{value:.4f}",
    "time": time_text,
    "in": size_text,
    "out": size_text,
    "rate": lambda value: f"{value:.4g}/s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A workload that knows how it was observed, and what to know before relying on it."""

    workload: Workload
    notes: tuple[str, ...] = ()

    @property
    def observed(self) -> Observed:
        """The method, and the shares and times with their intervals."""
        assert self.workload.observed is not None
        return self.workload.observed

    @property
    def method(self) -> str:
        """ "exact", "sampling", "clock" or "import"."""
        return self.observed.method

    @property
    def tasks(self) -> int:
        """How many tasks were observed."""
        return self.observed.tasks

    @property
    def shares(self) -> dict[str, Estimate]:
        """Held (with the GIL), released (on a core without it) and blocked, of a task's time."""
        return {name: getattr(self.observed, f"{name}_share") for name in SHARES}

    @property
    def task_time(self) -> Estimate:
        """Seconds of a task on an otherwise idle machine."""
        return self.observed.task_time

    @property
    def summary(self) -> tuple[str, ...]:
        """Each figure with its interval, a line each; doubts in brackets."""
        figures = [_line(name, estimate) for name, estimate in self.observed.estimates.items()]
        return (*figures, *(_line_of(seen) for seen in self.workload.seen_on))

    def to_toml(self) -> str:
        """Return the workload file's text, the notes as comments on top."""
        lines = [f"Observed by gilplan: {self.workload.source}", *self.summary, *self.notes]
        head = "".join(f"# {' '.join(line.split())}\n" for line in lines)
        return f"{head}\n{to_toml(self.workload)}"


def _line(name: str, estimate: Estimate) -> str:
    form = FORMS[name.rpartition("_")[2]]
    value, lower, upper = (
        form(float(f"{each:.4g}")) for each in (estimate.value, estimate.lower, estimate.upper)
    )
    doubts = f" [{', '.join(estimate.flags)}]" if estimate.flags else ""
    return f"{name.replace('_', ' ')} {value} (90 % interval {lower} to {upper}){doubts}"


def _line_of(seen: SeenOn) -> str:
    time = seen.relative_time
    line = f"on {seen.build} {time.value:.3g} times the processor time ({_ends(time)})"
    if time.lower == time.upper:
        line = f"on {seen.build}"
    if seen.sharing is not None:
        line += f", threads lose {seen.sharing.value:.3g} to each other ({_ends(seen.sharing)})"
    return line


def _ends(estimate: Estimate) -> str:
    return f"{estimate.lower:.3g} to {estimate.upper:.3g}"


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


def observed_from(
    method: str,
    totals: Sequence[tuple[float, float, float]],
    source: str,
    held_of_busy: tuple[float, float] | None = None,
    **others: Estimate | None,
) -> Observed:
    """Return the summary of tasks with these held, released and blocked times.

    ``others`` are further figures of `Observed`.
    """
    shares, task_time = shares_of(totals, source, held_of_busy)
    return Observed(
        method=method,
        tasks=len(totals),
        held_share=shares["held"],
        released_share=shares["released"],
        blocked_share=shares["blocked"],
        task_time=task_time,
        **others,
    )


def mean_estimate(values: Sequence[float], source: str) -> Estimate:
    """Return the mean with its 90 % interval, by the bootstrap with a fixed seed."""
    table = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(0)
    resampled = table[rng.integers(0, len(table), (RESAMPLES, len(table)))].mean(axis=1)
    return _estimate(float(table.mean()), resampled, source)


def _estimate(value: float, resampled: NDArray[np.float64], source: str) -> Estimate:
    lower, upper = resampled if len(resampled) == 2 else np.percentile(resampled, (5, 95))
    lower, upper = min(lower, upper), max(lower, upper)
    return Estimate(
        value=float(value),
        lower=float(min(lower, value)),
        upper=float(max(upper, value)),
        source=source,
    )
