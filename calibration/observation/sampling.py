"""The sampling method: who holds the GIL, read from outside, against the thread's CPU clock.

It needs no privilege on one's own process. It sees shares, not stretches: a task becomes one
stretch of each kind.
"""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.observation.gil_state import GilState, from_interval, from_offsets, opened
from gilplan.calibration.observation.observed_task import ObservedTask, Seen, simple_task
from gilplan.calibration.observation.probes import MethodUnavailable, find_python
from gilplan.calibration.observation.target import Target

#: Mean pause between two samples; drawn anew each time, lest it beat with the task.
PAUSE = 200e-6
LEAST_SAMPLES = 200
#: Share of the time that the task may wait for a core before the reader is told.
BUSY = 0.05
#: Interval by which the target marks its GIL, microseconds.
MARK = 4_999_871


def observe_by_sampling(target: Target, *, limit: float) -> Seen:
    """Sample the GIL while the target does tasks; return the tasks with the shares found.

    Raises `MethodUnavailable` where the GIL cannot be read or there are too few samples.
    """
    python = find_python(target.pid)
    with opened(target.pid) as memory:
        target.phase("interval", limit=limit)
        gil = from_interval(memory, python, MARK)
        target.phase("interval", limit=limit)
        gil = gil or from_offsets(memory, python)
        if gil is None:
            raise MethodUnavailable("no GIL is found in the process's memory")
        samples = Samples(gil)
        samples.start()
        try:
            answer = target.phase("traced", limit=limit)
        finally:
            samples.stop()
    held = samples.held_between(answer["marks"][0][0], answer["marks"][-1][1])
    split = _Split.of(answer)
    share = split.held_of_busy(float(held.mean()))
    low, high = interval(held)
    notes = [
        f"{len(held)} samples of the GIL: held in {held.mean():.1%} (90 % interval {low:.1%} to "
        f"{high:.1%}); one release of each kind per task is assumed",
    ]
    if split.queued > BUSY:
        notes.append(
            f"other programs take the cores: the task waited for one for {split.queued:.0%} of "
            "the time; its shares are less sure than they look"
        )
    return Seen(
        tasks=tuple(split.tasks(share)),
        notes=tuple(notes),
        held_of_busy=(split.held_of_busy(low), split.held_of_busy(high)),
    )


class Samples:
    """A thread that reads the GIL's state again and again."""

    def __init__(self, gil: GilState) -> None:
        self._gil = gil
        self._rows: list[tuple[int, bool]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        rows, locked, clock, sleep = self._rows, self._gil.locked, time.perf_counter_ns, time.sleep
        # An ordinary generator: which instants are looked at decides nothing that is repeated.
        pause = random.Random(0).uniform
        while not self._done.is_set():
            try:
                rows.append((clock(), locked()))
            except OSError:
                return
            sleep(pause(0, 2 * PAUSE))

    @property
    def rows(self) -> list[tuple[int, bool]]:
        return self._rows

    def held_between(self, begin: int, end: int) -> NDArray[np.bool_]:
        """Return the samples in the span. Raises `MethodUnavailable` when they are too few."""
        inside = np.array([held for at, held in self._rows if begin <= at < end], dtype=bool)
        if len(inside) < LEAST_SAMPLES:
            raise MethodUnavailable(f"{len(inside)} samples are too few: give it more --time")
        return inside


@dataclass(frozen=True, slots=True)
class _Split:
    """The tasks' wall times, and the shares of them on a core and waiting for one.

    Time in which the thread was runnable without a core is no demand; it is taken off held and
    released time alike, for it comes while the thread computes.
    """

    lengths: tuple[float, ...]
    busy: float
    queued: float

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "_Split":
        lengths = [end - begin for begin, end in answer["marks"]]
        wall = sum(lengths)
        return cls(
            lengths=tuple(length / 1e9 for length in lengths),
            busy=min(answer["cpu_ns"] / wall, 1.0),
            queued=answer["queued_ns"] / wall,
        )

    def held_of_busy(self, held: float) -> float:
        """Return the held share of the time on a core, from that of the wall time."""
        return min(held / (self.busy + self.queued), 1.0) if self.busy > 0 else 0.0

    def tasks(self, held: float) -> Iterator[ObservedTask]:
        blocked = max(1.0 - self.busy - self.queued, 0.0)
        for length in self.lengths:
            busy = self.busy * length
            yield simple_task(held * busy, (1 - held) * busy, blocked * length)


def interval(held: NDArray[np.bool_], blocks: int = 20) -> tuple[float, float]:
    """Return a 90 % interval of the mean, by the bootstrap over blocks of time."""
    means = np.array([block.mean() for block in np.array_split(held, blocks)])
    rng = np.random.default_rng(0)
    resampled = means[rng.integers(0, blocks, (400, blocks))].mean(axis=1)
    low, high = np.percentile(resampled, (5, 95))
    return float(low), float(high)
