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
from collections.abc import Callable, Generator
from typing import Any

from gilplan.model.alarm import Alarm
from gilplan.model.arrivals import ColdCalls, Connection
from gilplan.model.cores import Cores
from gilplan.model.latency import between
from gilplan.model.recorder import State
from gilplan.model.source import Source
from gilplan.model.streams import to_ns
from gilplan.model.thread import Thread
from gilplan.model.worker import Draw, Log, Step, Worker
from gilplan.model.workload import Work

Steps = Generator[Alarm, Any, Any]
#: The CPU time of a call so many ns after the last one, ns.
CallTime = Callable[[int], int]


class Inbox:
    """What has come over one direction of a socket; its owner sleeps while it is empty.

    ``send_time`` and ``receive_time`` are the CPU time of the calls, without waiting, in ns; what a
    receiver pays for not having received for long, it pays when it has slept.
    """

    def __init__(
        self, cores: Cores, owner: Thread, *, send_time: CallTime, receive_time: CallTime
    ) -> None:
        self._cores = cores
        self._owner = owner
        self._send_time = send_time
        self._receive_time = receive_time
        self._messages: deque[int] = deque()
        self._sleeping = False
        self._sent_at = self._received_at = 0

    def send(self, sender: Thread, message: int) -> Steps:
        """Let a thread, which is on a core, put a message in."""
        yield self._cores.run(sender, self._send_time(self._pause(self._sent_at)), Work.BYTECODE)
        self._sent_at = self._owner.env.now
        self._messages.append(message)
        if self._sleeping:
            self._sleeping = False
            yield self._cores.rouse(self._owner, sender, sync=True)

    def receive(self) -> Steps:
        """Return the next message once there is one."""
        warm = self._receive_time(0)
        yield self._cores.run(self._owner, warm, Work.BYTECODE)
        while not self._messages:
            self._sleeping = True
            yield self._cores.block(self._owner, State.BLOCKED)
        self._owner.overhead += self._receive_time(self._pause(self._received_at)) - warm
        self._received_at = self._owner.env.now
        return self._messages.popleft()

    def _pause(self, since: int) -> int:
        return self._owner.env.now - since


def call_time(time: float, cold: ColdCalls | None, extra_times: tuple[float, ...]) -> CallTime:
    """Return what a call takes, which needs ``time`` seconds if the last one was just now."""
    warm = to_ns(time)
    if cold is None:
        return lambda _: warm
    knots, extras = [to_ns(pause) for pause in cold.pauses], [to_ns(extra) for extra in extra_times]

    def after(pause: int) -> int:
        if pause < knots[0]:
            return warm + round(extras[0] * pause / knots[0])
        left, right, position = between(knots, pause)
        return warm + round(extras[left] + position * (extras[right] - extras[left]))

    return after


class Conversation:
    """One worker thread and its client, and what their ``connection`` costs."""

    def __init__(
        self,
        worker: Worker,
        client: Thread,
        *,
        cores: Cores,
        connection: Connection,
    ) -> None:
        self._worker = worker
        self._client = client
        self._env = client.env
        self._cores = cores
        self._client_time = to_ns(connection.client_time)
        cold = connection.cold_calls
        times = {
            "send_time": call_time(connection.send_time, cold, cold.sends if cold else ()),
            "receive_time": call_time(connection.receive_time, cold, cold.receives if cold else ()),
        }
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
