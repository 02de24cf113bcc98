"""A workload's tasks compiled for the engine: steps of a worker, with their random draws.

A segment draws from a stream of its own, keyed by worker and place and never by layout, whatever
the kind of the worker that runs it. The segments of a task whose times belong together draw from
copies of one stream: the same numbers pick, of samples in the same order, those of one task.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from gilplan.model.cores import Cores
from gilplan.model.event_loop import ACQUIRE, COMPUTE, RELEASE, WAIT, LoopLock, Operation
from gilplan.model.latency import usual_latency_by_idle_time
from gilplan.model.lock import Lock
from gilplan.model.scenario import Scenario
from gilplan.model.streams import NANOSECONDS, Purpose, blocks, stream, times_ns
from gilplan.model.worker import Draw, Step, Worker
from gilplan.model.workload import Segment, SegmentKind, Task


class Programs:
    """Compiles the tasks of a scenario's workload, and keeps the locks that they share."""

    def __init__(self, scenario: Scenario, cores: Cores) -> None:
        self._scenario = scenario
        self._cores = cores
        self._usual_latency = usual_latency_by_idle_time(scenario.machine.wake_latency)
        self._locks: dict[tuple[int, str], Lock] = {}

    def steps(self, worker: Worker, index: int, process: int) -> list[list[Step]]:
        """Return the steps of each kind of task for a worker that blocks in its waits."""
        places = iter(range(1_000_000))
        tasks = self._scenario.workload.tasks
        return [self._task(task, worker, index, process, places) for task in tasks]

    def background(self, worker: Worker, index: int, process: int, task: Task) -> list[Step]:
        """Return the steps of a task that is done over and over beside the workers."""
        return self._task(task, worker, index, process, iter(range(1_000_000)))

    def operations(self, worker: Worker, index: int) -> list[list[Operation]]:
        """Return the operations of each kind of task for an event loop in the worker's thread."""
        places = iter(range(1_000_000))
        locks: dict[str, LoopLock] = {}
        return [
            self._operations(
                task, task.segments, worker, index, places, locks,
                next(places) if task.together else None,
            )
            for task in self._scenario.workload.tasks
        ]  # fmt: skip

    def choice(self, index: int) -> Draw:
        """Return what draws the kind of the worker's next task."""
        tasks = self._scenario.workload.tasks
        if len(tasks) == 1:
            return lambda: 0
        weights = np.array([task.weight for task in tasks])
        rng = self._stream(Purpose.MIX, index)
        return blocks(lambda n: rng.choice(len(tasks), n, p=weights / weights.sum()))

    def poll_time(self, index: int, place: int) -> Draw:
        """Return what draws the time from a random instant to the next poll of any bytecode."""
        rng = self._stream(Purpose.POLL, index, place)
        longest = self._scenario.runtime.poll_time.value * NANOSECONDS
        return blocks(lambda n: rng.uniform(0, longest, n))

    def _stream(self, purpose: Purpose, *key: int) -> np.random.Generator:
        return stream(self._scenario.seed, self._scenario.replication, purpose, *key)

    def _task(
        self, task: Task, worker: Worker, index: int, process: int, places: Iterator[int]
    ) -> list[Step]:
        origin = next(places) if task.together else None
        steps = self._steps(task.segments, worker, index, process, places, origin)
        return worker.prepared(task, steps)

    def _steps(
        self,
        segments: tuple[Segment, ...],
        worker: Worker,
        index: int,
        process: int,
        places: Iterator[int],
        origin: int | None,
    ) -> list[Step]:
        steps: list[Step] = []
        for segment in segments:
            if segment.kind is SegmentKind.CRITICAL:
                lock = self._locks.setdefault((process, segment.lock), Lock(self._cores))
                inner = self._steps(segment.inner, worker, index, process, places, origin)
                steps.append(partial(worker.critical, lock, inner))
                continue
            place = next(places)
            if segment.kind is SegmentKind.WAIT:
                steps.append(partial(worker.wait, self._wait(segment, index, place, origin)))
            else:
                steps.append(self._compute(segment, worker, index, place, origin))
        return steps

    def _operations(
        self,
        task: Task,
        segments: tuple[Segment, ...],
        worker: Worker,
        index: int,
        places: Iterator[int],
        locks: dict[str, LoopLock],
        origin: int | None,
    ) -> list[Operation]:
        operations: list[Operation] = []
        for segment in segments:
            if segment.kind is SegmentKind.CRITICAL:
                lock = locks.setdefault(segment.lock, LoopLock())
                inner = self._operations(task, segment.inner, worker, index, places, locks, origin)
                operations += [(ACQUIRE, lock), *inner, (RELEASE, lock)]
                continue
            place = next(places)
            if segment.kind is SegmentKind.WAIT:
                operations.append((WAIT, self._time(segment, index, place, origin)))
            else:
                # Tasks take turns on the loop's thread: it is prepared for each stretch anew.
                step = self._compute(segment, worker, index, place, origin)
                steps = worker.prepared(task, [step])
                operations += [(COMPUTE, step) for step in steps]
        return operations

    def _wait(self, segment: Segment, index: int, place: int, origin: int | None) -> Draw:
        """Return what draws the time until the thread is woken.

        A wait was measured around the call, so the wake-up on a core that was idle meanwhile is
        part of it. Who has waited at all has left its core, if only for a moment.
        """
        draw, usual = self._time(segment, index, place, origin), self._usual_latency

        def wait() -> int:
            whole = draw()
            return max(whole - usual(whole), min(whole, 1))

        return wait

    def _compute(
        self, segment: Segment, worker: Worker, index: int, place: int, origin: int | None
    ) -> Step:
        """Return the step of a segment that computes."""
        draw, work = self._time(segment, index, place, origin), segment.limited_by
        if segment.kind is SegmentKind.PYTHON:
            return partial(worker.python, draw, work, self._poll_draw(segment, index, place))
        if segment.kind is SegmentKind.HELD_NATIVE:
            return partial(worker.held_native, draw, work)
        return partial(worker.released_native, draw, work)

    def _time(self, segment: Segment, index: int, place: int, origin: int | None) -> Draw:
        assert segment.duration is not None
        key = place if origin is None else origin
        return times_ns(segment.duration, self._stream(Purpose.SERVICE, index, key))

    def _poll_draw(self, segment: Segment, index: int, place: int) -> Draw:
        """Time from a random instant to the next poll: a uniform part of the stretch it hits."""
        if segment.uninterruptible is None:
            return self.poll_time(index, place)
        rng = self._stream(Purpose.POLL, index, place)
        stretch = segment.uninterruptible

        def residual(count: int) -> Any:
            candidates = stretch.draw(4 * count, rng=rng) * NANOSECONDS
            total = candidates.sum()
            if total == 0:
                return np.zeros(count)
            hit = rng.choice(candidates, count, p=candidates / total)
            return rng.uniform(0, 1, count) * hit

        return blocks(residual)
