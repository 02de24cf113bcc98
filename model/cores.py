"""Cores shared by runnable threads: what Linux's fair scheduler does to a program.

A thread that wakes takes an idle core at once, its last one first, and starts after a latency
that grows with the time the core was idle (on a virtual machine the host sleeps too). With every
core busy it goes ahead of a running thread that has had more service (the wake-up preemption of
EEVDF, kernel/sched/fair.c since Linux 6.6, with at most one slice of lag kept over a sleep), or
waits until a slice ends. While threads wait, each core turns over at the end of a slice to the
thread with the least service.

Approximations: one queue for all cores (Linux has one a core and balances them), equal weights,
and a speed that depends only on the kind of work and on how many cores are active.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from gilplan.model.alarm import Alarm, call_after
from gilplan.model.clock import Clock
from gilplan.model.recorder import State
from gilplan.model.thread import Thread
from gilplan.model.workload import Work


class Core:
    """One core: who runs on it, since when, and since when it has been idle."""

    __slots__ = (
        "busy_time", "idle_since", "index", "occupied_at", "slice_began_at", "switch_in_time",
        "thread",
    )  # fmt: skip

    def __init__(self, index: int) -> None:
        self.index = index
        self.thread: Thread | None = None
        self.idle_since = 0
        self.occupied_at = 0
        self.slice_began_at = 0
        self.switch_in_time = 0
        self.busy_time = 0


class Cores:
    """The machine's cores and the queue of runnable threads. All times integer nanoseconds.

    ``speeds[work][k]`` is the speed of each of ``k + 1`` active cores; ``wake_latency`` draws
    the start latency on a core that was idle for the given time. ``warm_up`` is the demand
    after which a thread that was off the cores has its caches warm again.
    """

    def __init__(
        self,
        env: Clock,
        *,
        count: int,
        speeds: Mapping[Work, Sequence[float]],
        wake_latency: Callable[[int], int],
        switch_time: int,
        forced_switch_time: int,
        preemption_latency: int,
        slice_time: int,
        warm_up: int = 0,
    ) -> None:
        self.env = env
        self.cores = [Core(index) for index in range(count)]
        self.ready: list[Thread] = []
        self.active = 0
        self._speeds = {work: list(curve[:count]) for work, curve in speeds.items()}
        self._uniform = all(len(set(curve)) == 1 for curve in self._speeds.values())
        self._wake_latency = wake_latency
        self._switch_time = switch_time
        self._forced_switch_time = forced_switch_time
        self._preemption_latency = preemption_latency
        self._slice_time = max(slice_time, 1)
        self._warm_up = warm_up
        self._turning = False
        self._preempt_at_next_run = False

    def run(self, thread: Thread, demand: int, work: Work) -> Alarm:
        """Let the thread, which is on a core, use ``demand`` ns of CPU; the alarm then rings."""
        self._account(thread)
        thread.waking = False
        thread.work = work
        thread.work_left = thread.stretched(demand) + thread.overhead
        thread.overhead = 0
        thread.enter(State.RUNNING)
        thread.alarm = Alarm(self.env)
        self._schedule_end(thread)
        if self._preempt_at_next_run:
            self._preempt_at_next_run = False
            if self.ready and thread.core is not None:
                self._preempt(thread.core)
        return thread.alarm

    def cut(self, thread: Thread, demand: int) -> int:
        """Leave the running stretch at most ``demand`` ns of CPU; return the demand cut off."""
        self._account(thread)
        excess = thread.work_left - demand
        if excess <= 0:
            return 0
        thread.work_left = demand
        if thread.core is not None:
            thread.alarm = thread.alarm.moved()
            self._schedule_end(thread)
        return thread.unstretched(excess)

    def block(self, thread: Thread, state: State) -> Alarm:
        """Take the thread off its core until `wake`; the alarm rings when it is on one again."""
        self._account(thread)
        core = thread.core
        assert core is not None, "only a thread on a core can block"
        thread.enter(state)
        thread.core = None
        if not thread.waking:
            thread.left_at = self.env.now
        thread.alarm = Alarm(self.env)
        self._vacate(core)
        return thread.alarm

    def wake(self, thread: Thread, value: Any = None, latency: int | None = None) -> None:
        """Make a blocked thread runnable; its alarm rings with ``value`` once it is on a core.

        ``latency`` replaces the drawn one on an idle core (for a waiter that is hardly asleep).
        """
        thread.waking = True
        thread.value = value
        thread.service = max(thread.service, self._least_service() - self._slice_time)
        core = self._idle_core(thread)
        if core is not None:
            if latency is None:
                latency = self._wake_latency(self.env.now - core.idle_since)
            self._occupy(core, thread, latency)
            return
        thread.enter(State.WAITING_CORE)
        self.ready.append(thread)
        victims = [core for core in self.cores if not self._in_transit(core)]
        if victims:
            self._preempt(max(victims, key=self._service_of_running))
        else:
            self._preempt_at_next_run = True
        self._watch_slices()

    def busy_until_now(self, core: Core) -> int:
        """Return how long the core has been occupied so far."""
        return core.busy_time + (self.env.now - core.occupied_at if core.thread is not None else 0)

    def _preempt(self, core: Core) -> None:
        """Let the waiting thread with the least service have the core if it has had less.

        Not before the running one has run as long as it took to switch it in: else threads that
        wake often could keep a core switching and nothing else.
        """
        if self.env.now - core.slice_began_at < 2 * core.switch_in_time:
            return
        least = min(thread.service for thread in self.ready)
        if self._service_of_running(core) > least + self._switch_time:
            self._turn_over(core, self._preemption_latency)

    @staticmethod
    def _in_transit(core: Core) -> bool:
        """Whether the core's thread is just deciding, in this instant, what to do next."""
        return core.thread is None or core.thread.alarm.processed

    def _idle_core(self, thread: Thread) -> Core | None:
        last = thread.last_core
        if last is not None and last.thread is None:
            return last
        return next((core for core in self.cores if core.thread is None), None)

    def _least_service(self) -> int:
        running = [core.thread for core in self.cores if core.thread is not None]
        return min((thread.service for thread in (*running, *self.ready)), default=0)

    def _service_of_running(self, core: Core) -> int:
        thread = core.thread
        assert thread is not None
        self._account(thread)
        return thread.service

    def _occupy(self, core: Core, thread: Thread, latency: int) -> None:
        now = self.env.now
        core.thread = thread
        core.occupied_at = core.slice_began_at = now
        core.switch_in_time = latency
        thread.core = thread.last_core = core
        thread.resumed_at = now + latency
        thread.cool(self._warm_up)
        self.active += 1
        self._change_speeds(thread)
        if thread.waking:
            thread.alarm.ring_after(latency, thread.value)
        else:
            thread.enter(State.RUNNING)
            self._schedule_end(thread)

    def _vacate(self, core: Core) -> None:
        core.busy_time += self.env.now - core.occupied_at
        core.thread = None
        core.idle_since = self.env.now
        self.active -= 1
        if self.ready:
            self._dispatch(core, self._switch_time)
        else:
            self._change_speeds(None)

    def _dispatch(self, core: Core, latency: int) -> None:
        thread = min(self.ready, key=lambda waiting: waiting.service)
        self.ready.remove(thread)
        # The switch is on the newcomer's account: else threads that wake often would pay nothing
        # for keeping a core switching.
        thread.service += latency
        self._occupy(core, thread, latency)

    def _turn_over(self, core: Core, latency: int) -> None:
        thread = core.thread
        assert thread is not None
        self._account(thread)
        thread.alarm = thread.alarm.moved()
        thread.enter(State.WAITING_CORE)
        thread.core = None
        thread.left_at = self.env.now
        core.busy_time += self.env.now - core.occupied_at
        core.thread = None
        self.active -= 1
        self._dispatch(core, latency)
        self.ready.append(thread)

    def _watch_slices(self) -> None:
        if not self._turning and self.ready:
            self._turning = True
            ends = min(core.slice_began_at for core in self.cores) + self._slice_time
            call_after(self.env, max(ends - self.env.now, 0), self._end_slices)

    def _end_slices(self, _: Any) -> None:
        self._turning = False
        for core in self.cores:
            if not self.ready or core.thread is None:
                break
            if self.env.now - core.slice_began_at >= self._slice_time:
                if min(t.service for t in self.ready) <= self._service_of_running(core):
                    self._turn_over(core, self._forced_switch_time)
                core.slice_began_at = self.env.now
        self._watch_slices()

    def _account(self, thread: Thread) -> None:
        elapsed = self.env.now - thread.resumed_at
        if thread.core is None or elapsed <= 0:
            return
        thread.resumed_at = self.env.now
        thread.service += elapsed
        thread.work_left = max(thread.work_left - round(elapsed * thread.speed), 0)

    def _schedule_end(self, thread: Thread) -> None:
        thread.speed = self._speed(thread)
        delay = max(thread.resumed_at - self.env.now, 0)
        thread.alarm.ring_after(delay + ceil(thread.work_left / thread.speed))

    def _speed(self, thread: Thread) -> float:
        curve = self._speeds[thread.work]
        return curve[min(self.active, len(curve)) - 1]

    def _change_speeds(self, newcomer: Thread | None) -> None:
        if self._uniform:
            return
        for core in self.cores:
            thread = core.thread
            if thread is None or thread is newcomer or thread.waking or thread.alarm.processed:
                continue
            if self._speed(thread) != thread.speed:
                self._account(thread)
                thread.alarm = thread.alarm.moved()
                self._schedule_end(thread)
