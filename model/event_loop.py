"""An event loop: one thread that runs many tasks, as asyncio does.

BaseEventLoop._run_once (Lib/asyncio/base_events.py, the same from 3.11 to 3.14) waits for events
without the GIL, appends a callback for each to the ready queue, and runs what was in the queue
when it began; what those callbacks append waits for the next round. An event that a task waits
for is such a callback, and the task itself goes on in the round after it. So a task's waits
overlap with everything, while its processor time blocks the loop, the other tasks included,
also where it computes without the GIL.

Locks are asyncio's: they belong to one loop, and a task that waits for one does not block it.
Approximations: a wait ends when it ends (an ``asyncio.sleep`` ends at the next millisecond, for
so fine is epoll's time-out), and the tasks of several loops are dealt out in turn.
"""

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from gilplan.model.alarm import Alarm, call_after
from gilplan.model.cores import Cores
from gilplan.model.recorder import State
from gilplan.model.source import Source
from gilplan.model.worker import Draw, Worker
from gilplan.model.workload import Work

Steps = Generator[Alarm, Any, None]
#: One thing that a task does: compute (a step of its worker), wait for a drawn time, take or
#: leave a lock.
Operation = tuple[str, Any]
COMPUTE, WAIT, ACQUIRE, RELEASE = "compute", "wait", "acquire", "release"


class LoopTask:
    """A task between its arrival and its completion. Instants in integer nanoseconds."""

    __slots__ = ("arrived_at", "client", "kind", "place", "ready_at", "started_at", "times")

    def __init__(self, kind: int, arrived_at: int, client: int) -> None:
        self.kind = kind
        self.arrived_at = arrived_at
        self.client = client
        self.place = 0
        self.ready_at = self.started_at = arrived_at
        self.times = [0] * len(State)


class LoopLock:
    """An ``asyncio.Lock``: handed to those who wait for it in their order."""

    __slots__ = ("locked", "waiters")

    def __init__(self) -> None:
        self.locked = False
        self.waiters: deque[LoopTask] = deque()


class EventLoop:
    """The loop that runs in a worker's thread. All times integer nanoseconds.

    ``round_time`` is the processor time of one round of the loop with its system call,
    ``resume_time`` what a task's return from a wait costs on top: the event's callback and
    the switch to the task.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        cores: Cores,
        programs: list[list[Operation]],
        choose: Draw,
        round_time: int,
        resume_time: int,
    ) -> None:
        self.worker = worker
        self.arrived: deque[LoopTask] = deque()
        self._env = worker.thread.env
        self._cores = cores
        self._programs = programs
        self._choose = choose
        self._round_time = round_time
        self._resume_time = resume_time
        self._events: deque[LoopTask] = deque()
        self._ready: deque[LoopTask] = deque()
        self._selecting = False

    def arrive(self, arrived_at: int, client: int) -> None:
        """Let a client's task arrive: an event like any other."""
        task = LoopTask(self._choose(), arrived_at, client)
        self.arrived.append(task)
        self._happen(task)

    def serve(self, source: Source, log: Callable[[int, int, int, list[int]], None]) -> Steps:
        """Run the loop for ever (a SimPy process)."""
        thread, gil = self.worker.thread, self.worker.gil
        yield from self.worker.begin()
        while True:
            yield from gil.drop(thread)
            if not self._events and not self._ready:
                self._selecting = True
                yield self._cores.block(thread, State.BLOCKED)
            yield from gil.take(thread)
            thread.overhead += self._round_time
            going_on = len(self._ready)
            thread.overhead += self._resume_time * len(self._events)
            while self._events:
                self._ready.append(self._events.popleft())
            for _ in range(going_on):
                yield from self._go_on(self._ready.popleft(), source, log)

    def _happen(self, task: LoopTask) -> None:
        """Note the event that the task waits for; it ends the loop's sleep."""
        task.ready_at = self._env.now
        self._events.append(task)
        if self._selecting:
            self._selecting = False
            self._cores.wake(self.worker.thread)

    def _go_on(
        self,
        task: LoopTask,
        source: Source,
        log: Callable[[int, int, int, list[int]], None],
    ) -> Steps:
        """Run the task to its next wait, or to its end."""
        thread, now = self.worker.thread, self._env.now
        if task.place == 0:
            self.arrived.popleft()
            task.started_at = now
        else:
            task.times[State.QUEUED] += now - task.ready_at
        program = self._programs[task.kind]
        before = thread.times_until_now()
        while task.place < len(program):
            what, detail = program[task.place]
            if what == COMPUTE:
                yield from detail()
            elif what == RELEASE:
                self._release(detail)
            elif what == WAIT or detail.locked:
                break
            else:
                detail.locked = True
            task.place += 1
        if thread.overhead and task.place == len(program):
            # The loop's own work is done before the answer goes out.
            yield self._cores.run(thread, 0, Work.BYTECODE)
        for state, (a, b) in enumerate(zip(before, thread.times_until_now(), strict=True)):
            task.times[state] += b - a
        if task.place < len(program):
            self._park(task, *program[task.place])
            return
        log(task.kind, task.arrived_at, task.started_at, task.times)
        if thread.recorder is not None:
            thread.recorder.task_completed(self._env.now, thread.index, task.kind, task.arrived_at)
        source.complete(task.client)

    def _park(self, task: LoopTask, what: str, detail: Any) -> None:
        task.place += 1
        if what == WAIT:
            duration = detail()
            task.times[State.BLOCKED] += duration
            call_after(self._env, duration, lambda _: self._happen(task))
        else:
            task.ready_at = self._env.now
            detail.waiters.append(task)

    def _release(self, lock: LoopLock) -> None:
        """Hand the lock to the next task, which goes on in the next round."""
        if lock.waiters:
            task, now = lock.waiters.popleft(), self._env.now
            task.times[State.BLOCKED] += now - task.ready_at
            task.ready_at = now
            self._ready.append(task)
        else:
            lock.locked = False
