"""Random streams: one per purpose and place, never per layout.

Layouts under comparison see the same draws for the same worker, task and segment (common random
numbers), so that their difference is less noisy than either. A stream is a pure function of
(seed, replication, purpose, key).
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gilplan.model.durations import Deterministic, Duration

NANOSECONDS = 1_000_000_000
_BLOCK = 512


class Purpose(IntEnum):
    """What a stream is for: the first element of its key."""

    SERVICE = 1
    ARRIVAL = 2
    THINK = 3
    MIX = 4
    LATENCY = 5
    POLL = 6


def stream(seed: int, replication: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """Return the generator of one purpose and place."""
    return np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=(replication, int(purpose), *key))
    )


def to_ns(seconds: float) -> int:
    """Round seconds to the engine's clock."""
    return round(seconds * NANOSECONDS)


def times_ns(duration: Duration, rng: np.random.Generator) -> Callable[[], int]:
    """Return a function that draws the next time of ``duration`` in integer nanoseconds."""
    if isinstance(duration, Deterministic):
        constant = to_ns(duration.value)
        return lambda: constant
    return blocks(lambda count: np.rint(duration.draw(count, rng=rng) * NANOSECONDS))


def blocks(draw: Callable[[int], NDArray[Any]]) -> Callable[[], int]:
    """Return a function that hands out ``draw(n)`` one integer at a time, in blocks."""
    values: list[int] = []

    def following() -> int:
        if not values:
            values.extend(draw(_BLOCK).astype(np.int64).tolist())
            values.reverse()
        return values.pop()

    return following
