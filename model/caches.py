"""How cold the caches are that a thread works with: what it pays for the turns of others.

`gilplan.model.cold_start` says what makes them cold and how that fades. The slow-down of work that
is done after ``w`` of it falls as ``1 / (1 + w / c)``, so that the work from ``v`` to ``w`` takes
``c * log((c + w) / (c + v))`` longer for each unit of slow-down.
"""

from math import log

from gilplan.model.cold_start import ColdStart
from gilplan.model.streams import to_ns

#: Nanoseconds: a stretch that was cut is told to this.
TOLERANCE = 0.5


class Chill:
    """One thing that made caches cold: how much slower at first, and what was done since, in ns."""

    __slots__ = ("done", "halved_after", "slowdown")

    def __init__(self, halved_after: int) -> None:
        self.slowdown = 0.0
        self.done = 0
        self.halved_after = halved_after

    def anew(self, slowdown: float) -> None:
        """Be as cold as this from now on, unless it is colder still."""
        if slowdown >= self.now(0):
            self.slowdown = slowdown
            self.done = 0

    def now(self, back: float) -> float:
        """Return the slow-down ``back`` ns of work ago."""
        return self.slowdown / (1 + (self.done - back) / self.halved_after)

    def extra(self, demand: float) -> float:
        """Return what the last ``demand`` of what was done takes longer."""
        if not self.slowdown:
            return 0.0
        end = self.halved_after + self.done
        return self.slowdown * self.halved_after * log(end / (end - demand))


class Caches:
    """The caches of one thread; warm, until something happens. All times integer nanoseconds.

    ``stretch`` is the demand that is under way, or was last.
    """

    __slots__ = ("_cold_start", "_crowded", "_moved", "stretch")

    def __init__(self, cold_start: ColdStart) -> None:
        self._cold_start = cold_start
        halved_after = max(to_ns(cold_start.halved_after), 1)
        self._crowded, self._moved = Chill(halved_after), Chill(halved_after)
        self.stretch = 0

    def crowded(self, others: int) -> None:
        """Take into account that so many others had the core since the thread worked there."""
        self._crowded.anew(self._cold_start.slowdown_after(others))

    def moved(self) -> None:
        """Take into account that the GIL was held on another core."""
        self._moved.anew(self._cold_start.moved)

    def stretched(self, demand: int) -> int:
        """Return the CPU time of the next ``demand`` of work, a stretch."""
        self.stretch = demand
        self._crowded.done += demand
        self._moved.done += demand
        return demand + round(self._extra(demand))

    def unstretched(self, rest: int) -> int:
        """Return the demand of the stretch's last ``rest`` ns of CPU time, and undo its warming.

        What the stretch pays on top of its work is no part of it and returned as it is.
        """
        whole = self.stretch
        on_top = rest - whole - self._extra(whole)
        left = whole + max(round(on_top), 0) if on_top > -TOLERANCE else self._demand(rest, whole)
        undone = min(left, whole)
        self.stretch -= undone
        self._crowded.done -= undone
        self._moved.done -= undone
        return left

    def _demand(self, rest: int, most: int) -> int:
        """Solve for it by Newton's steps: the earlier a demand begins, the more it takes."""
        demand = min(rest / (1 + self._slowdown(0)), most)
        while (excess := demand + self._extra(demand) - rest) > TOLERANCE:
            demand -= excess / (1 + self._slowdown(demand))
        return round(demand)

    def _slowdown(self, back: float) -> float:
        return self._crowded.now(back) + self._moved.now(back)

    def _extra(self, demand: float) -> float:
        return self._crowded.extra(demand) + self._moved.extra(demand)
