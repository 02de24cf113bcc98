"""What a wake-up takes against how long the woken core had been idle."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import log

import numpy as np

from gilplan.model.machine import Machine, TimesAway, WakeLatency
from gilplan.model.path_costs import PathCosts, nothing
from gilplan.model.streams import blocks, times_ns, to_ns

#: Waking costs a sleeping core's waker at least this share of what it typically does.
ASLEEP = 0.5
#: So soon after another on the same core a thread finds the GIL's path as that one has left it, s.
AT_ONCE = 1e-5


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
        left, right, position = between(knots, idle_time)
        if left == right:
            return draws[left]()
        return draws[right]() if chance() < position * 1_000_000 else draws[left]()

    return draw


def usual_latency_by_idle_time(latency: WakeLatency) -> Callable[[int], int]:
    """Return a function from idle time to the median latency, both integer nanoseconds.

    In between linear in the logarithm of the idle time, beyond the ends the end's own.
    """
    knots = [to_ns(time) for time in latency.idle_times]
    medians = [to_ns(float(np.median(draws.samples))) for draws in latency.latencies]

    def usual(idle_time: int) -> int:
        left, right, position = between(knots, idle_time)
        return round(medians[left] + position * (medians[right] - medians[left]))

    return usual


def between(knots: list[int], time: int) -> tuple[int, int, float]:
    """Return the places of the knots around a time, and how far it is from the first of them.

    That share, 0 to 1, is of their distance on a logarithmic scale. Beyond an end both are the end.
    """
    right = bisect_left(knots, time)
    if right == 0:
        return 0, 0, 0.0
    if right == len(knots):
        return right - 1, right - 1, 0.0
    left_knot, right_knot = knots[right - 1], knots[right]
    return right - 1, right, log(time / left_knot) / log(right_knot / left_knot)


class LogTable:
    """A curve over times, linear in their logarithm; beyond its ends it has the end's value.

    ``times`` and ``values`` are seconds. Tabulated on a grid of 64 points from 1 us to 100 ms, for
    the engine asks often.
    """

    LOW, HIGH, POINTS = log(1e3), log(1e8), 64
    STEP = (HIGH - LOW) / (POINTS - 1)

    def __init__(self, times: Sequence[float], values: Sequence[float]) -> None:
        grid = self.LOW + self.STEP * np.arange(self.POINTS)
        self._values = [to_ns(v) for v in np.interp(grid, np.log(times) + log(1e9), values)]

    def at(self, time: int) -> int:
        """Return the value in ns at a time in ns."""
        if time < 1000:
            return self._values[0]
        return self._values[min(int((log(time) - self.LOW) / self.STEP), self.POINTS - 1)]


def signal_time_by_idle_time(machine: Machine) -> Callable[[int], int]:
    """Return the waker's CPU time against the woken core's idle time, both integer nanoseconds.

    For a core that is not idle (0) only the thread has to be woken.
    """
    times, factors = machine.wake_latency.idle_times, machine.wake_latency.signal_factors
    if not factors:
        times, factors = (1.0,), (1.0,)
    signal_time = machine.signal_time.value
    table = LogTable(times, [signal_time * factor for factor in factors])
    busy = to_ns(machine.busy_signal_time.value)
    return lambda idle_time: table.at(idle_time) if idle_time else busy


def least_idle_time(machine: Machine) -> int:
    """Return the shortest measured idle time whose end took an interrupt, in ns.

    A thread that goes to sleep leaves its core asleep at once, while it may still be programming
    its timer. The measurement's idle times begin earlier, when the sleeper has answered the last
    wake-up, and the shortest of them end before it sleeps again: waking it costs next to nothing.
    """
    wake = machine.wake_latency
    asleep = (
        idle_time
        for idle_time, factor in zip(wake.idle_times, wake.signal_factors, strict=False)
        if factor >= ASLEEP
    )
    return to_ns(next(asleep, 0.0))


def least_waking_time(machine: Machine) -> int:
    """Return in how many ns at least a thread runs that another wakes: signal and wake-up.

    The wake-up is the shortest of a core that has just fallen idle.
    """
    just_idle = machine.wake_latency.latencies[0].samples
    return to_ns(machine.signal_time.value + min(just_idle))


def path_costs(machine: Machine) -> PathCosts:
    """Return what the GIL's path costs a core that has not been there for a while.

    Who asks or takes at once after another on the same core pays nothing more for it; a drop never
    costs less than after the shortest time that was measured.
    """
    return PathCosts(
        ask=_by_time_away(machine.asking_times, at_once=0.0),
        drop=_by_time_away(machine.dropping_times),
        take=_by_time_away(machine.taking_times, at_once=0.0),
    )


def _by_time_away(measured: TimesAway, *, at_once: float | None = None) -> Callable[[int], int]:
    """Return a function from time away to a cost, both ns: linear in the time's logarithm."""
    if not measured:
        return nothing
    points = [*([] if at_once is None else [(AT_ONCE, at_once)]), *measured]
    times, costs = zip(*points, strict=True)
    return LogTable(times, costs).at
