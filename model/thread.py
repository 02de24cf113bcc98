"""One operating-system thread of the simulated program: its state, its time, what it waits on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gilplan.model.alarm import Alarm
from gilplan.model.caches import Caches
from gilplan.model.clock import Clock
from gilplan.model.recent_average import RecentAverage
from gilplan.model.recorder import Recorder, State
from gilplan.model.timers import Timer
from gilplan.model.wakees import Wakees
from gilplan.model.workload import Work

if TYPE_CHECKING:
    from gilplan.model.core import Core


class Thread:
    """A thread, as the scheduler and the GIL see it. All times integer nanoseconds.

    ``older`` is how many threads its process had before.
    ``alarm`` is what the thread's process waits on. A thread that is ``waking`` has it rung with
    ``value`` as soon as it is on a core and ``masked`` has passed, in which that core hears no
    interrupt; otherwise it rings after ``work_left`` of CPU time at full speed. ``processor_time``
    is how much CPU time it has had.
    ``vruntime``, ``deadline``, ``protected_until``, ``lag``, ``time_to_deadline`` and ``lingers``
    are the scheduler's (see `RunQueue`); ``uncharged`` is what of its CPU time ``vruntime`` does
    not have yet. So are ``load``, the average of whether it runs or waits for a core,
    ``utilisation``, that of whether it runs, ``usual_utilisation`` (`core_use`), ``recent_core``
    and ``wakees`` (`Placement`), and ``ran_at``, when it was last on a
    core, if only to sleep again.
    ``overhead`` is CPU time that its next stretch pays on top. ``poll_time`` draws the time to the
    next eval-breaker poll while bytecode runs, and is None where nothing polls; a poll that
    cuts a stretch short leaves the rest in ``unfinished``. ``timer`` ends its timed wait.
    ``caches`` are what it pays for the turns of others (see `ColdStart`), None where it does not.
    """

    __slots__ = (
        "alarm", "caches", "core", "deadline", "drop_requested", "env", "index", "interpreter",
        "lag", "last_core", "lingers", "load", "masked", "overhead",
        "poll_time", "processor_time", "protected_until", "ran_at", "recent_core", "recorder",
        "resumed_at", "since", "speed", "state", "time_to_deadline",
        "timer", "times", "uncharged", "unfinished", "usual_utilisation", "utilisation", "value",
        "vruntime", "wakees", "waking", "work", "work_left",
    )  # fmt: skip

    def __init__(
        self,
        env: Clock,
        *,
        index: int,
        interpreter: int = 0,
        older: int = 0,
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
        self.recent_core: Core | None = None
        self.wakees = Wakees(env)
        self.work = Work.BYTECODE
        self.work_left = 0
        self.resumed_at = 0
        self.speed = 1.0
        self.processor_time = 0
        self.vruntime = 0
        self.uncharged = 0
        self.deadline = 0
        self.protected_until = 0
        self.lag = 0
        self.time_to_deadline = 0
        self.lingers = False
        # A new thread is taken for one that uses half of what those before it have left of the core
        # (`post_init_entity_util_avg`).
        self.usual_utilisation = 0.5 ** (older + 1)
        self.utilisation = RecentAverage(env, average=self.usual_utilisation)
        self.load = RecentAverage(env, average=self.usual_utilisation)
        self.masked = 0
        self.overhead = 0
        self.unfinished = 0
        self.caches: Caches | None = None
        self.ran_at = 0
        self.poll_time: Callable[[], int] | None = None
        self.drop_requested = False
        self.timer: Timer | None = None
        self.state = State.BLOCKED
        self.since = 0
        self.times = [0] * len(State)

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

    def leave_core(self) -> None:
        """Have no core any more."""
        self.core = None
        self.ran_at = self.env.now

    def stretched(self, demand: int) -> int:
        """Return the CPU time of the next ``demand`` of work."""
        return demand if self.caches is None else self.caches.stretched(demand)

    def unstretched(self, rest: int) -> int:
        """Return the demand of a stretch's last ``rest`` ns of CPU time, which is not done."""
        return rest if self.caches is None else self.caches.unstretched(rest)

    def times_until_now(self) -> list[int]:
        """Return the time spent in each state so far: ``(5,)`` ns, indexed by `State`."""
        times = self.times.copy()
        times[self.state] += self.env.now - self.since
        return times
