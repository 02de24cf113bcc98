"""The GIL: CPython's lock with its timed waits, drop requests and forced switches.

Models take_gil and drop_gil of Python/ceval_gil.c (3.13.5:292 and :222; the same logic since
3.2). It is not a FIFO lock:

- A thread that finds the GIL locked waits for one switch interval. Only if the wait timed out,
  the GIL is still locked and *no switch happened meanwhile* does it ask the last holder to drop;
  else it starts a whole new interval.
- The holder sees the request at its next poll of the eval breaker: after a back edge, at a
  function's entry, at the end of a call; never inside one C call.
- A drop signals one waiter: the one that has slept longest. If the one that has just asked is
  still awake, it finds the signal first; the sleeper wakes in vain and sleeps on behind the others.
  On the core of the one who drops, the sleeper may run at once, and is then often the first of
  the two.
- One that is awake locks the GIL before the dropper looks whether it is taken: that one does not
  block, and nobody else can take the GIL. Most of a hand-off's time is spent after that.
- Waits that began on one core end with one timer interrupt (`Timers`), so waiters often come due
  together. The first to run asks; the signal is for the next one, which the kernel takes for
  asleep until it runs, but it loses it as above and waits again, until an instant that has passed.
  The kernel sets a timer even for that, and its core is deaf until the interrupt. Meanwhile the
  GIL stays with those that share the other core.
- If those two share a core, the one who asked has found the mutex locked by who signals and sleeps
  on it, and their core decides who has the GIL (beside two that compute at 0.1 ms an echo server or
  who computes slept so in 971 of 1,001 and 1,014 of 1,049 hand-offs, and had it in 437 and 473).
- A newcomer that comes before the signalled waiter runs takes the GIL (barging), and the waiter
  starts a new interval.
- The mutex is locked while a signal is sent, and one who signals may have to wait: see
  `gilplan.model.condition`. Whoever wants the GIL waits for the mutex first.
- A holder with a pending request, even one that drops of its own accord before a system call,
  blocks until another thread has really taken the GIL (forced switch). It waits on a condition of
  its own, and who takes the GIL signals that with the GIL's mutex locked. It looks for that right
  after its signal, before any sleeper can have woken; most of its way follows, into the wait.

Until 3.12 a waiter set the request of its own interpreter, which a holder in another interpreter
with the same GIL does not poll; since 3.13 the request is a bit in the holder's thread state.
"""

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from gilplan.model.alarm import Alarm
from gilplan.model.clock import Clock
from gilplan.model.condition import Condition, Mutex
from gilplan.model.core import Core
from gilplan.model.cores import Cores
from gilplan.model.path_costs import PathCosts, time_away
from gilplan.model.recorder import Recorder, State
from gilplan.model.thread import Thread

SIGNALLED = "signalled"
HARDLY_ASLEEP = "signalled when it had just asked"
HANDED_OVER = "signalled while still awake"
IN_VAIN = "woken, but the signal is taken"
TIMED_OUT = "timed out"
OVERDUE = "timed out, but woken in vain before it ran"

Steps = Generator[Alarm, Any, Any]


class Gil:
    """One GIL object. Times are integer nanoseconds.

    ``interval`` is the switch interval; ``handoff_latency()`` the time from the drop until the
    thread that has just asked for it runs, ``overtaking_latency()`` that time if an older waiter
    sleeps on the asker's core and is woken in vain first; ``hardly_asleep`` how long after its
    request a waiter counts as that (beside holders in C calls of 1, 3.4 and 13 us the one who had
    asked kept the signal in 0.81, 0.35 and 0.16 of the hand-offs, in bytecode in 0.88: 1 us);
    ``retry_time()`` the CPU time of a wake-up that does not bring the GIL, ``overdue_wait_time``
    that of a wait until an instant that has passed; ``asker_is_awake()`` draws whether the one who
    has just asked has not gone to sleep yet (1) or has (0), where an older one waits beside it,
    ``asker_is_first()`` whether it is so before one that runs at once, on the dropper's core;
    a hand-off in less than ``least_waking_time`` cannot have woken anybody. ``costs`` are those of
    a core that has long not been here; the measured latencies of hand-offs contain them.
    """

    def __init__(
        self,
        env: Clock,
        cores: Cores,
        *,
        index: int = 0,
        interval: int,
        handoff_latency: Callable[[], int],
        overtaking_latency: Callable[[], int],
        retry_time: Callable[[], int],
        overdue_wait_time: int,
        asker_is_awake: Callable[[], int],
        asker_is_first: Callable[[], int],
        least_waking_time: int = 0,
        hardly_asleep: int = 1_000,
        preempts_across_interpreters: bool = True,
        signaller_waits: bool = True,
        costs: PathCosts | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.env = env
        self.index = index
        self.interval = interval
        self.locked = False
        self.last_holder: Thread | None = None
        self.switch_number = 0
        self.forced_switches = 0
        self.mutex = Mutex(cores)
        self.condition = Condition(cores, signaller_waits=signaller_waits)
        self.switched = Condition(cores, signaller_waits=signaller_waits)
        self.held_time = 0
        self._taken_at = 0
        self._core: Core | None = None
        self._cores = cores
        self._handoff_latency = handoff_latency
        self._overtaking_latency = overtaking_latency
        self._retry_time = retry_time
        self._overdue_wait_time = overdue_wait_time
        self._asker_is_awake = asker_is_awake
        self._asker_is_first = asker_is_first
        self._least_waking_time = least_waking_time
        self._hardly_asleep = hardly_asleep
        self._preempts_across_interpreters = preempts_across_interpreters
        self._costs = costs or PathCosts()
        self._recorder = recorder
        self._asked: tuple[Thread, int] | None = None
        self._on_the_way: dict[Thread, str] = {}

    def take(self, thread: Thread) -> Steps:
        """Return once ``thread``, which is on a core, holds the GIL."""
        yield from self.mutex.lock(thread)
        reason = None
        while self.locked and reason is not HANDED_OVER:
            seen = self.switch_number
            reason = yield from self._timed_wait(thread, after=reason)
            yield from self.mutex.lock(thread)
            if self.locked and reason is TIMED_OUT and self.switch_number == seen:
                self._request_drop(thread)
        self._lock_for(thread)
        moved = self._core is not None and self._core is not thread.core
        if moved and thread.caches is not None:
            thread.caches.moved()
        yield from self._end_forced_wait(thread, asleep=reason is not HANDED_OVER)
        thread.drop_requested = False
        yield from self.mutex.unlock(thread)
        if reason is not None:
            yield from self._come_back(thread, measured=reason in (HANDED_OVER, HARDLY_ASLEEP))
        if self._recorder is not None:
            self._recorder.gil_passed(self.env.now, self.index, thread.index)

    def drop(self, thread: Thread) -> Steps:
        """Release the GIL; with a request pending, return only when another thread has it."""
        yield from self.mutex.lock(thread)
        self.last_holder = thread
        self.locked = False
        self._core = thread.core
        self.held_time += self.env.now - self._taken_at
        if self._recorder is not None:
            self._recorder.gil_passed(self.env.now, self.index, None)
        waiter = yield from self.condition.next_waiter(
            thread, lambda group: self._next_waiter(group, thread)
        )
        if waiter is not None:
            yield from self._signal(waiter, thread)
        yield from self.mutex.unlock(thread)
        if not thread.drop_requested:
            return
        thread.drop_requested = False
        self.forced_switches += 1
        time = self._costs.drop(self._time_away(thread))
        if self.last_holder is thread:
            thread.processor_time += time
            self.switched.join(thread)
            yield self._cores.block(thread, State.WAITING_GIL, leaving=time)
            yield from self.switched.leave(thread)
        else:
            yield from self._pay(thread, time)

    def poll(self, thread: Thread) -> Steps:
        """Serve the eval breaker: hand the GIL over if somebody asked for it, and take it back."""
        if thread.drop_requested:
            yield from self.drop(thread)
            yield from self.take(thread)

    def held_until_now(self) -> int:
        """Return how long the GIL has been held so far."""
        return self.held_time + (self.env.now - self._taken_at if self.locked else 0)

    def _come_back(self, thread: Thread, *, measured: bool) -> Steps:
        """Let who has waited come out of take_gil; a ``measured`` hand-off contains that."""
        away = self._time_away(thread)
        if not measured:
            yield from self._pay(thread, self._costs.take(away))

    def _pay(self, thread: Thread, time: int) -> Steps:
        if time:
            thread.overhead += time
            yield self._cores.run(thread, 0, thread.work)

    def _time_away(self, thread: Thread) -> int:
        assert thread.core is not None, "only a thread on a core comes here"
        return time_away(thread.core, self.env.now)

    def _lock_for(self, thread: Thread) -> None:
        self.locked = True
        self._taken_at = self.env.now
        if self.last_holder is not thread:
            self.last_holder = thread
            self.switch_number += 1

    def _timed_wait(self, thread: Thread, *, after: str | None) -> Steps:
        """Sleep until a signal comes or the interval has passed; return which.

        What it costs to sleep again, ``after`` another wait, delays whoever has the core next.
        """
        assert thread.core is not None, "only a thread on a core can wait"
        core = thread.core.index
        away = self._time_away(thread)
        self.condition.join(thread)
        self.mutex.leave(thread)
        if after is None:
            alarm = self._cores.block(thread, State.WAITING_GIL)
        else:
            alarm = self._sleep(
                thread, self._asking_time(thread, away) if after is TIMED_OUT else 0
            )
        thread.timer = self._cores.timers.start(core, self.interval, lambda: self._expire(thread))
        reason = yield alarm
        while (found := self._on_the_way.pop(thread, reason)) is IN_VAIN:
            self._time_away(thread)
            reason = yield self._sleep(thread)
        if found in (TIMED_OUT, OVERDUE):
            self.condition.expire(thread)
            return TIMED_OUT
        yield from self.condition.leave(thread)
        return found

    def _asking_time(self, thread: Thread, away: int) -> int:
        """Return what it takes to ask for the GIL: more on a core that idled until then."""
        assert thread.core is not None, "only a thread on a core can ask"
        return self._costs.ask(away) if thread.core.was_idle else 0

    def _sleep(self, thread: Thread, asking_time: int = 0) -> Alarm:
        """Go to sleep again after a look at the GIL."""
        time = max(self._retry_time(), asking_time)
        thread.processor_time += time
        # The switch to the next thread is part of the time.
        leaving = max(time - self._cores.switch_time, 0)
        return self._cores.block(thread, State.WAITING_GIL, leaving=leaving)

    def _expire(self, thread: Thread) -> None:
        if thread in self._on_the_way:
            self._wait_again(thread)
            return
        self._on_the_way[thread] = TIMED_OUT
        self._cores.wake(thread, TIMED_OUT)

    def _wait_again(self, thread: Thread) -> None:
        """Let a waiter that is due, and finds no signal, wait until the instant that has passed."""
        self._on_the_way[thread] = OVERDUE
        self._cores.mask(thread, self._overdue_wait_time)

    def _next_waiter(self, group: deque[Thread], dropper: Thread) -> Thread:
        """Return the waiter who gets the signal: the oldest, or who has just asked and not slept.

        glibc posts a signal to a group of waiters and wakes the oldest one that sleeps. One that
        is only about to sleep finds the signal posted and keeps it, unless the oldest runs at once,
        on the dropper's core, and is first. On that core nobody else is awake.
        """
        asker, oldest = self._recent_asker(), group[0]
        if asker is None or asker not in group or asker.last_core is dropper.core:
            return oldest
        races = (
            oldest.last_core is dropper.core
            and oldest not in self._on_the_way
            and self._cores.goes_first(oldest, dozing=asker)
        )
        keeps = self._asker_is_first if races else self._asker_is_awake
        return asker if keeps() else oldest

    def _recent_asker(self) -> Thread | None:
        if self._asked is None or self.env.now - self._asked[1] > self._hardly_asleep:
            return None
        return self._asked[0]

    def _signal(self, waiter: Thread, dropper: Thread) -> Steps:
        assert waiter.timer is not None, "who waits has a timer"
        found = self._on_the_way.get(waiter)
        if found in (None, IN_VAIN):
            self._cores.timers.cancel(waiter.timer)
        if found is not None:
            self._on_the_way[waiter] = SIGNALLED
        elif waiter is not self._recent_asker():
            yield self._cores.rouse(waiter, dropper, SIGNALLED)
        else:
            yield from self._signal_asker(waiter, self.condition.pass_over(), dropper)

    def _signal_asker(self, asker: Thread, oldest: Thread | None, dropper: Thread) -> Steps:
        """Let the one who has just asked have the signal that the kernel has for the oldest."""
        self.condition.take_awake(asker)
        if oldest is not None and oldest not in self._on_the_way:
            yield from self._wake_in_vain(oldest, asker, dropper)
            return
        due = oldest if oldest and self._on_the_way[oldest] is TIMED_OUT else None
        yield from self._hand_over(asker, dropper, self._handoff_latency(), due)

    def _wake_in_vain(self, oldest: Thread, asker: Thread, dropper: Thread) -> Steps:
        """Wake the oldest waiter for a signal that the one who has just asked will find.

        While it is woken the mutex is locked: the asker goes to sleep on that. On the asker's core
        the oldest comes first, and sleeps again with the asker waiting behind it; what that takes
        is part of what was measured.
        """
        if oldest.last_core is asker.last_core:
            self._cores.pass_by(oldest, self._retry_time())
            dropper.overhead += self._cores.usual_signal_time
            yield from self._hand_over(asker, dropper, self._overtaking_latency())
            return
        self._on_the_way[oldest] = IN_VAIN
        yield self._cores.rouse(oldest, dropper, IN_VAIN, dozing=asker)
        yield self._cores.rouse(asker, dropper, SIGNALLED)

    def _hand_over(
        self, asker: Thread, dropper: Thread, latency: int, due: Thread | None = None
    ) -> Steps:
        """Signal the one who has just asked; it is awake still, or goes to sleep just now.

        If it sleeps, the one who drops pays for waking it, and it pays for waking that one, which
        waits to see the GIL taken. The measured time ends when both are paid for. A shorter one
        woke nobody: the asker has not left its core, and has locked the GIL at once. ``due`` is an
        older waiter that is due and finds no signal: on the asker's core it has begun, for the
        asker sleeps.
        """
        beside = due is not None and due.last_core is asker.last_core
        asleep = beside or latency >= self._least_waking_time
        if not asleep:
            self._lock_for(asker)
            self._cores.wake(asker, HANDED_OVER, latency, dropper, keeps_core=True)
        if due is not None:
            self._wait_again(due)
        if asleep:
            rest = max(latency - self._cores.usual_signal_time, 0)
            yield self._cores.rouse(asker, dropper, HARDLY_ASLEEP, rest)

    def _end_forced_wait(self, taker: Thread, *, asleep: bool) -> Steps:
        """Let the one go on who waits to see the GIL taken."""
        waiter = yield from self.switched.next_waiter(taker, lambda group: group[0])
        if waiter is None:
            return
        if asleep:
            yield self._cores.rouse(waiter, taker)
        else:
            self._cores.wake(waiter, latency=0, waker=taker)

    def _request_drop(self, waiter: Thread) -> None:
        holder = self.last_holder
        assert holder is not None
        if not self._preempts_across_interpreters and holder.interpreter != waiter.interpreter:
            return
        self._asked = (waiter, self.env.now)
        if not holder.drop_requested:
            holder.drop_requested = True
            if holder.poll_time is not None:
                holder.unfinished += self._cores.cut(holder, holder.poll_time())


def _nothing() -> int:
    return 0


class NoGil(Gil):
    """What a free-threaded build has in its place: nobody waits for anybody."""

    def __init__(self, env: Clock, cores: Cores, *, index: int = 0) -> None:
        super().__init__(
            env,
            cores,
            index=index,
            interval=1,
            handoff_latency=_nothing,
            overtaking_latency=_nothing,
            retry_time=_nothing,
            overdue_wait_time=0,
            asker_is_awake=_nothing,
            asker_is_first=_nothing,
        )

    def take(self, thread: Thread) -> Steps:
        return
        yield

    def drop(self, thread: Thread) -> Steps:
        return
        yield
