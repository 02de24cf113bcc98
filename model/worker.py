"""A worker thread: takes tasks and goes through their segments under the rules of its GIL."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from gilplan.model.alarm import Alarm, call_after
from gilplan.model.cores import Cores
from gilplan.model.gil import Gil
from gilplan.model.lock import Lock
from gilplan.model.recorder import State
from gilplan.model.source import Source
from gilplan.model.thread import Thread
from gilplan.model.workload import Task, Work

Steps = Generator[Alarm, Any, None]
Step = Callable[[], Steps]
Draw = Callable[[], int]
#: Told of a completed task: kind, arrived_at, started_at, time spent in each `State`.
Log = Callable[[int, int, int, list[int]], None]


class Worker:
    """One worker thread of a layout. All times integer nanoseconds.

    ``tasks`` are the steps of each kind of task, ``choose()`` draws the kind of the next one;
    ``log(task, arrived_at, started_at, times)`` is told of each completed task with the time
    that it spent in each `State`.
    """

    def __init__(
        self,
        thread: Thread,
        *,
        cores: Cores,
        gil: Gil,
        release_time: int,
    ) -> None:
        self.thread = thread
        self.gil = gil
        self._env = thread.env
        self._cores = cores
        self._release_time = release_time

    def serve(
        self,
        source: Source,
        tasks: list[list[Step]],
        choose: Draw,
        log: Log,
    ) -> Steps:
        """Take and do tasks for ever (a SimPy process)."""
        thread, gil = self.thread, self.gil
        yield from self.begin()
        while True:
            arrived_at = source.poll()
            if arrived_at is None:
                yield from gil.drop(thread)
                arrived_at = source.poll()
                if arrived_at is None:
                    arrived_at = yield source.wait(thread)
                yield from gil.take(thread)
            started_at, before = self._env.now, thread.times_until_now()
            kind = choose()
            for step in tasks[kind]:
                yield from step()
            self.complete(source, log, kind, arrived_at, started_at, before)

    def complete(
        self,
        source: Source,
        log: Log,
        kind: int,
        arrived_at: int,
        started_at: int,
        before: list[int],
    ) -> None:
        """Tell everybody of a task that is done now; ``before`` are the times at its start."""
        thread = self.thread
        after = thread.times_until_now()
        log(kind, arrived_at, started_at, [b - a for a, b in zip(before, after, strict=True)])
        if thread.recorder is not None:
            thread.recorder.task_completed(self._env.now, thread.index, kind, arrived_at)
        source.complete()

    def begin(self) -> Steps:
        """Start the thread: it comes onto a core and takes the GIL."""
        self._cores.wake(self.thread)
        yield self.thread.alarm
        yield from self.gil.take(self.thread)

    def prepared(self, task: Task, steps: Sequence[Step]) -> list[Step]:
        """Return the steps of a task as this worker does them."""
        return list(steps)

    def repeat(self, steps: Sequence[Step]) -> Steps:
        """Go through the steps for ever, asked by nobody (a SimPy process)."""
        yield from self.begin()
        while True:
            for step in steps:
                yield from step()

    def python(self, demand: Draw, work: Work, poll_time: Draw) -> Steps:
        """Run bytecode under the GIL; hand the GIL over at a poll when asked to.

        A request that comes after the last poll of the stretch stays pending: the next stretch
        serves it, or a release that follows is a forced switch.
        """
        thread = self.thread
        left = demand()
        while left:
            self._cores.run(thread, left, work)
            if thread.drop_requested:
                thread.unfinished = self._cores.cut(thread, poll_time())
            thread.poll_time = poll_time
            yield thread.alarm
            thread.poll_time = None
            left, thread.unfinished = thread.unfinished, 0
            if left:
                yield from self.gil.poll(thread)

    def held_native(self, demand: Draw, work: Work) -> Steps:
        """Compute in C with the GIL held; poll only when the call has ended."""
        yield self._cores.run(self.thread, demand(), work)
        yield from self.gil.poll(self.thread)

    def released_native(self, demand: Draw, work: Work) -> Steps:
        """Compute in C without the GIL.

        The demand was measured around the call, so the release and the re-take are part of it.
        """
        total = demand()
        held = min(self._release_time, total)
        yield from self.gil.drop(self.thread)
        yield self._cores.run(self.thread, total - held, work)
        yield from self.gil.take(self.thread)
        self.thread.overhead += held

    def wait(self, duration: Draw) -> Steps:
        """Block without the GIL and without a core, until an instant that is set before.

        What a thread waits for does not wait for it: an answer comes when it comes, and
        `time.sleep` sets its deadline before it gives the GIL up (pysleep in Modules/timemodule.c,
        3.11). One that is preempted in between may find that it need not sleep at all.
        """
        thread = self.thread
        ends_at = self._env.now + duration()
        yield from self.gil.drop(thread)
        rest = ends_at - self._env.now
        if rest > 0:
            alarm = self._cores.block(thread, State.BLOCKED)
            call_after(self._env, rest, lambda _: self._cores.wake(thread))
            yield alarm
        yield from self.gil.take(thread)

    def critical(self, lock: Lock, inner: list[Step]) -> Steps:
        """Hold an application lock around the inner steps."""
        yield from lock.acquire(self.thread, self.gil)
        for step in inner:
            yield from step()
        lock.release()
