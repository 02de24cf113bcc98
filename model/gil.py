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
- A newcomer that comes before the signalled waiter runs takes the GIL (barging), and the waiter
  starts a new interval.
- The mutex is locked while a signal is sent, and one who signals may have to wait: see
  `gilplan.model.condition`. Whoever wants the GIL waits for the mutex first.
- A holder with a pending request, even one that drops of its own accord before a system call,
  blocks until another thread has really taken the GIL (forced switch).

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
from gilplan.model.recorder import Recorder, State
from gilplan.model.thread import Thread

SIGNALLED = "signalled"
HANDED_OVER = "signalled while still awake"
IN_VAIN = "woken, but the signal is taken"
TIMED_OUT = "timed out"

Steps = Generator[Alarm, Any, Any]


class Gil:
    """One GIL object. Times are integer nanoseconds.

    ``interval`` is the switch interval; ``handoff_latency()`` the time from the drop until the
    thread that has just asked for it runs; ``hardly_asleep`` how long after its request a waiter
    counts as that (beside holders in C calls of 1, 3.4 and 13 us the one who had asked kept the
    signal in 0.81, 0.35 and 0.16 of the hand-offs, in bytecode in 0.88: 1 us); ``retry_time()`` the
    CPU time of a wake-up that does not bring the GIL; ``asker_is_awake()`` draws whether the one
    who has just asked has not gone to sleep yet (1) or has (0).
    """

    def __init__(
        self,
        env: Clock,
        cores: Cores,
        *,
        index: int = 0,
        interval: int,
        handoff_latency: Callable[[], int],
        retry_time: Callable[[], int],
        asker_is_awake: Callable[[], int],
        hardly_asleep: int = 1_000,
        preempts_across_interpreters: bool = True,
        signaller_waits: bool = True,
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
        self.forced: deque[Thread] = deque()
        self.held_time = 0
        self._taken_at = 0
        self._core: Core | None = None
        self._cores = cores
        self._handoff_latency = handoff_latency
        self._retry_time = retry_time
        self._asker_is_awake = asker_is_awake
        self._hardly_asleep = hardly_asleep
        self._preempts_across_interpreters = preempts_across_interpreters
        self._recorder = recorder
        self._asked: tuple[Thread, int] | None = None
        self._woken_in_vain: dict[Thread, str] = {}

    def take(self, thread: Thread) -> Steps:
        """Return once ``thread``, which is on a core, holds the GIL."""
        yield from self.mutex.lock(thread)
        reason = None
        while self.locked:
            seen = self.switch_number
            reason = yield from self._timed_wait(thread)
            if reason is not TIMED_OUT:
                yield from self.condition.leave(thread)
            yield from self.mutex.lock(thread)
            if self.locked and reason is not TIMED_OUT:
                thread.processor_time += self._retry_time()
            elif self.locked and self.switch_number == seen:
                self._request_drop(thread)
        self.locked = True
        self._taken_at = self.env.now
        if self._core is not None and self._core is not thread.core:
            self._cores.chill(thread)
        if self.last_holder is not thread:
            self.last_holder = thread
            self.switch_number += 1
        if self.forced:
            yield from self._end_forced_wait(thread, asleep=reason is not HANDED_OVER)
        thread.drop_requested = False
        if self._recorder is not None:
            self._recorder.gil_passed(self.env.now, self.index, thread.index)
        yield from self.mutex.unlock(thread)

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
        if thread.drop_requested and self.last_holder is thread:
            thread.drop_requested = False
            self.forced_switches += 1
            self.forced.append(thread)
            yield self._cores.block(thread, State.WAITING_GIL)

    def poll(self, thread: Thread) -> Steps:
        """Serve the eval breaker: hand the GIL over if somebody asked for it, and take it back."""
        if thread.drop_requested:
            yield from self.drop(thread)
            yield from self.take(thread)

    def held_until_now(self) -> int:
        """Return how long the GIL has been held so far."""
        return self.held_time + (self.env.now - self._taken_at if self.locked else 0)

    def _timed_wait(self, thread: Thread) -> Steps:
        """Sleep until a signal comes or the interval has passed; return which."""
        assert thread.core is not None, "only a thread on a core can wait"
        core = thread.core.index
        self.condition.join(thread)
        self.mutex.leave(thread)
        alarm = self._cores.block(thread, State.WAITING_GIL)
        thread.timer = self._cores.timers.start(core, self.interval, lambda: self._expire(thread))
        reason = yield alarm
        while reason is IN_VAIN:
            reason = self._woken_in_vain.pop(thread)
            if reason is IN_VAIN:
                reason = yield self._cores.block(thread, State.WAITING_GIL)
        return reason

    def _expire(self, thread: Thread) -> None:
        self.condition.expire(thread)
        if thread in self._woken_in_vain:
            self._woken_in_vain[thread] = TIMED_OUT
            return
        core = thread.last_core
        assert core is not None, "who waits was on a core"
        if core.thread is None:
            # It asks as soon as it is awake; what it does before it sleeps again delays nobody.
            thread.processor_time += self._retry_time()
        else:
            thread.wake_work = self._retry_time()
        self._cores.wake(thread, TIMED_OUT)

    def _next_waiter(self, group: deque[Thread], dropper: Thread) -> Thread:
        """Return the waiter who gets the signal: the oldest, or who has just asked and not slept.

        glibc posts a signal to a group of waiters and wakes the oldest one that sleeps. One that
        is only about to sleep finds the signal posted and keeps it. On the core of the one who
        drops, nobody else is awake.
        """
        asker = self._recent_asker()
        if asker is not None and asker in group and asker.last_core is not dropper.core:
            return asker if self._asker_is_awake() else group[0]
        return group[0]

    def _recent_asker(self) -> Thread | None:
        if self._asked is None or self.env.now - self._asked[1] > self._hardly_asleep:
            return None
        return self._asked[0]

    def _signal(self, waiter: Thread, dropper: Thread) -> Steps:
        assert waiter.timer is not None, "who waits has a timer"
        self._cores.timers.cancel(waiter.timer)
        if waiter in self._woken_in_vain:
            self._woken_in_vain[waiter] = SIGNALLED
        elif waiter is not self._recent_asker():
            yield self._cores.rouse(waiter, dropper, SIGNALLED)
        elif (oldest := self.condition.pass_over()) is None:
            yield from self._hand_over(waiter, dropper)
        else:
            if oldest not in self._woken_in_vain:
                self._woken_in_vain[oldest] = IN_VAIN
                oldest.wake_work = self._retry_time()
                yield self._cores.rouse(oldest, dropper, IN_VAIN, dozing=waiter)
            # Until now the mutex was locked: the one who found the signal has gone to sleep on it.
            yield self._cores.rouse(waiter, dropper, SIGNALLED)

    def _hand_over(self, waiter: Thread, dropper: Thread) -> Steps:
        """Signal the one who has just asked; it is awake still, or goes to sleep just now.

        If it sleeps, the one who drops pays for waking it, and it pays for waking that one, which
        waits to see the GIL taken. The measured time ends when both are paid for. A shorter one
        woke nobody.
        """
        latency, cost = self._handoff_latency(), self._cores.least_signal_time
        if latency < 2 * cost:
            self._cores.wake(waiter, HANDED_OVER, latency, dropper)
        else:
            yield self._cores.rouse(waiter, dropper, SIGNALLED, latency - cost)

    def _end_forced_wait(self, taker: Thread, *, asleep: bool) -> Steps:
        """Let the one go on who waits to see the GIL taken."""
        if asleep:
            yield self._cores.rouse(self.forced.popleft(), taker)
        else:
            self._cores.wake(self.forced.popleft(), latency=0, waker=taker)

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
            retry_time=_nothing,
            asker_is_awake=_nothing,
        )

    def take(self, thread: Thread) -> Steps:
        return
        yield

    def drop(self, thread: Thread) -> Steps:
        return
        yield
