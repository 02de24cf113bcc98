"""Cores shared by runnable threads: what Linux's fair scheduler does to a program.

Each core has a run queue of its own (`RunQueue`). A thread that wakes takes an idle core at once,
its last one first, and starts after a latency that grows with the time the core was idle (on a
virtual machine the host sleeps too). With every core busy it joins the queue of its last core and
goes ahead of the running thread if it is further behind its share; else it waits. So it does most
of the time even beside an idle core, if that is a virtual one: halted, it counts as taken away by
the host (`available_idle_cpu`). While threads wait, each tick of the timer may hand the core over.

A core that falls idle takes a waiting thread from another core (`sched_balance_newidle`). Queues of
different length exchange a thread now and then, which is how three threads share two cores.

Approximations: equal weights, one group of threads, and a speed that depends only on the kind of
work and on how many cores are active.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from gilplan.model.alarm import Alarm, call_after
from gilplan.model.clock import Clock
from gilplan.model.recorder import State
from gilplan.model.run_queue import RunQueue
from gilplan.model.thread import Thread
from gilplan.model.timers import Timers
from gilplan.model.workload import Work

#: How often queues that differ by one thread exchange it: 30 exchanges in 4 s were counted with
#: three threads on two cores (Linux 6.18, 250 Hz), ns.
BALANCE_TIME = 128_000_000


class Core:
    """One core: who runs on it, since when, and since when it has been idle.

    ``newcomer`` woke on it while the running thread was between two stretches.
    """

    __slots__ = (
        "busy_time", "idle_since", "index", "newcomer", "occupied_at", "queue", "thread", "ticking",
    )  # fmt: skip

    def __init__(self, index: int, queue: RunQueue) -> None:
        self.index = index
        self.queue = queue
        self.thread: Thread | None = None
        self.newcomer: Thread | None = None
        self.idle_since = 0
        self.occupied_at = 0
        self.busy_time = 0
        self.ticking = False


class Cores:
    """The machine's cores with their run queues. All times integer nanoseconds.

    ``speeds[work][k]`` is the speed of each of ``k + 1`` active cores; ``wake_latency`` draws
    the start latency on a core that was idle for the given time, ``signal_time`` returns the CPU
    time that this wake-up costs the thread that causes it; ``stays()`` draws whether a thread whose
    last core is busy waits there (1) or goes to an idle one (0). Ticks of the timer come every
    ``tick``, the first at ``first_tick``. ``warm_up`` is the demand after which a thread that
    was off the cores has its caches warm again.
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
        base_slice: int,
        tick: int,
        signal_time: Callable[[int], int] = lambda _: 0,
        stays: Callable[[], int] = lambda: 0,
        first_tick: int = 0,
        timer_slack: int = 0,
        warm_up: int = 0,
    ) -> None:
        self.env = env
        self.cores = [
            Core(index, RunQueue(base_slice=base_slice, tick=tick)) for index in range(count)
        ]
        self.timers = Timers(env, cores=count, slack=timer_slack)
        self.active = 0
        self._speeds = {work: list(curve[:count]) for work, curve in speeds.items()}
        self._uniform = all(len(set(curve)) == 1 for curve in self._speeds.values())
        self._wake_latency = wake_latency
        self._switch_time = switch_time
        self._forced_switch_time = forced_switch_time
        self.signal_time = signal_time
        self._stays = stays
        self._preemption_latency = preemption_latency
        self._tick_time = tick
        self._first_tick = first_tick
        self._warm_up = warm_up
        self._balanced_at = 0

    def run(self, thread: Thread, demand: int, work: Work) -> Alarm:
        """Let the thread, which is on a core, use ``demand`` ns of CPU; the alarm then rings."""
        self._account(thread)
        thread.waking = False
        thread.wake_work = 0
        thread.work = work
        thread.work_left = thread.stretched(demand) + thread.overhead
        thread.overhead = 0
        thread.enter(State.RUNNING)
        thread.alarm = Alarm(self.env)
        self._schedule_end(thread)
        core = thread.core
        if core is not None and core.newcomer is not None:
            newcomer, core.newcomer = core.newcomer, None
            self._preempt(core, newcomer, self._switch_time)
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
        thread.wake_work = 0
        thread.enter(state)
        thread.core = None
        if not thread.waking:
            thread.left_at = self.env.now
        thread.alarm = Alarm(self.env)
        core.queue.renew_deadline()
        core.queue.sleep(thread)
        self._vacate(core)
        return thread.alarm

    def wake(
        self,
        thread: Thread,
        value: Any = None,
        latency: int | None = None,
    ) -> int:
        """Make a blocked thread runnable; its alarm rings with ``value`` once it is on a core.

        ``latency`` replaces the drawn one on an idle core (for a waiter that is hardly asleep).
        Returns how long its core had been idle, 0 if it was not.
        """
        thread.waking = True
        thread.value = value
        core = self._core_for(thread)
        if core.thread is None:
            core.queue.join(thread)
            idle_time = self.env.now - core.idle_since
            if latency is None:
                latency = self._wake_latency(idle_time)
            self._occupy(core, thread, latency)
            return idle_time
        thread.enter(State.WAITING_CORE)
        self._account(core.thread)
        core.queue.renew_deadline()
        if thread.lingers:
            core.queue.rouse(thread)
        else:
            core.queue.join(thread)
        if core.thread.waking and core.thread.resumed_at > self.env.now:
            self._choose_again(core)
        elif core.thread.alarm.processed:
            core.newcomer = thread
        else:
            self._preempt(core, thread, self._preemption_latency)
        self._start_ticks(core)
        return 0

    def rouse(
        self, thread: Thread, waker: Thread, value: Any = None, latency: int | None = None
    ) -> Alarm:
        """Let a thread on a core wake another; the alarm rings when it has paid for that."""
        idle_time = self.wake(thread, value, latency)
        waker.overhead += self.signal_time(idle_time)
        return self.run(waker, 0, waker.work)

    def busy_until_now(self, core: Core) -> int:
        """Return how long the core has been occupied so far."""
        return core.busy_time + (self.env.now - core.occupied_at if core.thread is not None else 0)

    def _preempt(self, core: Core, newcomer: Thread, latency: int) -> None:
        """Let the thread that has just woken have the core if it comes first."""
        running = core.thread
        if running is None or newcomer.core is not None:
            return
        self._account(running)
        if core.queue.choose() is newcomer:
            self._turn_over(core, newcomer, latency)

    def _choose_again(self, core: Core) -> None:
        """Let the core, which is still waking, begin with another thread if that comes first."""
        starting = core.thread
        assert starting is not None
        core.queue.current = None
        chosen = core.queue.choose()
        if chosen is starting or chosen.lingers:
            core.queue.run(starting)
        else:
            self._turn_over(core, chosen, starting.resumed_at - self.env.now)

    def _core_for(self, thread: Thread) -> Core:
        """Choose the core for a thread that wakes; one that lingers in a queue stays there."""
        last = thread.last_core
        if last is not None and (last.thread is None or thread.lingers):
            return last
        if last is None:
            return min(self.cores, key=lambda core: len(core.queue.members))
        idle = next((core for core in self.cores if core.thread is None), None)
        return last if idle is None or self._stays() else idle

    def _occupy(self, core: Core, thread: Thread, latency: int) -> None:
        now = self.env.now
        core.queue.run(thread)
        core.thread = thread
        core.occupied_at = now
        thread.core = thread.last_core = core
        thread.resumed_at = now + latency
        thread.cool(self._warm_up)
        self.active += 1
        self._change_speeds(thread)
        if thread.waking:
            thread.alarm.ring_after(latency + thread.wake_work, thread.value)
        else:
            thread.enter(State.RUNNING)
            self._schedule_end(thread)

    def _vacate(self, core: Core) -> None:
        core.busy_time += self.env.now - core.occupied_at
        core.thread = None
        core.newcomer = None
        core.idle_since = self.env.now
        self.active -= 1
        thread = core.queue.pick() or self._pull(core)
        if thread is not None:
            self._dispatch(core, thread, self._switch_time)
        else:
            self._change_speeds(None)

    def _dispatch(self, core: Core, thread: Thread, latency: int) -> None:
        # Of an interrupt's time only the switch itself is on the newcomer's account.
        thread.vruntime += self._switch_time
        self._occupy(core, thread, latency)

    def _turn_over(self, core: Core, successor: Thread, latency: int) -> None:
        thread = core.thread
        assert thread is not None
        self._account(thread)
        thread.alarm = thread.alarm.moved()
        thread.enter(State.WAITING_CORE)
        thread.core = None
        if not thread.waking:
            thread.left_at = self.env.now
        core.busy_time += self.env.now - core.occupied_at
        core.thread = None
        self.active -= 1
        self._dispatch(core, successor, latency)

    def _pull(self, core: Core) -> Thread | None:
        """Bring a thread that waits on another core to this idle one."""
        donor = max(self.cores, key=lambda other: len(other.queue.members))
        for thread in donor.queue.waiting():
            donor.queue.move(thread, core.queue)
            return thread
        return None

    def _start_ticks(self, core: Core) -> None:
        """Let the timer tick on a core where somebody waits."""
        if not core.ticking and len(core.queue.members) > 1:
            core.ticking = True
            since = (self.env.now - self._first_tick) % self._tick_time
            call_after(self.env, self._tick_time - since, lambda _: self._tick(core))

    def _tick(self, core: Core) -> None:
        core.ticking = False
        running, queue = core.thread, core.queue
        if running is not None and len(queue.members) > 1 and not running.alarm.processed:
            self._account(running)
            if queue.renew_deadline() or not queue.protects(running):
                successor = queue.pick()
                if successor is not None and successor is not running:
                    self._turn_over(core, successor, self._forced_switch_time)
        self._balance(core)
        self._start_ticks(core)

    def _balance(self, core: Core) -> None:
        """Move a waiting thread to an idle core, or now and then to one with a shorter queue."""
        waiting = core.queue.waiting()
        other = min(self.cores, key=lambda other: len(other.queue.members))
        if not waiting or other is core:
            return
        if other.thread is None:
            thread = self._pull(other)
            if thread is not None:
                latency = self._wake_latency(self.env.now - other.idle_since)
                self._dispatch(other, thread, latency)
        elif (
            len(other.queue.members) < len(core.queue.members)
            and self.env.now - self._balanced_at >= BALANCE_TIME
        ):
            self._balanced_at = self.env.now
            core.queue.move(waiting[0], other.queue)
            waiting[0].last_core = other
            self._start_ticks(other)

    def _account(self, thread: Thread) -> None:
        elapsed = self.env.now - thread.resumed_at
        if thread.core is None or elapsed <= 0:
            return
        thread.resumed_at = self.env.now
        thread.vruntime += elapsed
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
