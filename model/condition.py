"""The GIL's mutex and condition variable, as glibc has them (nptl/pthread_cond_*.c, since 2.25).

A waiter joins the *newcomers* (glibc's group G2). A signal goes to the oldest of the *group* (G1).
When nobody is left in the group, the newcomers become the group. Until glibc 2.40 the one who
signals first waits until every signalled waiter of the old group has run and left it, and it does
so with the mutex in its hands. With one waiter that never happens. With two or more, a thread that
releases the GIL more often than a waiter takes to wake up stands still until it has.

The mutex is free but for the time of a signal. A woken waiter that comes on the core of the one
who signalled, or sooner than the signal is over on another, finds it locked and sleeps again.
"""

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from gilplan.model.alarm import Alarm
from gilplan.model.cores import Cores
from gilplan.model.recorder import State
from gilplan.model.thread import Thread

Steps = Generator[Alarm, Any, Any]


class Mutex:
    """A futex mutex: whoever comes first when it is free has it, woken or not."""

    def __init__(self, cores: Cores) -> None:
        self.owner: Thread | None = None
        self.waiters: deque[Thread] = deque()
        self._cores = cores

    def lock(self, thread: Thread) -> Steps:
        """Return once the thread has the mutex."""
        while self.owner is not None:
            self.waiters.append(thread)
            yield self._cores.block(thread, State.WAITING_GIL)
        self.owner = thread

    def unlock(self, thread: Thread) -> Steps:
        """Free the mutex and wake the longest waiter."""
        self.owner = None
        if self.waiters:
            yield self._cores.rouse(self.waiters.popleft(), thread)

    def leave(self, thread: Thread) -> None:
        """Free the mutex as the thread goes to sleep: what waking costs it then delays nobody."""
        self.owner = None
        if self.waiters:
            self._cores.wake(self.waiters.popleft(), waker=thread)


class Condition:
    """Who waits for a signal, and in which of the two groups.

    ``signaller_waits`` is whether groups change only when the old one has been left.
    """

    def __init__(self, cores: Cores, *, signaller_waits: bool = True) -> None:
        self._cores = cores
        self._signaller_waits = signaller_waits
        self._group: deque[Thread] = deque()
        self._newcomers: deque[Thread] = deque()
        self._leaving: set[Thread] = set()
        self._signaller: Thread | None = None

    @property
    def waiters(self) -> list[Thread]:
        """Who waits and has not been signalled, in the order of their turns."""
        return [*self._group, *self._newcomers]

    def join(self, thread: Thread) -> None:
        """Let the thread wait: it is of the newcomers."""
        self._newcomers.append(thread)

    def expire(self, thread: Thread) -> None:
        """Take out a waiter whose time has run out."""
        (self._group if thread in self._group else self._newcomers).remove(thread)

    def pass_over(self) -> Thread | None:
        """Put the oldest of the group behind the others and return it; None if there is none."""
        if not self._group:
            return None
        self._group.rotate(-1)
        return self._group[-1]

    def take_awake(self, waiter: Thread) -> None:
        """Let a signalled waiter that does not sleep leave its group before anybody runs."""
        self._leaving.discard(waiter)

    def leave(self, thread: Thread) -> Steps:
        """Let a signalled waiter, which runs now, leave its group."""
        self._leaving.discard(thread)
        if self._signaller is not None and not self._leaving:
            signaller, self._signaller = self._signaller, None
            yield self._cores.rouse(signaller, thread)

    def next_waiter(self, thread: Thread, choose: Callable[[deque[Thread]], Thread]) -> Steps:
        """Take out the one that the thread's signal is for; None if nobody waits."""
        if not self._group:
            while self._signaller_waits and self._newcomers and self._leaving:
                self._signaller = thread
                yield self._cores.block(thread, State.WAITING_GIL)
            self._group, self._newcomers = self._newcomers, self._group
        if not self._group:
            return None
        waiter = choose(self._group)
        self._group.remove(waiter)
        self._leaving.add(waiter)
        return waiter
