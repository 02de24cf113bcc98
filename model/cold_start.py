"""What a thread pays for the turns of others: its caches have gone cold.

Others that had a thread's core since it worked there last have put their data in place of its own.
What counts is how many others they were, its place in a stack of those that used the core last; a
thread that follows itself pays nothing, for what its own waits cost is in the times that were
measured of it alone.

Whoever takes the GIL goes on with what the last holder had in its hands: reference counts of
shared objects, free lists, memory pools. If that one ran on another core, all of it lies in that
core's caches, and each first touch fetches a line from there. Two threads that take turns on two
cores pay this at every hand-off, though neither has to do with the other's core; threads that share
their cores as well pay both (`python benchmarks/crowding.py`).

Either makes the thread slower for a while: what it needs most comes back first, and what it needs
once a task comes back late, so that the slow-down falls as ``1 / (1 + w / c)`` with the work ``w``
done since. How great it is depends on the program: next to nothing for arithmetic, twice as long
and more for one that walks over many objects.
"""

from dataclasses import dataclass, replace

from gilplan.model.checks import require_finite, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """How much more processor time work takes after others had their turns.

    ``crowded``: the slow-down after another had the core, 0.5 is half as long again; after several
    it is as many times that, to the power of ``growth`` (below 1, for their data displaces each
    other's, too). ``moved``: that when the GIL was last held on another core. The two add up. After
    ``halved_after`` seconds of work (as long as it takes at full speed) each has fallen to a half.
    """

    crowded: float
    growth: float
    moved: float
    halved_after: float

    def __post_init__(self) -> None:
        for name in ("crowded", "growth", "moved"):
            require_finite(name, getattr(self, name))
        require_positive("halved_after", self.halved_after)

    def slowdown_after(self, others: int) -> float:
        """Return the slow-down of the work that follows the turns of so many others."""
        return self.crowded * float(others) ** self.growth if others else 0.0

    def scaled(self, factor: float) -> "ColdStart":
        """Return the same on a machine or build on which everything takes ``factor`` as long."""
        return replace(self, halved_after=self.halved_after * factor)
