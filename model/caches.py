"""How cold the caches are that a thread works with: what it pays for the turns of others.

`gilplan.model.cold_start` says what makes them cold and how that fades. The slow-down of work that
is done after ``w`` of it falls as ``1 / (1 + w / c)``, so that the work from ``v`` to ``w`` takes
``c * log((c + w) / (c + v))`` longer for each unit of slow-down.
"""

from collections.abc import Callable
from math import log

from gilplan.model.cold_start import ColdStart, slowdown_by_off_time
from gilplan.model.streams import to_ns

#: Nanoseconds: a stretch that was cut is told to this.
TOLERANCE = 0.5


class Caches:
    """The caches of one thread; warm, until something happens. All times integer nanoseconds.

    ``slowdown`` is that of the first work after they became cold, ``done`` how much was done since,
    and ``begun`` how much of that before the stretch that is under way.
    """

    __slots__ = ("_halved_after", "_moved", "_slowdown_after", "begun", "done", "slowdown")

    def __init__(
        self,
        cold_start: ColdStart | None = None,
        slowdown_after: Callable[[int], float] | None = None,
    ) -> None:
        self.slowdown = 0.0
        self.begun = self.done = 0
        self._slowdown_after = slowdown_after
        self._moved = 0.0
        self._halved_after = 1
        if cold_start is not None:
            self._slowdown_after = slowdown_after or slowdown_by_off_time(cold_start)
            self._moved = cold_start.moved
            self._halved_after = max(to_ns(cold_start.halved_after), 1)

    def after(self, off_time: int) -> None:
        """Take into account that the thread was off the cores so long, and others were not."""
        if self._slowdown_after is not None:
            self._chill(self._slowdown_after(off_time))

    def moved(self) -> None:
        """Take into account that the GIL was held on another core."""
        self._chill(self._moved)

    def stretched(self, demand: int) -> int:
        """Return the CPU time of the next ``demand`` of work, a stretch."""
        if not self.slowdown:
            return demand
        self.begun = self.done
        self.done += demand
        return demand + round(self._extra(demand))

    def unstretched(self, rest: int) -> int:
        """Return the demand of the stretch's last ``rest`` ns of CPU time, and undo its warming.

        What the stretch pays on top of its work is no part of it and returned as it is.
        """
        if not self.slowdown:
            return rest
        whole = self.done - self.begun
        on_top = rest - whole - self._extra(whole)
        left = whole + max(round(on_top), 0) if on_top > -TOLERANCE else self._demand(rest, whole)
        self.done -= min(left, whole)
        return left

    def _demand(self, rest: int, most: int) -> int:
        """Solve for it by Newton's steps: the earlier a demand begins, the more it takes."""
        end, scale = self._halved_after + self.done, self.slowdown * self._halved_after
        demand = min(rest / (1 + scale / end), most)
        while (excess := demand + self._extra(demand) - rest) > TOLERANCE:
            demand -= excess / (1 + scale / (end - demand))
        return round(demand)

    def _extra(self, demand: float) -> float:
        """Return what the last ``demand`` of what was done takes longer."""
        end = self._halved_after + self.done
        return self.slowdown * self._halved_after * log(end / (end - demand))

    def _chill(self, slowdown: float) -> None:
        """Be colder from now on, unless the caches are colder still."""
        if slowdown * (self._halved_after + self.done) >= self.slowdown * self._halved_after:
            self.slowdown = slowdown
            self.begun = self.done = 0
