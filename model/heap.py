"""An interpreter's containers, and the pauses in which its collector looks at them.

Allocations less deallocations are counted; beyond the first threshold a collection is due, and
runs at the next poll of the eval breaker with the GIL held. By version (`Behaviours.collector`):

- Three generations (Python/gc.c, 3.13): every collection looks at the youngest; every 11th also at
  the middle one; after 11 of those at everything, but only once the objects that came to the
  oldest since the last full one are a quarter of it (gc_select_generation).
- Incremental (3.14.0 to 3.14.4): the youngest and a part of the old generation, a hundredth of the
  heap but at most twice the new objects (assess_work_to_do): the pauses of a large heap are short.
- Stop the world (Python/gc_free_threading.c): everything, when more than the threshold and more
  than a quarter of the live objects were added (gc_should_collect). Since 3.14 it is put off while
  the process does not grow, until 40 thresholds were added. It finds the objects by visiting every
  block of the allocator's pages (gc_visit_heaps), several times over, so that containers that are
  not tracked (tuples and, before 3.14, dicts of numbers and strings) take time as well.

Approximation: the heap neither grows nor shrinks, so what survives replaces what dies by its
reference count in the meantime. Where the count goes below zero (`collector_counts_below_zero`)
only garbage therefore adds to it, and as the garbage that a collection frees is subtracted again,
each comes a threshold of garbage later than the one before.
"""

from dataclasses import dataclass

from gilplan.model.behaviours import Behaviours, Collector

DEFERRED_THRESHOLDS = 40
HEAP_FRACTION = 100
MOST_OLD_PER_NEW = 2
#: Nanoseconds until a collection that nothing leads to.
NEVER = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseTimes:
    """Nanoseconds per container, and of a full collection besides: see `CollectorCosts`."""

    young: float
    full: float
    garbage: float
    untracked: float = 0.0
    base: float = 0.0


class Heap:
    """The containers of one interpreter, which keeps ``live`` tracked and ``untracked`` others."""

    def __init__(
        self, behaviours: Behaviours, times: PauseTimes, *, live: float, untracked: float = 0.0
    ) -> None:
        self.collections = [0, 0, 0]
        self._kind = behaviours.collector
        self._thresholds = behaviours.gc_thresholds
        self._times = times
        self._live = live
        self._untracked = untracked
        self._counts_below_zero = behaviours.collector_counts_below_zero
        self._counted = 0.0
        self._new = 0.0
        self._garbage = 0.0
        self._middle = 0.0
        self._pending = 0.0
        self._counts = [0, 0]
        self._due_at = self._first_threshold(behaviours)

    def _first_threshold(self, behaviours: Behaviours) -> float:
        least = float(self._thresholds[0])
        if self._kind is not Collector.STOP_THE_WORLD:
            return least
        if behaviours.version >= (3, 14, 0):
            return max(least * DEFERRED_THRESHOLDS, self._live / 4)
        return max(least, self._live / 4)

    def due_in(self, rate: float, garbage_share: float) -> int:
        """Return after how many ns of allocating at ``rate`` (per ns) a collection is due."""
        counted = self._counted_of(rate, garbage_share)
        if counted == 0:
            return NEVER
        return max(int((self._due_at - self._counted) / counted) + 1, 1)

    def allocate(self, count: float, garbage_share: float) -> bool:
        """Count new containers, a share of which will be garbage in cycles; say if one is due."""
        self._new += count
        self._garbage += count * garbage_share
        self._counted += self._counted_of(count, garbage_share)
        return self._counted > self._due_at

    def _counted_of(self, count: float, garbage_share: float) -> float:
        return count * garbage_share if self._counts_below_zero else count

    def pause_per_container(self, garbage_share: float) -> float:
        """Return the ns that stop-the-world collections take per container, in the long run.

        Where each comes later than the one before, only the garbage is left of it.
        """
        times = self._times
        if self._counts_below_zero:
            return (times.full + times.garbage) * garbage_share
        walk = self._walk_time(self._due_at)
        return walk / self._due_at + times.garbage * garbage_share

    def _walk_time(self, new: float) -> float:
        """Return the ns that a stop-the-world collection takes to visit the whole heap."""
        times = self._times
        return times.base + times.full * (new + self._live) + times.untracked * self._untracked

    def collect(self) -> int:
        """Collect, and return how long it takes in ns."""
        if self._kind is Collector.GENERATIONAL:
            generation, old = self._next_generation()
        elif self._kind is Collector.INCREMENTAL:
            generation = 0
            old = min(self._live / HEAP_FRACTION, MOST_OLD_PER_NEW * self._new)
        else:
            generation, old = 2, 0.0
        self.collections[generation] += 1
        times = self._times
        if self._kind is Collector.STOP_THE_WORLD:
            pause = self._walk_time(self._garbage if self._counts_below_zero else self._new)
        else:
            pause = times.young * self._new + times.full * old
            pause += times.base if generation == 2 else 0.0
        pause += times.garbage * self._garbage
        self._counted = -self._garbage if self._counts_below_zero else 0.0
        self._age(generation)
        return round(pause)

    def _next_generation(self) -> tuple[int, float]:
        """Return the oldest generation that is due, and how many objects older than new it has."""
        if self._counts[1] > self._thresholds[2] and self._pending >= self._live / 4:
            return 2, self._live
        if self._counts[0] > self._thresholds[1]:
            return 1, self._middle
        return 0, 0.0

    def _age(self, generation: int) -> None:
        survivors = self._new - self._garbage
        self._new = self._garbage = 0.0
        if generation == 0:
            self._middle += survivors
            self._counts[0] += 1
        elif generation == 1:
            self._pending += survivors + self._middle
            self._middle = 0.0
            self._counts = [0, self._counts[1] + 1]
        else:
            self._middle = self._pending = 0.0
            self._counts = [0, 0]
