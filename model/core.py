"""One core: who runs on it, since when, and since when it has been idle."""

from gilplan.model.clock import Clock
from gilplan.model.new_idle import NewIdle
from gilplan.model.recent_average import RecentAverage
from gilplan.model.run_queue import RunQueue
from gilplan.model.thread import Thread


class Core:
    """A core of the machine with its run queue. Times are integer nanoseconds.

    ``failed_balances`` counts the ticks in a row at which it was idle and found nothing to take;
    ``load`` averages how many threads run or wait on it, ``utilisation`` whether one runs;
    ``usual_utilisation`` is that of the threads that run or wait on it (see `core_use`).
    ``newcomer`` woke on it while the running thread was between two stretches; ``users`` are the
    threads that worked on it, who did so last at the end; ``path_used_at`` is when somebody asked
    for a GIL, dropped or took one here last (see `PathCosts`); ``was_idle`` is whether it idled
    until its thread came.
    """

    __slots__ = (
        "busy_time", "failed_balances", "idle_since", "index", "load", "new_idle", "newcomer",
        "occupied_at", "path_used_at", "queue", "thread", "users", "usual_utilisation",
        "utilisation", "was_idle",
    )  # fmt: skip

    def __init__(
        self,
        env: Clock,
        index: int,
        queue: RunQueue,
        new_idle: NewIdle,
        *,
        utilisation: float = 0.0,
    ) -> None:
        self.index = index
        self.queue = queue
        self.load = RecentAverage(env)
        self.utilisation = RecentAverage(env, average=utilisation)
        self.usual_utilisation = 0.0
        self.new_idle = new_idle
        self.thread: Thread | None = None
        self.newcomer: Thread | None = None
        self.users: list[Thread] = []
        self.idle_since = 0
        self.was_idle = True
        self.occupied_at = 0
        self.busy_time = 0
        self.path_used_at = 0
        self.failed_balances = 0

    def used_by(self, thread: Thread) -> int:
        """Return how many others worked on it since the thread did, all that ever did at first."""
        users = self.users
        if users and users[-1] is thread:
            return 0
        others = len(users)
        if thread in users:
            others -= users.index(thread) + 1
            users.remove(thread)
        users.append(thread)
        return others
