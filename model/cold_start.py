"""What a thread pays for having been off the cores: its caches have gone cold.

A core that idles for a while loses its private caches, and others (on a virtual machine: other
tenants) take the shared one; what a thread left there it must fetch again. How much that costs
depends on the program: next to nothing for arithmetic, half a task's time and more for one that
walks over many objects. Threads that take turns show it: the first task of a turn takes longer
than the last one. A thread that waits for the GIL or for a core is in their place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np

from gilplan.model.checks import require_finite
from gilplan.model.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """How much longer a task takes when its thread was off the cores before, in seconds.

    ``off_times``: increasing, ``costs``: one each, ``(k,)``; in between linear in the logarithm
    of the time, below the first proportional to the time, beyond the last one constant.
    """

    off_times: tuple[float, ...]
    costs: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.off_times or len(self.off_times) != len(self.costs):
            raise InvalidValue("costs", "one per off time", (self.off_times, self.costs))
        for cost in (*self.off_times, *self.costs):
            require_finite("cold_start", cost)
        if self.off_times[0] == 0 or any(
            b <= a for a, b in zip(self.off_times, self.off_times[1:], strict=False)
        ):
            raise InvalidValue("off_times", "positive and in increasing order", self.off_times)

    def cost_after(self, off_time: float) -> float:
        """Return the extra time of the task that follows ``off_time`` seconds off the cores."""
        if off_time <= self.off_times[0]:
            return self.costs[0] * off_time / self.off_times[0]
        return float(np.interp(np.log(off_time), np.log(self.off_times), self.costs))

    def scaled(self, factor: float) -> "ColdStart":
        """Return the costs of a machine or build on which everything takes ``factor`` as long."""
        return ColdStart(
            off_times=self.off_times, costs=tuple(cost * factor for cost in self.costs)
        )


def slowdown_by_off_time(cold_start: ColdStart, task_time: float) -> Callable[[int], float]:
    """Return the relative slow-down of the next task against the time off the cores (ns).

    Tabulated on a logarithmic grid of 64 points from 1 us to 1 s: the engine asks often.
    """
    low, high, points = np.log(1e3), np.log(1e9), 64
    grid = np.linspace(low, high, points)
    table = [cold_start.cost_after(float(np.exp(x)) * 1e-9) / task_time for x in grid]
    step = (high - low) / (points - 1)

    def slowdown(off_time: int) -> float:
        if off_time < 1000:
            return 0.0
        return table[min(int((log(off_time) - low) / step), points - 1)]

    return slowdown
