"""Cores on which threads slow each other down by the objects that they share."""

from typing import Any

from gilplan.model.alarm import Alarm
from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.cores import Cores
from gilplan.model.recorder import State
from gilplan.model.thread import Thread
from gilplan.model.throttled_cores import ThrottledCores
from gilplan.model.workload import Work


class ContendedCores(Cores):
    """Cores where a thread's speed depends on how many others use the same objects right now.

    Contention lasts for nanoseconds and comes millions of times a second, so it is a slow-down
    while others are active and not a lock that is taken and waited for: the measurements of
    `Contention` are of the same kind, and a lock would cost an event for each operation.
    """

    def __init__(self, env: Clock, **options: Any) -> None:
        super().__init__(env, **options)
        self._uniform = False
        self._sharers: dict[Thread, tuple[int, float]] = {}

    def share(self, thread: Thread, process: int, extra_time: float) -> None:
        """Let the thread's next stretches take ``extra_time`` longer per other active sharer."""
        self._sharers[thread] = process, extra_time

    def unshare(self, thread: Thread) -> None:
        """Let the thread be alone again."""
        if self._sharers.pop(thread, None) is not None:
            self._change_speeds(thread)

    def run(self, thread: Thread, demand: int, work: Work) -> Alarm:
        alarm = super().run(thread, demand, work)
        if thread in self._sharers:
            self._change_speeds(thread)
        return alarm

    def _occupy(self, core: Core, thread: Thread, latency: int) -> None:
        super()._occupy(core, thread, latency)
        if thread in self._sharers and not thread.waking:
            self._change_speeds(thread)  # now that it runs, the others have one sharer more

    def _speed(self, thread: Thread) -> float:
        speed = super()._speed(thread)
        mine = self._sharers.get(thread)
        if mine is None:
            return speed
        process, extra_time = mine
        others = sum(
            core.thread is not None
            and core.thread is not thread
            and core.thread.state is State.RUNNING
            and self._sharers.get(core.thread, (-1, 0.0))[0] == process
            for core in self.cores
        )
        return speed / (1 + extra_time * others)


class ContendedThrottledCores(ContendedCores, ThrottledCores):
    """The same under a CPU quota."""
