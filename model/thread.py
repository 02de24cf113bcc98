"""One operating-system thread of the simulated program: its state, its time, what it waits on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gilplan.model.alarm import Alarm
from gilplan.model.clock import Clock
from gilplan.model.recorder import Recorder, State
from gilplan.model.workload import Work

if TYPE_CHECKING:
    from gilplan.model.cores import Core


class Thread:
    """A thread, as the scheduler and the GIL see it. All times integer nanoseconds.

    ``alarm`` is what the thread's process waits on. A thread that is ``waking`` has it rung with
    ``value`` as soon as it is on a core; otherwise it rings after ``work_left`` of CPU time at
    full speed. ``service`` is the CPU time that it has had, by which the scheduler is fair;
    ``overhead`` CPU time that its next stretch pays on top. ``poll_time`` draws the time to the
    next eval-breaker poll while bytecode runs, and is None where nothing polls; a poll that
    cuts a stretch short leaves the rest in ``unfinished``.
    """

    __slots__ = (
        "alarm", "core", "drop_requested", "env", "index", "interpreter", "last_core", "overhead",
        "poll_time", "recorder", "resumed_at", "service", "since", "speed", "state", "times",
        "unfinished", "value", "waking", "work", "work_left",
    )  # fmt: skip

    def __init__(
        self,
        env: Clock,
        *,
        index: int,
        interpreter: int = 0,
        recorder: Recorder | None = None,
    ) -> None:
        self.env = env
        self.index = index
        self.interpreter = interpreter
        self.recorder = recorder
        self.alarm = Alarm(env)
        self.value: Any = None
        self.waking = False
        self.core: Core | None = None
        self.last_core: Core | None = None
        self.work = Work.BYTECODE
        self.work_left = 0
        self.resumed_at = 0
        self.speed = 1.0
        self.service = 0
        self.overhead = 0
        self.unfinished = 0
        self.poll_time: Callable[[], int] | None = None
        self.drop_requested = False
        self.state = State.BLOCKED
        self.since = 0
        self.times = [0, 0, 0, 0]

    def enter(self, state: State) -> None:
        """Change the state and book the time spent in the old one."""
        if state is self.state:
            return
        now = self.env.now
        self.times[self.state] += now - self.since
        self.since = now
        self.state = state
        if self.recorder is not None:
            core = None if self.core is None else self.core.index
            self.recorder.thread_entered(now, self.index, state, core)

    def times_until_now(self) -> list[int]:
        """Return the time spent in each state so far: ``(4,)`` ns, indexed by `State`."""
        times = self.times.copy()
        times[self.state] += self.env.now - self.since
        return times
