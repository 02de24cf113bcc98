"""Whether a core that falls idle looks for a thread to take: as often as that is of use.

`sched_balance_newidle` (kernel/sched/fair.c, 6.18) counts how often it found one. It then throws
dice: looks of which a third succeed are taken in a third of the cases, and each that succeeds
counts for three (`NI_RANDOM`, `update_newidle_stats`). So a program whose threads run for less than
half a millisecond at a time, so that few may be moved, has cores that idle beside waiting threads:
with eight threads that each go without the GIL for a quarter of a millisecond, one of two cores for
0.43 of the time (`perf record -e sched:sched_switch,sched:sched_wakeup`; 6.18, blob_store).
"""

from collections.abc import Callable

from gilplan.model.thread import Thread

SIDES = 1024


class NewIdle:
    """One core's success in taking over threads; ``dice()`` draws from 0 to 1023."""

    __slots__ = ("_calls", "_dice", "_ratio", "_successes")

    def __init__(self, dice: Callable[[], int]) -> None:
        self._dice = dice
        self._ratio = SIDES // 2
        self._calls = SIDES // 2
        self._successes = SIDES // 4

    def look(self, pull: Callable[[], Thread | None]) -> Thread | None:
        """Return what ``pull()`` brings, or None without calling it, if the dice say so."""
        weight = 1 + self._ratio
        thread, success = None, 0
        if self._dice() <= weight:
            thread = pull()
            if thread is not None:
                success = (SIDES + weight // 2) // weight
        self._calls += 1
        self._successes += success
        if self._calls >= SIDES:
            self._ratio = self._successes
            self._calls //= 2
            self._successes //= 2
        return thread
