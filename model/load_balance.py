"""Threads that change their core without having slept: Linux's load balancing (fair.c, 6.18).

A core that falls idle takes a thread that waits on another one, if it looks for one (`NewIdle`),
but none that ran a moment ago, for its caches' sake (`task_hot`). Each tick of a core on which
threads wait has an idle one look, too. And a core whose load was heavier of late than another's
gives it a thread now and then, which is how three threads share two cores.
"""

from collections.abc import Sequence

from gilplan.model import core_use
from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.idle_search import IMBALANCE
from gilplan.model.thread import Thread

#: How often queues that differ by one thread exchange it: 30 exchanges in 4 s were counted with
#: three threads on two cores (Linux 6.18, 250 Hz), ns.
BALANCE_TIME = 128_000_000
#: So long after it ran a thread is not moved to a core that falls idle, ns
#: (`sysctl_sched_migration_cost`).
MIGRATION_COST = 500_000
#: When a thread ran that the kernel does not take for cache hot, ns.
LONG_AGO = -MIGRATION_COST
#: After so many ticks at which it found no other, an idle core takes such a thread, too
#: (`cache_nice_tries`).
NICE_TRIES = 1


class LoadBalance:
    """Moves waiting threads."""

    def __init__(self, env: Clock, cores: Sequence[Core]) -> None:
        #: Whether a core had a thread to spare since one last looked (`rd->overloaded`).
        self.overloaded = False
        self._env = env
        self._cores = cores
        self._balanced_at = 0

    def for_newly_idle(self, core: Core) -> Thread | None:
        """Return the thread that a core finds which falls idle; it is in its queue then."""
        return core.new_idle.look(lambda: self._look(core)) if self.overloaded else None

    def for_idle(self, core: Core) -> Thread | None:
        """Return the thread that an idle core finds which another's tick has woken."""
        thread = self._pull(core, even_hot=core.failed_balances > NICE_TRIES)
        core.failed_balances = 0 if thread is not None else core.failed_balances + 1
        return thread

    def even_out(self, core: Core, other: Core) -> bool:
        """Move a waiting thread to another busy core if that is due; say whether it was."""
        due = (
            len(other.queue.members) < len(core.queue.members)
            and core.load.average() > IMBALANCE * other.load.average()
            and self._env.now - self._balanced_at >= BALANCE_TIME
        )
        if due:
            self._balanced_at = self._env.now
            thread = core.queue.waiting()[0]
            self._move(thread, core, other)
            thread.last_core = other
            self.overloaded = True
        return due

    def migrate(self, thread: Thread, donor: Core | None, core: Core) -> None:
        """Let what it did count for its new core, not for its old one if it had any."""
        thread.ran_at = LONG_AGO
        load, use = thread.load.average(), thread.utilisation.average()
        core.load.shift(load)
        core.utilisation.shift(use)
        if donor is not None:
            donor.load.shift(-load)
            donor.utilisation.shift(-use)

    def _look(self, core: Core) -> Thread | None:
        thread = self._pull(core)
        self.overloaded = any(other.queue.waiting() for other in self._cores)
        return thread

    def _pull(self, core: Core, *, even_hot: bool = False) -> Thread | None:
        """Bring a thread that waits on another core, and did not run just now, to this idle one."""
        donor = max(self._cores, key=lambda other: len(other.queue.members))
        for thread in donor.queue.waiting():
            if even_hot or self._env.now - thread.ran_at >= MIGRATION_COST:
                self._move(thread, donor, core)
                return thread
        return None

    def _move(self, thread: Thread, donor: Core, core: Core) -> None:
        donor.queue.move(thread, core.queue)
        donor.load.change(-1)
        core.load.change(1)
        core_use.leave(donor, thread)
        core_use.arrive(core, thread)
        self.migrate(thread, donor, core)
