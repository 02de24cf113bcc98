"""A queue between threads of the simulated program, and threads that wait at it.

`queue.SimpleQueue` and pipes wake a thread that waits. The standard library's cross-interpreter
queue does not: who finds it empty sleeps 10 ms and looks again (concurrent/interpreters/_queues.py
of 3.14, ``Queue.get``).
"""

from collections import deque
from collections.abc import Generator
from typing import Any

from gilplan.model.alarm import Alarm, call_after
from gilplan.model.cores import Cores
from gilplan.model.gil import Gil
from gilplan.model.recorder import State
from gilplan.model.thread import Thread


class Mailbox:
    """Items in order of arrival. ``poll_interval`` (ns): 0 means that receivers are woken."""

    def __init__(self, cores: Cores, *, poll_interval: int = 0) -> None:
        self.items: deque[Any] = deque()
        self._cores = cores
        self._poll_interval = poll_interval
        self._idle: deque[Thread] = deque()

    def put(self, item: Any, sender: Thread | None = None) -> None:
        """Add an item; a thread that waits wakes for it."""
        if not self._idle:
            self.items.append(item)
            return
        idle_time = self._cores.wake(self._idle.popleft(), item)
        if sender is not None:
            sender.overhead += self._cores.signal_time(idle_time)

    def take(self, thread: Thread, gil: Gil) -> Generator[Alarm, Any, Any]:
        """Return the next item once there is one; the thread waits without the GIL."""
        if self.items:
            return self.items.popleft()
        yield from gil.drop(thread)
        item = None
        while item is None:
            if self.items:
                item = self.items.popleft()
            elif self._poll_interval:
                alarm = self._cores.block(thread, State.BLOCKED)
                call_after(thread.env, self._poll_interval, lambda _: self._cores.wake(thread))
                yield alarm
            else:
                self._idle.append(thread)
                item = yield self._cores.block(thread, State.BLOCKED)
        yield from gil.take(thread)
        return item
