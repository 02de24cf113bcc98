"""What of a scenario's objects costs time: which heaps are collected, which tasks contend."""

from typing import Any

from gilplan.model.heap import Heap, PauseTimes
from gilplan.model.layout import GilMode
from gilplan.model.object_worker import ObjectWorker
from gilplan.model.scenario import Scenario
from gilplan.model.streams import NANOSECONDS
from gilplan.model.thread import Thread
from gilplan.model.worker import Worker
from gilplan.model.workload import Collections, Task

#: Times that are said to be more than this share of collections were measured on another heap.
MOST_COLLECTED = 0.9


class Objects:
    """The heaps by interpreter and the tasks' extra times by name; both empty where nothing costs.

    Durations that include their collections need none simulated where only the collecting thread
    and those that wait for its GIL stand still: it holds the GIL in that time either way. Without
    a GIL a collection stops the threads that would otherwise go on: it is taken out of the times,
    by what a single thread alone would spend on it, and simulated. What was measured of the
    program's own threads on this build goes before either: it holds all that they cost each other.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        layout, tasks = scenario.layout, scenario.workload.tasks
        without_gil = layout.gil is GilMode.DISABLED and layout.threads > 1
        included = scenario.workload.collections is Collections.INCLUDED
        self.own_shares: dict[str, float] = {}
        self.heaps: dict[int, Heap] = {}
        sharing = self._sharing() if without_gil else None
        stopped = without_gil and sharing is None
        if any(task.allocation_rate > 0 for task in tasks) and (not included or stopped):
            interpreters = layout.processes * layout.interpreters
            heaps = [self._heap() for _ in range(interpreters)]
            self.heaps = {number: heap for number, heap in enumerate(heaps) if heap is not None}
            if included:
                self.own_shares = {task.name: self._own_share(task) for task in tasks}
        self.extra_times: dict[str, float] = {}
        if sharing is not None:
            self.extra_times = {task.name: sharing for task in tasks} if sharing > 0 else {}
        elif without_gil:
            extra = {task.name: self._extra_time(task) for task in tasks if task.shared_share}
            self.extra_times = extra

    def worker(self, thread: Thread, *, process: int, **options: Any) -> Worker:
        """Return a worker of the kind that the scenario needs."""
        if not self.heaps and not self.extra_times:
            return Worker(thread, **options)
        return ObjectWorker(
            thread,
            process=process,
            heap=self.heaps.get(thread.interpreter),
            own_shares=self.own_shares,
            extra_times=self.extra_times,
            **options,
        )

    def _heap(self) -> Heap | None:
        runtime, workload = self._scenario.runtime, self._scenario.workload
        costs = runtime.collector
        if costs is None:
            return None
        times = PauseTimes(
            young=costs.young_time.value * NANOSECONDS,
            full=costs.full_time.value * NANOSECONDS,
            garbage=costs.garbage_time.value * NANOSECONDS,
            untracked=costs.untracked_time.value * NANOSECONDS,
            base=costs.base_time.value * NANOSECONDS,
        )
        live = workload.live_objects + costs.bare_objects.value
        return Heap(runtime.behaviours, times, live=live, untracked=workload.untracked_objects)

    def _own_share(self, task: Task) -> float:
        """Share of the task's held time that a single thread's collections take."""
        heap = self.heaps.get(0)
        if heap is None:
            return 0.0
        pause = heap.pause_per_container(task.garbage_share) / NANOSECONDS
        return min(task.allocation_rate * pause, MOST_COLLECTED)

    def _sharing(self) -> float | None:
        """Return what the program's threads were seen to cost each other on this build."""
        seen = self._scenario.workload.on(self._scenario.runtime.build)
        return None if seen is None or seen.sharing is None else seen.sharing.value

    def _extra_time(self, task: Task) -> float:
        assert task.shared_operation is not None
        return self._scenario.runtime.contention[task.shared_operation].extra_time(
            task.shared_share
        )
