"""An application lock, as ``threading.Lock`` behaves: the GIL is given up while waiting for it.

Modules/_threadmodule.c acquire_timed: a first attempt keeps the GIL; if it fails, the GIL is
released, the thread sleeps until the lock may be free, and takes the GIL again once it has the
lock. A release wakes one sleeper; whoever comes first gets the lock.
"""

from collections import deque
from collections.abc import Generator
from typing import Any

from gilplan.model.alarm import Alarm
from gilplan.model.cores import Cores
from gilplan.model.gil import Gil
from gilplan.model.recorder import State
from gilplan.model.thread import Thread


class Lock:
    """A named lock of the simulated program."""

    def __init__(self, cores: Cores) -> None:
        self.locked = False
        self.waiters: deque[Thread] = deque()
        self._cores = cores

    def acquire(self, thread: Thread, gil: Gil) -> Generator[Alarm, Any, None]:
        """Return once ``thread`` has the lock (and the GIL)."""
        if not self.locked:
            self.locked = True
            return
        yield from gil.drop(thread)
        while self.locked:
            self.waiters.append(thread)
            yield self._cores.block(thread, State.BLOCKED)
        self.locked = True
        yield from gil.take(thread)

    def release(self) -> None:
        """Free the lock and wake one sleeper."""
        self.locked = False
        if self.waiters:
            self._cores.wake(self.waiters.popleft())
