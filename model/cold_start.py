"""What a thread pays for the turns of others: its caches have gone cold.

Whoever takes the GIL goes on with what the last holder had in its hands: reference counts of
shared objects, free lists, memory pools. If that one ran on another core, all of it lies in that
core's caches, and each first touch fetches a line from there. Two threads that take turns on two
cores pay this at every hand-off, and more than eight which share the cores and often follow one
another on the same one.

While a thread waits, others also fill the caches of its core with their own data, the more the
longer it is off. (If nobody else had its core meanwhile it pays nothing: what its own waits cost is
in the times that were measured of it alone.)

Either makes the thread slower for a while. How much so depends on the program: next to nothing
for arithmetic, half as long again and more for one that walks over many objects.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log

import numpy as np

from gilplan.model.checks import require_finite, require_positive
from gilplan.model.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """How much more processor time work takes after others had their turns.

    ``moved``: the slow-down when the GIL was last held on another core, 0.5 is half as long again.
    ``off_times``: increasing, in seconds; ``slowdowns``: one each, ``(k,)``, after the thread was
    off the cores so long; in between linear in the logarithm of the time, below the first
    proportional to the time, beyond the last constant. Of the two the greater counts. The first
    ``warm_up`` seconds of work (as long as it takes at full speed) are slower, the rest is not.
    """

    off_times: tuple[float, ...]
    slowdowns: tuple[float, ...]
    warm_up: float
    moved: float = 0.0

    def __post_init__(self) -> None:
        if not self.off_times or len(self.off_times) != len(self.slowdowns):
            raise InvalidValue("slowdowns", "one per off time", (self.off_times, self.slowdowns))
        for value in (*self.off_times, *self.slowdowns, self.moved):
            require_finite("cold_start", value)
        require_positive("warm_up", self.warm_up)
        if self.off_times[0] == 0 or any(
            b <= a for a, b in zip(self.off_times, self.off_times[1:], strict=False)
        ):
            raise InvalidValue("off_times", "positive and in increasing order", self.off_times)

    def slowdown_after(self, off_time: float) -> float:
        """Return the slow-down of the work that follows ``off_time`` seconds off the cores."""
        if off_time <= self.off_times[0]:
            return self.slowdowns[0] * off_time / self.off_times[0]
        return float(np.interp(np.log(off_time), np.log(self.off_times), self.slowdowns))

    def scaled(self, factor: float) -> "ColdStart":
        """Return the same on a machine or build on which everything takes ``factor`` as long."""
        return replace(self, warm_up=self.warm_up * factor)


def slowdown_by_off_time(cold_start: ColdStart) -> Callable[[int], float]:
    """Return the slow-down against the time off the cores in ns.

    Tabulated on a logarithmic grid of 64 points from 1 us to 1 s: the engine asks often.
    """
    low, high, points = np.log(1e3), np.log(1e9), 64
    grid = np.linspace(low, high, points)
    table = [cold_start.slowdown_after(float(np.exp(x)) * 1e-9) for x in grid]
    step = (high - low) / (points - 1)

    def slowdown(off_time: int) -> float:
        if off_time < 1000:
            return 0.0
        return table[min(int((log(off_time) - low) / step), points - 1)]

    return slowdown
