"""Where worker threads get their tasks from."""

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from simpy.events import Timeout

from gilplan.model.alarm import Alarm, call_after
from gilplan.model.clock import Clock
from gilplan.model.cores import Cores
from gilplan.model.recorder import State
from gilplan.model.thread import Thread


class Source:
    """One queue of arrived tasks that all workers serve, first come first served.

    Holds the instants of arrival, integer nanoseconds. ``arrivals`` and ``completions`` count.
    With ``inboxes``, tasks do not wait here but go to one of those in turn, told the instant
    and the client; a client's tasks all to the same one, as over a connection.
    """

    def __init__(self, env: Clock, cores: Cores) -> None:
        self.env = env
        self.arrivals = 0
        self.completions = 0
        self.queue: deque[int] = deque()
        self.inboxes: list[Callable[[int, int], None]] = []
        self._idle: deque[Thread] = deque()
        self._cores = cores

    def poll(self) -> int | None:
        """Return the arrival instant of the task that waits longest, if one waits."""
        return self.queue.popleft() if self.queue else None

    def wait(self, thread: Thread) -> Alarm:
        """Block the thread until a task arrives; the alarm's value is its arrival instant."""
        self._idle.append(thread)
        return self._cores.block(thread, State.BLOCKED)

    def arrive(self, client: int | None = None) -> None:
        """Let a task arrive now: an idle worker wakes for it, or it waits in the queue."""
        self.arrivals += 1
        if self.inboxes:
            client = self.arrivals if client is None else client
            self.inboxes[client % len(self.inboxes)](self.env.now, client)
        elif self._idle:
            self._cores.wake(self._idle.popleft(), self.env.now)
        else:
            self.queue.append(self.env.now)

    def complete(self, client: int = 0) -> None:
        """Note that a worker has completed a task of the client."""
        self.completions += 1


class Saturated(Source):
    """One client per worker, without think time: the next task is there when one ends."""

    def poll(self) -> int | None:
        self.arrivals += 1
        return self.env.now


class Population(Source):
    """Clients that think, submit a task, and wait for its end before they think again."""

    def __init__(
        self,
        env: Clock,
        cores: Cores,
        *,
        clients: int,
        think_time: Callable[[], int],
        thinks: bool = True,
    ) -> None:
        super().__init__(env, cores)
        self._think_time = think_time
        self._thinks = thinks
        for client in range(clients):
            self._think(client)

    def complete(self, client: int = 0) -> None:
        super().complete(client)
        if self._thinks or not self.inboxes:
            self._think(client)
        else:
            # At once, so that who has just answered finds the next task without going to sleep.
            self.arrive(client)

    def _think(self, client: int) -> None:
        call_after(self.env, self._think_time(), lambda _: self.arrive(client))


def arrive_at_gaps(source: Source, gap: Callable[[], int]) -> Generator[Timeout, Any, None]:
    """Let tasks arrive for ever, ``gap()`` nanoseconds apart (a SimPy process)."""
    while True:
        yield source.env.timeout(gap())
        source.arrive()


def arrive_at_instants(source: Source, instants: list[int]) -> Generator[Timeout, Any, None]:
    """Let tasks arrive at the given instants (a SimPy process)."""
    for instant in instants:
        yield source.env.timeout(instant - source.env.now)
        source.arrive()
