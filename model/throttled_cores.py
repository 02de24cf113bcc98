"""Cores under a CPU quota: Linux's bandwidth control stops a program that has used its share.

kernel/sched/fair.c, since 5.4 (cpu.max of cgroup 2, cpu.cfs_quota_us of cgroup 1). A period's
budget is a pool. A core on which the group runs takes it in slices of 5 ms; when its slice is
used up and the pool is empty, the group's threads on that core stop until the next period begins
and the pool is full again. A core on which no thread of the group is left gives all but 1 ms of
its slice back. Nothing asks whether a thread that is stopped holds a lock: a throttled GIL holder
stops every thread of its interpreter, also those on cores that have time left.

A stopped thread stays with its core. Approximations: time is charged to the nanosecond (the
kernel looks at every tick and takes an overrun from the next period), all threads of a layout are
one group, and a thread that waits behind a stopped one may be pulled to another core.
"""

from typing import Any

from gilplan.model.alarm import Alarm, call_after
from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.cores import Cores
from gilplan.model.recorder import State
from gilplan.model.thread import Thread

#: What an idle core keeps of its slice (min_cfs_rq_runtime), ns.
KEPT_TIME = 1_000_000


class Allowance:
    """What one core has left of its slice; ``charged_at`` is None while nothing runs on it."""

    __slots__ = ("charged_at", "left", "looks_at", "rest_latency", "stopped_at", "timer")

    def __init__(self) -> None:
        self.left = 0
        self.charged_at: int | None = None
        self.stopped_at: int | None = None
        self.rest_latency = 0
        self.timer: Alarm | None = None
        self.looks_at = 0


class ThrottledCores(Cores):
    """Cores whose threads may together use ``budget`` ns of CPU in each ``period``."""

    def __init__(
        self, env: Clock, *, budget: int, period: int, bandwidth_slice: int, **options: Any
    ) -> None:
        super().__init__(env, **options)
        self.pool = budget
        self.throttled_time = 0
        self._budget = budget
        self._period = period
        self._bandwidth_slice = bandwidth_slice
        self._allowances = [Allowance() for _ in self.cores]
        call_after(env, period, self._refill)

    def busy_until_now(self, core: Core) -> int:
        stopped = self._allowances[core.index].stopped_at is not None
        return core.busy_time if stopped else super().busy_until_now(core)

    def _occupy(self, core: Core, thread: Thread, latency: int) -> None:
        super()._occupy(core, thread, latency)
        allowance = self._allowances[core.index]
        allowance.charged_at = self.env.now + latency
        self._watch(core, allowance)

    def _dispatch(self, core: Core, thread: Thread, latency: int) -> None:
        super()._dispatch(core, thread, latency)
        allowance = self._allowances[core.index]
        allowance.charged_at = self.env.now  # unlike waking, a switch uses the processor
        self._watch(core, allowance)

    def _vacate(self, core: Core, leaving: int) -> None:
        allowance = self._allowances[core.index]
        self._use(allowance)
        allowance.charged_at = None
        super()._vacate(core, leaving)
        if core.thread is None and allowance.left > KEPT_TIME:
            self.pool += allowance.left - KEPT_TIME
            allowance.left = KEPT_TIME

    def _turn_over(self, core: Core, successor: Thread, latency: int) -> None:
        allowance = self._allowances[core.index]
        if allowance.stopped_at is None:
            self._use(allowance)
            super()._turn_over(core, successor, latency)

    def _choose_again(self, core: Core) -> None:
        if self._allowances[core.index].stopped_at is None:
            super()._choose_again(core)

    def _account(self, thread: Thread) -> None:
        if thread.core is None or self._allowances[thread.core.index].stopped_at is None:
            super()._account(thread)

    def _schedule_end(self, thread: Thread) -> None:
        if thread.core is None or self._allowances[thread.core.index].stopped_at is None:
            super()._schedule_end(thread)

    def _use(self, allowance: Allowance) -> None:
        if allowance.charged_at is not None and self.env.now > allowance.charged_at:
            allowance.left -= self.env.now - allowance.charged_at
            allowance.charged_at = self.env.now

    def _watch(self, core: Core, allowance: Allowance) -> None:
        """Take a slice if the core needs one, and look again when it is used up."""
        if allowance.left <= 0:
            taken = min(self._bandwidth_slice - allowance.left, self.pool)
            self.pool -= taken
            allowance.left += taken
        assert allowance.charged_at is not None
        ends_at = allowance.charged_at + max(allowance.left, 0)
        if allowance.timer is None or allowance.looks_at > ends_at:
            # Also without any time left the thread stops by an event of its own: now it may be
            # the one that is just deciding what to do.
            allowance.looks_at = ends_at
            allowance.timer = call_after(
                self.env, ends_at - self.env.now, lambda event: self._use_up(core, event)
            )

    def _use_up(self, core: Core, event: Any) -> None:
        allowance = self._allowances[core.index]
        if allowance.timer is not event:
            return
        allowance.timer = None
        if core.thread is None:
            return
        self._use(allowance)
        if allowance.left <= 0 and self.pool <= 0:
            self._stop(core, core.thread, allowance)
        else:
            self._watch(core, allowance)

    def _stop(self, core: Core, thread: Thread, allowance: Allowance) -> None:
        now = self.env.now
        self._account(thread)
        allowance.rest_latency = max(thread.resumed_at - now, 0)
        allowance.charged_at, allowance.stopped_at = None, now
        thread.alarm = thread.alarm.moved()
        if thread.state is State.RUNNING:
            thread.enter(State.WAITING_CORE)
        core.busy_time += now - core.occupied_at
        self._stops_running(core, thread)
        self._change_speeds(thread)

    def _resume(self, core: Core, allowance: Allowance) -> None:
        thread, now = core.thread, self.env.now
        assert thread is not None
        assert allowance.stopped_at is not None
        self.throttled_time += now - allowance.stopped_at
        allowance.stopped_at = None
        core.occupied_at = now
        thread.resumed_at = now + allowance.rest_latency
        self._starts_running(core, thread, allowance.rest_latency)
        self._change_speeds(thread)
        if thread.waking:
            thread.alarm.ring_after(allowance.rest_latency, thread.value)
        else:
            thread.enter(State.RUNNING)
            self._schedule_end(thread)
        allowance.charged_at = now
        self._watch(core, allowance)

    def _refill(self, _event: Any) -> None:
        """Begin a period: fill the pool and let the stopped cores go on, the first one first."""
        self.pool = self._budget
        stopped = [
            (allowance.stopped_at, core.index)
            for core, allowance in zip(self.cores, self._allowances, strict=True)
            if allowance.stopped_at is not None
        ]
        for _, index in sorted(stopped):
            if self.pool > 0:
                self._resume(self.cores[index], self._allowances[index])
        call_after(self.env, self._period, self._refill)
