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
    means, kept_means = ordered.mean(axis=1), kept.mean(axis=1)
    lost = kept_means == 0  # in the kept tasks this part took no time at all
    kept[lost] = means[lost, None]
    factors = np.divide(means, kept_means, out=np.ones(len(means)), where=~lost)
    return np.asarray(kept * factors[:, None])
