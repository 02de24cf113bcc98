"""Observed tasks become the tasks of a workload.

When every task gives up the GIL equally often, the workload has one task: the same sequence, its
segments with the times of the same observed tasks. Otherwise it has up to `VARIANTS` tasks, each a
real one that stands for tasks of about its length. Both keep the mean held, released and blocked
time of what was observed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.observation.observed_task import ObservedTask, fused, shortened
from gilplan.calibration.thinning import thinned
from gilplan.model.durations import Deterministic, Duration, Empirical
from gilplan.model.errors import MeasurementFailed
from gilplan.model.workload import Segment, SegmentKind, Task

VARIANTS = 16
#: Releases per task that a workload keeps; shorter ones are fused, see `shortened`.
RELEASES = 40
#: Tasks whose times a workload keeps.
SAMPLES = 100
#: A file's times are whole nanoseconds, as the engine's are.
DIGITS = 9
#: A release that blocks and computes for less than this share of its time is a wait: its
#: processor time is counted at another release, as the model gives the GIL up for one or the other.
SMALL_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTraits:
    """What else is known of the tasks, alike for all of them.

    ``uninterruptible`` is None where bytecode polls as the build's own figure says;
    ``held_native`` says that stretches with the GIL cannot be interrupted at all.
    """

    payload_in: float = 0.0
    payload_out: float = 0.0
    allocation_rate: float = 0.0
    uninterruptible: Duration | None = None
    held_native: bool = False


def fitted_tasks(
    name: str, observed: Sequence[ObservedTask], traits: TaskTraits
) -> tuple[Task, ...]:
    """Return the tasks of a workload. Raises `MeasurementFailed` when nothing took any time."""
    if not observed or sum(task.total for task in observed) <= 0:
        raise MeasurementFailed(f"{name}: nothing was observed; give it more --time")
    if len({len(task.held) for task in observed}) == 1:
        return (_task(name, _sequence(observed), 1.0, traits),)
    groups = np.array_split(
        np.argsort([task.total for task in observed], kind="stable"), min(VARIANTS, len(observed))
    )
    return tuple(
        _task(
            f"{name} {number}",
            _variant([observed[place] for place in group]),
            float(len(group)),
            traits,
        )
        for number, group in enumerate(groups, 1)
    )


Row = tuple[SegmentKind, NDArray[np.float64]]


def _task(name: str, rows: Sequence[Row], weight: float, traits: TaskTraits) -> Task:
    times = thinned(np.array([times for _, times in rows]), SAMPLES)
    return Task(
        name=name,
        segments=tuple(
            _segment(kind, kept, traits) for (kind, _), kept in zip(rows, times, strict=True)
        ),
        weight=weight,
        together=times.shape[1] > 1,
        payload_in=traits.payload_in,
        payload_out=traits.payload_out,
        allocation_rate=traits.allocation_rate,
    )


def _segment(kind: SegmentKind, times: NDArray[np.float64], traits: TaskTraits) -> Segment:
    if kind is SegmentKind.PYTHON and traits.held_native:
        kind = SegmentKind.HELD_NATIVE
    return Segment(
        kind=kind,
        duration=_duration(times),
        uninterruptible=traits.uninterruptible if kind is SegmentKind.PYTHON else None,
    )


def _duration(times: NDArray[np.float64]) -> Duration:
    if len(times) == 1:
        return Deterministic(round(float(times[0]), DIGITS))
    return Empirical(tuple(round(float(time), DIGITS) for time in times))


def _sequence(observed: Sequence[ObservedTask]) -> list[Row]:
    """Return the segments of tasks with equally many releases, position by position."""
    typical = np.median([[*_lengths(task)] for task in observed], axis=0)
    kept = sorted(np.argsort(-typical, kind="stable")[:RELEASES].tolist())
    tasks = [fused(task, kept) if len(kept) < len(typical) else task for task in observed]
    return _rows(
        np.array([task.held for task in tasks]),
        np.array([task.released for task in tasks]),
        np.array([task.blocked for task in tasks]),
    )


def _lengths(task: ObservedTask) -> list[float]:
    return [r + b for r, b in zip(task.released, task.blocked, strict=True)]


def _variant(group: Sequence[ObservedTask]) -> list[Row]:
    """Return the segments of the task that is nearest to the group's mean, scaled to that mean."""
    totals = np.array([task.totals for task in group])
    mean = totals.mean(axis=0)
    nearest = group[int(np.argmin(np.abs(totals - mean).sum(axis=1)))]
    short = shortened(nearest, RELEASES)
    parts = [np.array([times]) for times in (short.held, short.released, short.blocked)]
    for number, part in enumerate(parts):
        total = part.sum()
        if total > 0:
            part *= mean[number] / total
        elif mean[number] > 0 and part.size:
            part[0, -1] = mean[number]
        elif mean[number] > 0:  # this one gave the GIL up never, others of the group did
            parts = [np.array([[mean[0] / 2] * 2]), np.array([[mean[1]]]), np.array([[mean[2]]])]
            break
    return _rows(*parts)


def _rows(
    held: NDArray[np.float64], released: NDArray[np.float64], blocked: NDArray[np.float64]
) -> list[Row]:
    """Turn times per task and position (``(tasks, positions)``) into segments in order."""
    released = _gathered(released, blocked)
    rows: list[Row] = []
    for place in range(held.shape[1]):
        rows.append((SegmentKind.PYTHON, held[:, place]))
        if place < released.shape[1]:
            rows.append((SegmentKind.RELEASED_NATIVE, released[:, place]))
            rows.append((SegmentKind.WAIT, blocked[:, place]))
    return [(kind, times) for kind, times in rows if times.sum() > 0]


def _gathered(released: NDArray[np.float64], blocked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move the little processor time of waits to the nearest release that only computes.

    Where there is none it goes to the wait with the most of it, so that at most one release is
    counted twice.
    """
    computing, waiting = released.mean(axis=0), blocked.mean(axis=0)
    small = (waiting > 0) & (computing < SMALL_SHARE * waiting)
    if not small.any():
        return released
    heirs = np.flatnonzero(~small & (computing > 0))
    if not len(heirs):
        heirs = np.array([int(np.argmax(computing))])
    moved = released.copy()
    for place in np.flatnonzero(small):
        heir = heirs[np.argmin(np.abs(heirs - place))]
        if heir != place:
            moved[:, heir] += released[:, place]
            moved[:, place] = 0.0
    return moved
