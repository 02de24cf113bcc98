"""An executor: a submitting thread, workers, and what lies between them.

Every task passes the submitting thread twice and, in pools of interpreters and processes, helper
threads of the main interpreter: all of them under main's GIL, which therefore bounds how many
fine-grained tasks a pool can do, however many workers it has. `concurrent.futures`:

- ThreadPoolExecutor: workers share main's GIL with the submitting thread.
- InterpreterPoolExecutor: a worker is a thread of main that calls into its interpreter: it
  pickles the call under main's GIL, swaps it for its own, and back (interpreter.py, 3.14). Before
  3.14: a persistent sub-interpreter that polls a cross-interpreter queue.
- ProcessPoolExecutor (process.py): the manager thread moves tasks into a call queue that holds
  one more than there are workers; a feeder thread writes them to a pipe; the manager reads
  the results.

Approximations: a task's tolls are constants, and who feeds a polled pool finds arrivals and
results alike when he looks.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

from gilplan.model.alarm import Alarm
from gilplan.model.cores import Cores
from gilplan.model.mailbox import Mailbox
from gilplan.model.recorder import State
from gilplan.model.source import Source
from gilplan.model.worker import Draw, Step, Worker
from gilplan.model.workload import Work

Steps = Generator[Alarm, Any, None]
#: Calls that wait in the pipe for a worker beyond those being done (process.py).
EXTRA_QUEUED_CALLS = 1
#: Processor time in nanoseconds at each place, for each kind of task.
Tolls = dict[str, Sequence[int]]


class PoolTask:
    """A task on its way. Instants in integer nanoseconds."""

    __slots__ = ("arrived_at", "client", "done_at", "kind", "started_at", "times")

    def __init__(self, kind: int, arrived_at: int, client: int) -> None:
        self.kind = kind
        self.arrived_at = arrived_at
        self.client = client
        self.started_at = self.done_at = arrived_at
        self.times = [0] * len(State)


class Pool:
    """The threads of one executor; each of the methods is the life of one (a SimPy process).

    ``tasks`` leads to the workers, ``results`` to the submitting thread; both are `Mailbox`es.
    """

    def __init__(
        self,
        *,
        cores: Cores,
        tolls: Tolls,
        released_shares: dict[str, float],
        mailbox: Callable[[int], Mailbox],
        poll_interval: int,
        poll_time: Draw,
        choose: Draw,
    ) -> None:
        self.submitted: deque[PoolTask] = deque()
        self._cores = cores
        self._tolls = tolls
        self._released_shares = released_shares
        self._poll_time = poll_time
        self._choose = choose
        # Through a polled queue also arrivals reach the submitting thread: it has one loop.
        self._inbox = mailbox(poll_interval)
        self._tasks = mailbox(poll_interval)
        self._outgoing = mailbox(0)
        self._pipe = mailbox(0)
        self._room = 0
        self._pending: deque[PoolTask] = deque()

    def arrive(self, arrived_at: int, client: int) -> None:
        """Let a task arrive at the submitting thread."""
        task = PoolTask(self._choose(), arrived_at, client)
        self.submitted.append(task)
        self._inbox.put(("new", task))

    def submit(
        self, main: Worker, source: Source, log: Callable[[int, int, int, list[int]], None],
        *, through: Mailbox | None = None,
    ) -> Steps:  # fmt: skip
        """Submit what arrives and collect what is done; ``through`` leads to a manager."""
        thread = main.thread
        yield from main.begin()
        while True:
            what, task = yield from self._inbox.take(thread, main.gil)
            if what == "new":
                yield from self._pay(main, "submit", task)
                if through is None:
                    self._tasks.put(task, thread)
                    continue
                # The manager's wake-up is a byte in a pipe.
                wake = partial(through.put, (what, task), thread)
                yield from self._call(main, "submit", task, wake)
                continue
            yield from self._pay(main, "collect", task)
            task.times[State.QUEUED] += thread.env.now - task.done_at
            log(task.kind, task.arrived_at, task.started_at, task.times)
            if thread.recorder is not None:
                thread.recorder.task_completed(
                    thread.env.now, thread.index, task.kind, task.arrived_at
                )
            source.complete(task.client)

    def work(self, worker: Worker, steps: list[list[Step]], *, main: Worker | None) -> Steps:
        """Do tasks; ``main`` is the same thread under main's GIL, where it comes from there."""
        thread, home = worker.thread, main or worker
        yield from home.begin()
        while True:
            task = yield from self._tasks.take(thread, home.gil)
            before = self._start(task, worker)
            if main is not None:
                yield from self._pay(main, "forward", task)
                yield from self._swap(main, worker)
            yield from self._do(worker, task, steps)
            if main is not None:
                yield from self._swap(worker, main)
                yield from self._pay(main, "back", task)
            self._end(task, worker, before)
            self._inbox.put(("done", task), thread)

    def work_in_process(self, worker: Worker, steps: list[list[Step]], manager: Mailbox) -> Steps:
        """Do tasks that come through the pipe, and write the results to the other one."""
        yield from worker.begin()
        self._room += 1
        while True:
            task = yield from self._pipe.take(worker.thread, worker.gil)
            self._room += 1
            before = self._start(task, worker)
            yield from self._do(worker, task, steps)
            self._end(task, worker, before)
            manager.put(("done", task), worker.thread)

    def feed(self, feeder: Worker) -> Steps:
        """Pickle the tasks that the manager hands over and write them to the pipe."""
        yield from feeder.begin()
        while True:
            task = yield from self._outgoing.take(feeder.thread, feeder.gil)
            yield from self._pay(feeder, "forward", task)
            write = partial(self._pipe.put, task, feeder.thread)
            yield from self._call(feeder, "forward", task, write)

    def manage(self, manager: Worker, messages: Mailbox) -> Steps:
        """Move tasks on while the call queue has room, and results to where they are collected."""
        yield from manager.begin()
        self._room += EXTRA_QUEUED_CALLS
        while True:
            what, task = yield from messages.take(manager.thread, manager.gil)
            if what == "new":
                self._pending.append(task)
            else:
                yield from self._pay(manager, "back", task)
                self._inbox.put((what, task), manager.thread)
            while self._pending and self._room > 0:
                self._room -= 1
                self._outgoing.put(self._pending.popleft(), manager.thread)
            # It looks at its pipes again.
            yield from self._call(manager, "back" if what == "done" else None, task)

    def _do(self, worker: Worker, task: PoolTask, steps: list[list[Step]]) -> Steps:
        yield from self._pay(worker, "receive", task)
        for step in steps[task.kind]:
            yield from step()
        yield from self._pay(worker, "reply", task)

    def _pay(self, payer: Worker, place: str, task: PoolTask) -> Steps:
        held = round(self._tolls[place][task.kind] * (1 - self._released_shares[place]))
        yield from payer.python(lambda: held, Work.BYTECODE, self._poll_time)

    def _call(
        self,
        caller: Worker,
        place: str | None,
        task: PoolTask,
        effect: Callable[[], None] | None = None,
    ) -> Steps:
        """Call the system about a pipe, without the GIL: what is left of the place's toll."""
        thread = caller.thread
        yield from caller.gil.drop(thread)
        if place is not None and self._released_shares[place] > 0:
            released = round(self._tolls[place][task.kind] * self._released_shares[place])
            yield self._cores.run(thread, released, Work.BYTECODE)
        if effect is not None:
            effect()
        yield from caller.gil.take(thread)

    @staticmethod
    def _swap(left: Worker, entered: Worker) -> Steps:
        yield from left.gil.drop(left.thread)
        yield from entered.gil.take(entered.thread)

    def _start(self, task: PoolTask, worker: Worker) -> list[int]:
        self.submitted.remove(task)
        task.started_at = worker.thread.env.now
        return worker.thread.times_until_now()

    @staticmethod
    def _end(task: PoolTask, worker: Worker, before: list[int]) -> None:
        task.done_at = worker.thread.env.now
        after = worker.thread.times_until_now()
        task.times = [b - a for a, b in zip(before, after, strict=True)]
