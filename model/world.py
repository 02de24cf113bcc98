"""The threads of a free-threaded interpreter, which a collection stops all together.

_PyEval_StopTheWorld (Python/pystate.c, 3.13.5:2243): a detached thread (in a system call, or in C
without its thread state) stays where it is and cannot attach; an attached one is asked to stop and
does so at its next poll of the eval breaker; the one that asks waits for the last of them. So a
long C call that stays attached makes everybody wait. Waiting for the world counts as waiting for
the GIL, whose place it takes.
"""

from collections import deque

from gilplan.model.clock import Clock
from gilplan.model.cores import Cores
from gilplan.model.gil import NoGil, Steps
from gilplan.model.recorder import State
from gilplan.model.thread import Thread


class World(NoGil):
    """Takes and drops are attaching and detaching; nobody waits but while the world is stopped."""

    def __init__(self, env: Clock, cores: Cores, *, index: int = 0) -> None:
        super().__init__(env, cores, index=index)
        self._attached: dict[Thread, None] = {}
        self._parked: deque[Thread] = deque()
        self._stopper: Thread | None = None
        self._stopper_waits = False

    @property
    def stopped(self) -> bool:
        """Whether a thread is stopping the others or has stopped them."""
        return self._stopper is not None

    def take(self, thread: Thread) -> Steps:
        while self._stopper is not None:
            self._parked.append(thread)
            yield self._cores.block(thread, State.WAITING_GIL)
        self._attached[thread] = None

    def drop(self, thread: Thread) -> Steps:
        thread.drop_requested = False
        del self._attached[thread]
        if self._stopper_waits and len(self._attached) == 1:
            assert self._stopper is not None
            self._stopper_waits = False
            self._cores.wake(self._stopper)
        return
        yield

    def stop(self, thread: Thread) -> Steps:
        """Return when every other thread is stopped or detached; nobody may be stopping them."""
        self._stopper = thread
        for other in self._attached:
            if other is not thread and not other.drop_requested:
                other.drop_requested = True
                if other.poll_time is not None:
                    other.unfinished += self._cores.cut(other, other.poll_time())
        if len(self._attached) > 1:
            self._stopper_waits = True
            yield self._cores.block(thread, State.WAITING_GIL)

    def start(self) -> None:
        """Let the stopped threads go on."""
        self._stopper = None
        for thread in self._attached:
            thread.drop_requested = False
        while self._parked:
            self._cores.wake(self._parked.popleft())
