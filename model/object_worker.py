"""A worker whose objects cost time: collections to look at them, other threads that use them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from gilplan.model.contended_cores import ContendedCores
from gilplan.model.heap import Heap
from gilplan.model.worker import Draw, Step, Steps, Worker
from gilplan.model.workload import Task, Work
from gilplan.model.world import World


class ObjectWorker(Worker):
    """``heap`` is its interpreter's, None where collections are not simulated.

    ``own_shares`` are the shares of each task's times, by its name, that are its own collections
    and are simulated as such; ``extra_times`` those of contention (see `Contention`).
    """

    def __init__(
        self,
        *arguments: Any,
        process: int,
        heap: Heap | None,
        own_shares: dict[str, float],
        extra_times: dict[str, float],
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._process = process
        self._heap = heap
        self._own_shares = own_shares
        self._mutating_share = 1.0
        self._extra_times = extra_times
        self._rate = 0.0
        self._garbage_share = 0.0
        self._extra_time = 0.0

    def prepared(self, task: Task, steps: Sequence[Step]) -> list[Step]:
        def begin() -> Steps:
            self._mutating_share = 1.0 - self._own_shares.get(task.name, 0.0)
            self._rate = task.allocation_rate * 1e-9 / self._mutating_share
            self._garbage_share = task.garbage_share
            self._extra_time = self._extra_times.get(task.name, 0.0)
            return
            yield

        return [begin, *steps]

    def python(self, demand: Draw, work: Work, poll_time: Draw) -> Steps:
        self._share()
        left = round(demand() * self._mutating_share)
        while left > 0:
            part = left
            if self._heap is not None and self._rate > 0:
                part = min(left, self._heap.due_in(self._rate, self._garbage_share))
            yield from super().python(partial(int, part), work, poll_time)
            left -= part
            if self._allocate(part):
                yield from self._collect(self._heap)
        self._unshare()

    def held_native(self, demand: Draw, work: Work) -> Steps:
        self._share()
        length = round(demand() * self._mutating_share)
        yield from super().held_native(lambda: length, work)
        if self._allocate(length):
            yield from self._collect(self._heap)
        self._unshare()

    def _allocate(self, time: int) -> bool:
        heap = self._heap
        return heap is not None and heap.allocate(time * self._rate, self._garbage_share)

    def _collect(self, heap: Heap | None) -> Steps:
        assert heap is not None
        gil, thread = self.gil, self.thread
        if isinstance(gil, World):
            if gil.stopped:  # another thread is collecting already
                yield from gil.poll(thread)
                return
            yield from gil.stop(thread)
        yield self._cores.run(thread, max(heap.collect(), 1), Work.MEMORY)
        if isinstance(gil, World):
            gil.start()

    def _share(self) -> None:
        if self._extra_time > 0:
            assert isinstance(self._cores, ContendedCores)
            self._cores.share(self.thread, self._process, self._extra_time)

    def _unshare(self) -> None:
        if self._extra_time > 0:
            assert isinstance(self._cores, ContendedCores)
            self._cores.unshare(self.thread)
