"""What a count was of late, as Linux averages it: PELT (kernel/sched/pelt.c)."""

from math import exp, log

from gilplan.model.clock import Clock

#: What was half-forgotten this long ago: 32 periods of 1024 us, each 1024 ns long, ns.
HALF_LIFE = 32 * 1024 * 1024
_DECAY = log(2) / HALF_LIFE


class RecentAverage:
    """The exponential average of a count that changes now and then (of busy cores, of threads)."""

    __slots__ = ("_average", "_env", "_since", "count")

    def __init__(self, env: Clock, average: float = 0.0) -> None:
        self.count = 0
        self._env = env
        self._average = average
        self._since = 0

    def change(self, by: int, delay: int = 0) -> None:
        """Let the count be so much more from now on, or after so many ns; till then no change."""
        self._average = self.average()
        self._since = self._env.now + delay
        self.count += by

    def shift(self, by: float) -> None:
        """Let the average be so much more: what it counts came from elsewhere with its past."""
        self._average = self.average() + by
        self._since = self._env.now

    def average(self) -> float:
        """Return the average until now."""
        return self.average_at(self._env.now)

    def average_at(self, time: int) -> float:
        """Return the average until then, or that of the last change if that came later."""
        elapsed = time - self._since
        if elapsed <= 0:
            return self._average
        return self.count + (self._average - self.count) * exp(-elapsed * _DECAY)
