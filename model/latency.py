"""Draws of the wake-up latency against how long the woken core had been idle."""

from bisect import bisect_left
from collections.abc import Callable
from math import log

import numpy as np

from gilplan.model.machine import WakeLatency
from gilplan.model.streams import blocks, times_ns, to_ns


def latency_by_idle_time(latency: WakeLatency, rng: np.random.Generator) -> Callable[[int], int]:
    """Return a function from idle time to a drawn latency, both integer nanoseconds.

    Between two measured idle times one of their distributions is drawn from, the nearer one (on
    a logarithmic scale) more often; beyond the ends the end's own.
    """
    knots = [to_ns(time) for time in latency.idle_times]
    draws = [times_ns(samples, rng) for samples in latency.latencies]
    if len(knots) == 1:
        return lambda _: draws[0]()
    chance = blocks(lambda count: rng.integers(0, 1_000_000, count))

    def draw(idle_time: int) -> int:
        right = bisect_left(knots, idle_time)
        if right == 0:
            return draws[0]()
        if right == len(knots):
            return draws[-1]()
        left_knot, right_knot = knots[right - 1], knots[right]
        position = log(idle_time / left_knot) / log(right_knot / left_knot)
        return draws[right]() if chance() < position * 1_000_000 else draws[right - 1]()

    return draw
