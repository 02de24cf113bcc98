"""Whom a thread wakes: how often it was another one than the last time (kernel/sched/fair.c, 6.18).

The kernel counts these *flips* for each thread and forgets half of them every second
(`record_wakee`). They tell who serves many from who serves one (`wake_wide`).
"""

from typing import TYPE_CHECKING

from gilplan.model.clock import Clock

if TYPE_CHECKING:
    from gilplan.model.thread import Thread

#: A thread that always wakes the same one still wakes the kernel's threads in between (RCU's above
#: all): 20 flips a second were counted, which is about what is remembered (Linux 6.18, 250 Hz).
KERNEL_FLIPS = 20
#: Half of the flips are forgotten at the first wake-up after so long, ns.
HALVED_AFTER = 1_000_000_000


class Wakees:
    """One thread's memory of whom it woke; ``flips`` is what it remembers of its own."""

    __slots__ = ("_env", "_halved_at", "_last", "flips")

    def __init__(self, env: Clock) -> None:
        self.flips = 0
        self._env = env
        self._halved_at = 0
        self._last: Thread | None = None

    def record(self, thread: "Thread") -> None:
        """Take notice that this thread is woken."""
        if self._env.now - self._halved_at > HALVED_AFTER:
            self._halved_at = self._env.now
            self.flips //= 2
        if thread is not self._last:
            self._last = thread
            self.flips += 1

    def differ_widely(self, other: "Wakees", *, cores: int) -> bool:
        """Whether one of the two wakes ``cores`` times as many threads in turn as the other."""
        few, many = sorted(max(each.flips, KERNEL_FLIPS) for each in (self, other))
        return many >= few * cores
