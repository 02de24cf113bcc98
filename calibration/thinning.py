"""Fewer tasks that stand for all that were timed, their parts' times still together."""

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]


def thinned(table: Times, count: int) -> Times:
    """Return the times of ``count`` tasks at most: ``(parts, tasks)`` in and ``(parts, k)`` out.

    The tasks in order of their whole time are cut into ``count`` runs, and the middle one of each
    is kept: a real task, so that parts that were slow together stay so (the machine was slow, the
    task was a large one). A factor per part makes up for what the rest of the runs had more: each
    part keeps its mean.
    """
    ordered = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    if ordered.shape[1] <= count:
        return ordered
    runs = np.array_split(np.arange(ordered.shape[1]), count)
    kept = ordered[:, [run[len(run) // 2] for run in runs]]
    # Relative to the largest: a ratio of two means may overflow.
    largest = kept.max(axis=1, keepdims=True)
    # Where the kept tasks' part took no time at all, the mean is that of each.
    shapes = np.divide(kept, largest, out=np.ones_like(kept), where=largest > 0)
    factors = ordered.mean(axis=1, keepdims=True) / shapes.mean(axis=1, keepdims=True)
    return np.asarray(shapes * factors)
