"""A worker and its client, who talk over a socket and share the cores.

Each side's ``send`` and ``recv`` are system calls that a Python thread makes without the GIL. On
the loopback device a send does the receiver's work, too, and wakes it before it returns
(net/ipv4/tcp_input.c, ``sock_def_readable``). The client is a process of its own: it has a core or
waits for one like any other thread, and no GIL that anybody else wants.

Whether a thread that computes gets the GIL between two requests is then a race: it is signalled
when the worker begins to send, and the worker keeps the GIL if the next request is there before
the other has woken.
"""

from collections import deque
from collections.abc import Generator
from typing import Any

from gilplan.model.alarm import Alarm
from gilplan.model.cores import Cores
from gilplan.model.recorder import State
from gilplan.model.source import Source
from gilplan.model.thread import Thread
from gilplan.model.worker import Draw, Log, Step, Worker
from gilplan.model.workload import Work

Steps = Generator[Alarm, Any, Any]


class Inbox:
    """What has come over one direction of a socket; its owner sleeps while it is empty.

    ``send_time`` and ``receive_time`` are the CPU time of the calls, without waiting, in ns.
    """

    def __init__(self, cores: Cores, owner: Thread, *, send_time: int, receive_time: int) -> None:
        self._cores = cores
        self._owner = owner
        self._send_time = send_time
        self._receive_time = receive_time
        self._messages: deque[int] = deque()
        self._sleeping = False

    def send(self, sender: Thread, message: int) -> Steps:
        """Let a thread, which is on a core, put a message in."""
        yield self._cores.run(sender, self._send_time, Work.BYTECODE)
        self._messages.append(message)
        if self._sleeping:
            self._sleeping = False
            yield self._cores.rouse(self._owner, sender, sync=True)

    def receive(self) -> Steps:
        """Return the next message once there is one."""
        yield self._cores.run(self._owner, self._receive_time, Work.BYTECODE)
        while not self._messages:
            self._sleeping = True
            yield self._cores.block(self._owner, State.BLOCKED)
        return self._messages.popleft()


class Conversation:
    """One worker thread and its client. All times integer nanoseconds.

    ``client_time`` is the CPU time of the client between an answer and its next request.
    """

    def __init__(
        self,
        worker: Worker,
        client: Thread,
        *,
        cores: Cores,
        send_time: int,
        receive_time: int,
        client_time: int,
    ) -> None:
        self._worker = worker
        self._client = client
        self._env = client.env
        self._cores = cores
        self._client_time = client_time
        times = {"send_time": send_time, "receive_time": receive_time}
        self._requests = Inbox(cores, worker.thread, **times)
        self._answers = Inbox(cores, client, **times)

    def ask(self, source: Source) -> Steps:
        """Send requests for ever, each when the last one is answered (a SimPy process)."""
        self._cores.wake(self._client)
        yield self._client.alarm
        while True:
            source.arrivals += 1
            yield from self._requests.send(self._client, self._env.now)
            yield from self._answers.receive()
            yield self._cores.run(self._client, self._client_time, Work.BYTECODE)

    def answer(
        self,
        source: Source,
        tasks: list[list[Step]],
        choose: Draw,
        log: Log,
    ) -> Steps:
        """Do a task for each request and answer it, for ever (a SimPy process)."""
        thread, gil = self._worker.thread, self._worker.gil
        yield from self._worker.begin()
        while True:
            yield from gil.drop(thread)
            arrived_at = yield from self._requests.receive()
            started_at, before = self._env.now, thread.times_until_now()
            yield from gil.take(thread)
            kind = choose()
            for step in tasks[kind]:
                yield from step()
            yield from gil.drop(thread)
            yield from self._answers.send(thread, self._env.now)
            self._worker.complete(source, log, kind, arrived_at, started_at, before)
            yield from gil.take(thread)
