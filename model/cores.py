"""Cores shared by runnable threads: what Linux's fair scheduler does to a program.

Each core has a run queue of its own (`RunQueue`). A thread that wakes takes an idle core, if the
kernel finds one (`Placement`), and starts after a latency that grows with the time the core was
idle (on a virtual machine the host sleeps too). Else it joins a queue and goes ahead of the
running thread if it is further behind its share; if not, it waits. While threads wait, each tick of
the timer may hand the core over, and so may each thread that wakes there: the kernel then looks
whether the running one's slice is over (`update_curr`), whoever comes first.

Threads also change their cores while they wait (`LoadBalance`).

Approximations: equal weights, one group of threads, and a speed that depends only on the kind of
work and on how many cores are active.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from gilplan.model import core_use
from gilplan.model.alarm import Alarm, call_after
from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.idle_search import IdleSearch
from gilplan.model.load_balance import LoadBalance
from gilplan.model.new_idle import NewIdle
from gilplan.model.packing import Packing
from gilplan.model.placement import Placement
from gilplan.model.recorder import State
from gilplan.model.run_queue import RunQueue
from gilplan.model.thread import Thread
from gilplan.model.ticks import Ticks
from gilplan.model.timers import Timers
from gilplan.model.workload import Work


class Cores:
    """The machine's cores with their run queues. All times integer nanoseconds.

    ``speeds[work][k]`` is the speed of each of ``k + 1`` active cores; ``wake_latency`` draws the
    start latency on a core that was idle for the given time, ``signal_time`` returns the CPU time
    that this wake-up costs the thread that causes it (a core that has just fallen idle counts as
    idle for ``least_idle_time``), ``usual_signal_time`` that over all idle times; ``stays()`` draws
    whether a thread for which an idle core was found waits for its busy one all the same (1);
    ``dice()`` draws from 0 to 1023 (see `NewIdle`); ``cores_searched`` is how many cores the kernel
    considers, by default ``count``. Ticks of the timer come every ``tick``, the first at
    ``first_tick``. ``running_share`` is that of a start's latency in which the thread counts as
    running for the scheduler. The first ``set_up`` cores have been busy with setting up
    interpreters. ``packing`` is that of the kernel, None if it has none.
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
        usual_signal_time: int = 0,
        least_idle_time: int = 0,
        stays: Callable[[], int] = lambda: 0,
        dice: Callable[[], int] = lambda: 0,
        cores_searched: int | None = None,
        first_tick: int = 0,
        timer_slack: int = 0,
        running_share: float = 1.0,
        set_up: int = 0,
        packing: Packing | None = None,
    ) -> None:
        self.env = env
        self.cores = [
            Core(
                env,
                index,
                RunQueue(base_slice=base_slice, tick=tick),
                NewIdle(dice),
                utilisation=float(index < set_up),
            )
            for index in range(count)
        ]
        self.timers = Timers(env, cores=count, slack=timer_slack)
        searched = cores_searched or count
        self._idle_search = IdleSearch(env, self.cores, cores_searched=searched, tick=tick)
        self._placement = Placement(
            self.cores,
            cores_searched=searched,
            idle_search=self._idle_search,
            stays=stays,
            packing=packing,
        )
        self._load_balance = LoadBalance(env, self.cores)
        self._active = 0
        self._running_share = running_share
        self._speeds = {work: list(curve[:count]) for work, curve in speeds.items()}
        self._uniform = all(len(set(curve)) == 1 for curve in self._speeds.values())
        self._wake_latency = wake_latency
        self._least_idle_time = least_idle_time
        #: From when a thread blocks until the next one on its core runs, ns.
        self.switch_time = switch_time
        self._forced_switch_time = forced_switch_time
        self.signal_time = signal_time
        #: What waking a thread costs whose core is on its way to idling and does not look yet, ns.
        self.usual_signal_time = usual_signal_time
        self._preemption_latency = preemption_latency
        self._ticks = Ticks(env, period=tick, first=first_tick, tick=self._tick)

    def run(self, thread: Thread, demand: int, work: Work) -> Alarm:
        """Let the thread, which is on a core, use ``demand`` ns of CPU; the alarm then rings."""
        self._account(thread)
        thread.waking = False
        thread.work = work
        if demand:
            self._find_caches(thread)
        thread.work_left = thread.stretched(demand) + thread.overhead
        thread.overhead = 0
        thread.enter(State.RUNNING)
        thread.alarm = Alarm(self.env)
        self._schedule_end(thread)
        core = thread.core
        if core is not None and core.newcomer is not None:
            newcomer, core.newcomer = core.newcomer, None
            self._preempt(core, newcomer, self.switch_time)
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

    def block(self, thread: Thread, state: State, *, leaving: int = 0) -> Alarm:
        """Take the thread off its core until `wake`; the alarm rings when it is on one again.

        The next thread on the core has to wait ``leaving`` longer than for a switch.
        """
        self._charge(thread)
        core = thread.core
        assert core is not None, "only a thread on a core can block"
        thread.enter(state)
        thread.leave_core()
        thread.alarm = Alarm(self.env)
        core.queue.renew_deadline()
        core.queue.sleep(thread)
        core_use.leave(core, thread)
        core_use.learn(thread, known_at=self.env.now - self._ticks.since_last())
        self._stops_running(core, thread)
        core.load.change(-1)
        thread.load.change(-1)
        core.was_idle = False
        self._vacate(core, leaving)
        return thread.alarm

    def wake(
        self,
        thread: Thread,
        value: Any = None,
        latency: int | None = None,
        waker: Thread | None = None,
        *,
        sync: bool = False,
        dozing: Thread | None = None,
        keeps_core: bool = False,
    ) -> int:
        """Make a blocked thread runnable; its alarm rings with ``value`` once it is on a core.

        ``waker`` is who does it, None if it is a timer. ``latency`` replaces the drawn one on an
        idle core (for a waiter that is hardly asleep); ``keeps_core`` says that it has not slept
        at all: who was to have its core has not begun; ``sync`` says that the waker is about to
        sleep, ``dozing`` who is about to leave a core that counts as idle (see `Placement`).
        Returns how long its core had been idle; 0 if it was not and goes on with what it does, so
        that it needs no interrupt.
        """
        thread.waking = True
        thread.value = value
        core = self._placement.core_for(thread, waker, sync=sync, dozing=dozing)
        if core is not thread.last_core:
            self._load_balance.migrate(thread, thread.last_core, core)
        core_use.arrive(core, thread)
        if core.thread is None and (dozing is None or dozing.last_core is not core):
            core.queue.come(thread)
            idle_time = self._idle_time(core)
            if latency is None:
                latency = self._wake_latency(idle_time)
            # It waits for the switch before it runs.
            waits_after = max(self._runs_after(latency) - self.switch_time, 0)
            core.load.change(1, waits_after)
            thread.load.change(1, waits_after)
            core.was_idle = True
            self._occupy(core, thread, latency)
            self._start_ticks(core)
            return idle_time
        core.load.change(1)
        thread.load.change(1)
        if core.thread is None:
            core.queue.come(thread)
            self._dispatch(core, thread, self.switch_time)
            return 0
        thread.enter(State.WAITING_CORE)
        self._load_balance.overloaded = True
        if thread.lingers:
            # Linux moves it before it looks how far the running one has got.
            core.queue.rouse(thread)
            self._charge(core.thread)
        else:
            self._charge(core.thread)
            core.queue.join(thread)
        core.queue.renew_deadline()
        if keeps_core and core.thread.waking and not core.thread.alarm.processed:
            core.queue.current = None
            self._turn_over(core, thread, latency or 0)
        elif core.thread.waking and core.thread.resumed_at > self.env.now:
            self._choose_again(core)
        elif core.thread.alarm.processed:
            core.newcomer = thread
        else:
            self._preempt(core, thread, self._preemption_latency)
        self._start_ticks(core)
        interrupted = core.thread is thread and (waker is None or waker.core is not core)
        return self._least_idle_time if interrupted else 0

    def rouse(
        self,
        thread: Thread,
        waker: Thread,
        value: Any = None,
        latency: int | None = None,
        *,
        sync: bool = False,
        dozing: Thread | None = None,
    ) -> Alarm:
        """Let a thread on a core wake another; the alarm rings when it has paid for that."""
        idle_time = self.wake(thread, value, latency, waker, sync=sync, dozing=dozing)
        hardly_asleep = latency is not None
        waker.overhead += self.usual_signal_time if hardly_asleep else self.signal_time(idle_time)
        return self.run(waker, 0, waker.work)

    def mask(self, thread: Thread, time: int) -> None:
        """Have a thread that wakes begin with ``time`` in which its core hears no interrupt."""
        thread.processor_time += time
        thread.vruntime += time
        if thread.core is None:
            thread.masked += time
            return
        thread.resumed_at = max(thread.resumed_at, self.env.now) + time
        thread.alarm = thread.alarm.moved()
        thread.alarm.ring_after(thread.resumed_at - self.env.now, thread.value)

    def pass_by(self, thread: Thread, time: int) -> None:
        """Let a thread that sleeps run on its last core, just before another that comes there."""
        assert thread.last_core is not None, "only a thread that has run sleeps"
        thread.processor_time += time
        core_use.learn(thread, known_at=self.env.now)
        thread.last_core.queue.pass_by(thread, time)

    def goes_first(self, thread: Thread, *, dozing: Thread) -> bool:
        """Say whether a sleeping thread would run at once on its last, busy core if it woke now.

        It would not if another core than that of ``dozing``, who does not sleep yet, is idle.
        """
        core = thread.last_core
        taken = (each.thread is not None or each is dozing.last_core for each in self.cores)
        if core is None or core.thread is None or not all(taken):
            return False
        self._charge(core.thread)
        return core.queue.goes_first(thread)

    def _find_caches(self, thread: Thread) -> None:
        """Let the thread, which goes on working, find its core's caches as others left them."""
        if thread.caches is not None and thread.core is not None:
            others = thread.core.used_by(thread)
            if others:
                thread.caches.crowded(others)

    def busy_until_now(self, core: Core) -> int:
        """Return how long the core has been occupied so far."""
        return core.busy_time + (self.env.now - core.occupied_at if core.thread is not None else 0)

    def _idle_time(self, core: Core) -> int:
        return max(self.env.now - core.idle_since, self._least_idle_time)

    def _preempt(self, core: Core, newcomer: Thread, latency: int) -> None:
        """Let the core go to who comes first, now that a thread has woken on it.

        That is the newcomer or, if the running thread's slice is over, anybody. One that waited and
        comes first now, because the newcomer has pulled the average below the running one, has to
        go on waiting: the kernel asks whether it is the newcomer (`check_preempt_wakeup_fair`).
        """
        running = core.thread
        if running is None or newcomer.core is not None:
            return
        self._charge(running)
        chosen = core.queue.choose()
        slice_over = chosen is not running and not core.queue.protects(running)
        if (chosen is newcomer or slice_over) and not chosen.lingers:
            self._turn_over(core, chosen, latency)

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

    def _occupy(self, core: Core, thread: Thread, latency: int) -> None:
        now = self.env.now
        latency += thread.masked
        thread.masked = 0
        core.queue.run(thread)
        core.thread = thread
        core.occupied_at = now
        thread.core = thread.last_core = core
        thread.resumed_at = now + latency
        if not thread.waking and thread.caches is not None and thread.caches.stretch:
            left = thread.caches.unstretched(thread.work_left)
            self._find_caches(thread)
            thread.work_left = thread.caches.stretched(left)
        self._starts_running(core, thread, latency)
        self._change_speeds(thread)
        if thread.waking:
            thread.alarm.ring_after(latency, thread.value)
        else:
            thread.enter(State.RUNNING)
            self._schedule_end(thread)

    def _vacate(self, core: Core, leaving: int) -> None:
        core.busy_time += self.env.now - core.occupied_at
        core.thread = None
        core.newcomer = None
        core.idle_since = self.env.now
        thread = core.queue.pick()
        if thread is None:
            thread = self._load_balance.for_newly_idle(core)
        if thread is not None:
            self._dispatch(core, thread, self.switch_time + leaving)
        else:
            self._change_speeds(None)
            self._ticks.await_next(core)

    def _dispatch(self, core: Core, thread: Thread, latency: int) -> None:
        # Of an interrupt's time only the switch itself is on the newcomer's account.
        thread.vruntime += self.switch_time
        self._occupy(core, thread, latency)

    def _turn_over(self, core: Core, successor: Thread, latency: int) -> None:
        thread = core.thread
        assert thread is not None
        self._charge(thread)
        thread.alarm = thread.alarm.moved()
        thread.enter(State.WAITING_CORE)
        thread.leave_core()
        core.busy_time += self.env.now - core.occupied_at
        core.thread = None
        core.was_idle = core.was_idle and thread.resumed_at > self.env.now
        self._stops_running(core, thread)
        self._dispatch(core, successor, latency)

    def _start_ticks(self, core: Core) -> None:
        """Let the timer tick on a core where somebody waits."""
        if len(core.queue.members) > 1:
            self._ticks.await_next(core)

    def _tick(self, core: Core) -> None:
        running, queue = core.thread, core.queue
        if running is not None and len(queue.members) > 1 and not running.alarm.processed:
            self._charge(running)
            if queue.renew_deadline() or not queue.protects(running):
                successor = queue.pick()
                if successor is not None and successor is not running:
                    self._turn_over(core, successor, self._forced_switch_time)
        self._balance(core)
        self._start_ticks(core)

    def _balance(self, core: Core) -> None:
        """Have a waiting thread go to an idle core, or now and then to one with a lighter load."""
        other = min(self.cores, key=lambda other: len(other.queue.members))
        if core.thread is None or (other.thread is None and len(core.queue.members) > 1):
            self._idle_search.renew()
        if not core.queue.waiting() or other is core:
            return
        if other.thread is None:
            latency = self._wake_latency(self._idle_time(other))
            call_after(self.env, latency, lambda _: self._help(other))
        elif self._load_balance.even_out(core, other):
            self._start_ticks(other)

    def _help(self, core: Core) -> None:
        """Let a core that was idle, and has been woken for that, take a waiting thread."""
        thread = None if core.thread is not None else self._load_balance.for_idle(core)
        if thread is not None:
            self._dispatch(core, thread, self.switch_time)

    def _runs_after(self, latency: int) -> int:
        """Return how long the thread of a core that starts does not count as running yet."""
        return int(latency * (1 - self._running_share))

    def _starts_running(self, core: Core, thread: Thread, latency: int) -> None:
        self._active += 1
        core.utilisation.change(1, self._runs_after(latency))
        thread.utilisation.change(1, self._runs_after(latency))

    def _stops_running(self, core: Core, thread: Thread) -> None:
        self._active -= 1
        core.utilisation.change(-1)
        thread.utilisation.change(-1)

    def _charge(self, thread: Thread) -> None:
        """Let the scheduler know how much the thread has run (`update_curr`)."""
        self._account(thread)
        core = thread.core
        if core is None or not thread.uncharged:
            return
        core.queue.charge(thread, thread.uncharged, since_tick=self._ticks.since_last())
        thread.uncharged = 0

    def _account(self, thread: Thread) -> None:
        elapsed = self.env.now - thread.resumed_at
        if thread.core is None or elapsed <= 0:
            return
        thread.resumed_at = self.env.now
        thread.processor_time += elapsed
        thread.uncharged += elapsed
        thread.work_left = max(thread.work_left - round(elapsed * thread.speed), 0)

    def _schedule_end(self, thread: Thread) -> None:
        thread.speed = self._speed(thread)
        delay = max(thread.resumed_at - self.env.now, 0)
        thread.alarm.ring_after(delay + ceil(thread.work_left / thread.speed))

    def _speed(self, thread: Thread) -> float:
        curve = self._speeds[thread.work]
        return curve[min(self._active, len(curve)) - 1]

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
