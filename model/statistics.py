"""Output analysis: where the warm-up ends, what a run's steady state says, and how surely."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gilplan.model.recorder import State
from gilplan.model.replication import Replication

LEVEL = 0.90
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and the interval that holds it at the stated level (90 % unless said)."""

    mean: float
    lower: float
    upper: float

    @property
    def half_width(self) -> float:
        return (self.upper - self.lower) / 2

    @property
    def precision(self) -> float:
        """Half-width relative to the mean; infinite for a mean of zero."""
        return self.half_width / abs(self.mean) if self.mean else float("inf")


def mean_interval(samples: ArrayLike, level: float = LEVEL) -> Interval:
    """Return the mean of independent samples with its Student-t interval.

    One sample has an unbounded interval: nothing is known of its spread.
    """
    values = np.asarray(samples, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean=mean, lower=float("-inf"), upper=float("inf"))
    from scipy.stats import t

    half = float(
        t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    )
    return Interval(mean=mean, lower=mean - half, upper=mean + half)


def warm_up_length(series: ArrayLike, batch: int = 5) -> int:
    """Return how many leading observations to delete: MSER-5.

    White (1997), "An effective truncation heuristic for bias reduction in simulation output":
    of the means of batches of five, delete those whose deletion minimises the standard error of
    what remains; never more than half. A series of fewer than ten batches loses nothing.
    """
    values = np.asarray(series, dtype=np.float64)
    count = len(values) // batch
    if count < 10:
        return 0
    means = values[: count * batch].reshape(count, batch).mean(axis=1)
    remaining = count - np.arange(count // 2 + 1)
    sums = means[::-1].cumsum()[::-1][: count // 2 + 1]
    squares = (means**2)[::-1].cumsum()[::-1][: count // 2 + 1]
    errors = (squares - sums**2 / remaining) / remaining**2
    return int(np.argmin(np.maximum(errors, 0.0))) * batch


def batch_means(series: ArrayLike, batches: int = 20) -> NDArray[np.float64]:
    """Return the means of ``batches`` equal stretches of the series (the rest is dropped)."""
    values = np.asarray(series, dtype=np.float64)
    size = len(values) // batches
    if size == 0:
        return values
    means: NDArray[np.float64] = values[: size * batches].reshape(batches, size).mean(axis=1)
    return means


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyState:
    """One replication after its warm-up. Times in seconds, utilisations in [0, 1].

    ``response_time``: mean, p50, p95, p99; ``breakdown``: mean time per task in each `State`,
    keyed running, waiting_gil, waiting_core, blocked, queued.
    """

    observed_from: float
    throughput: float
    response_time: dict[str, float]
    breakdown: dict[str, float]
    gil_utilisation: tuple[float, ...]
    core_utilisation: tuple[float, ...]


def steady_state(replication: Replication) -> SteadyState | None:
    """Summarise what happened after the warm-up; None if hardly a task was completed then."""
    if replication.completions < 2:
        return None
    times = replication.checkpoints
    # The queue fills and the GIL's turns settle at the start: warm-up is sought in both the
    # response times and the number of completions between checkpoints, and the later one taken.
    deleted = warm_up_length(replication.response_times)
    from_tasks = float(replication.completed_at[deleted - 1]) if deleted else 0.0
    counts = np.histogram(replication.completed_at, bins=times)[0]
    from_counts = float(times[warm_up_length(counts)])
    start = int(np.searchsorted(times, max(from_tasks, from_counts)))
    start = min(start, len(times) // 2)
    begin, end = float(times[start]), float(times[-1])
    kept = replication.completed_at > begin
    span = end - begin
    if kept.sum() < 2 or span <= 0:
        return None
    response_times = replication.response_times[kept]
    spent = replication.times[kept].mean(axis=0)
    return SteadyState(
        observed_from=begin,
        throughput=float(kept.sum()) / span,
        response_time={
            "mean": float(response_times.mean()),
            **{
                name: float(np.percentile(response_times, rank))
                for name, rank in PERCENTILES.items()
            },
        },
        breakdown={state.name.lower(): float(spent[state]) for state in State},
        gil_utilisation=tuple(
            ((replication.gil_held[-1] - replication.gil_held[start]) / span).tolist()
        ),
        core_utilisation=tuple(
            ((replication.core_busy[-1] - replication.core_busy[start]) / span).tolist()
        ),
    )
