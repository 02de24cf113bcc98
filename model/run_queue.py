"""One core's run queue: EEVDF, the fair scheduler of Linux since 6.6 (kernel/sched/fair.c, 6.18).

Each thread has a virtual run time, which grows while it runs, and a virtual deadline, one base
slice after it was placed. The queue's average run time is what a perfectly fair core would have
given to each. A thread's *lag* is how far it is behind the average:

- Who has no negative lag is *eligible*; of the eligible the one with the earliest deadline runs.
- A thread takes its lag with it when it sleeps and gets it back when it wakes (`place_entity`).
  Sleeping earns nothing: who used its share before it slept does not go first when it wakes.
- The one that runs is protected until the deadline that it had when it was picked
  (`RUN_TO_PARITY`), but only as long as it is eligible: a thread that wakes with positive lag
  pulls the average below the running one, and goes first at once. With no lag it waits, unless
  the running one's slice is over at that moment: both then have a slice before them, and the
  newcomer goes first (`pick_eevdf` asks for the running one's deadline to be *earlier*).
- A running thread whose deadline has passed gets a new slice whenever the kernel looks
  (`update_deadline`): at each tick of the timer, also if it is alone.
- A thread that sleeps with negative lag lingers in the queue until it is picked
  (`DELAY_DEQUEUE`); should it wake before, it goes on from there, at best without lag.

Times are integer nanoseconds; every thread has the same weight.
"""

from math import ceil

from gilplan.model.thread import Thread


class RunQueue:
    """The threads that run, wait or linger on one core.

    ``current`` is the one that runs. ``base_slice`` is the kernel's ``base_slice_ns``, and a lag
    is at most two of them or one ``tick``, whichever is longer.
    """

    __slots__ = ("_average_before", "_base_slice", "_longest_lag", "_tick", "current", "members")

    def __init__(self, *, base_slice: int, tick: int) -> None:
        self.members: list[Thread] = []
        self.current: Thread | None = None
        self._base_slice = base_slice
        self._tick = tick
        self._longest_lag = max(2 * base_slice, tick)
        self._average_before = 0

    def waiting(self) -> list[Thread]:
        """Return the threads that could run and do not, the longest in the queue first."""
        current = self.current
        return [thread for thread in self.members if thread is not current and not thread.lingers]

    def join(self, thread: Thread) -> None:
        """Place a thread that wakes, or comes from another core, by the lag that it left with."""
        present = len(self.members)
        lag = 0
        if present and thread.lag:
            # What comes in moves the average towards itself: so much more lag keeps its own.
            lag = thread.lag * (present + 1) // present
        thread.vruntime = self._average() - lag
        thread.deadline = thread.vruntime + (thread.time_to_deadline or self._base_slice)
        thread.time_to_deadline = 0
        self.members.append(thread)

    def leave(self, thread: Thread) -> None:
        """Take the thread out; it keeps its lag."""
        self._average_before = average = self._average()
        lag = average - thread.vruntime
        thread.lag = max(min(lag, self._longest_lag), -self._longest_lag)
        self.members.remove(thread)

    def move(self, thread: Thread, to: "RunQueue") -> None:
        """Let a waiting thread change its core: lag and time to its deadline go with it."""
        self.leave(thread)
        thread.time_to_deadline = max(thread.deadline - thread.vruntime, 1)
        to.join(thread)

    def sleep(self, thread: Thread) -> None:
        """Let the running thread block: it leaves, or lingers if it has had more than its share."""
        self.current = None
        self._leave_or_linger(thread, self._average())

    def pass_by(self, thread: Thread, time: int) -> None:
        """Wake a thread that sleeps again after ``time``, when another has come that waits for it.

        It has run ahead of that one, and lingers, unless it was behind by more.
        """
        self.come(thread)
        average = self._average()
        thread.vruntime += time
        self._leave_or_linger(thread, average)

    def come(self, thread: Thread) -> None:
        """Let a thread that slept come in: from where it lingers, or by its lag."""
        if thread.lingers:
            self.rouse(thread)
        else:
            self.join(thread)

    def goes_first(self, thread: Thread) -> bool:
        """Say whether a thread that sleeps would run at once if it woke here now."""
        members, average_before = self.members.copy(), self._average_before
        concerned = [each for each in (thread, self.current) if each is not None]
        places = [
            (each.vruntime, each.deadline, each.lag, each.time_to_deadline, each.lingers)
            for each in concerned
        ]
        self.come(thread)
        self.renew_deadline()
        first = self.choose() is thread
        self.members, self._average_before = members, average_before
        for each, place in zip(concerned, places, strict=True):
            each.vruntime, each.deadline, each.lag, each.time_to_deadline, each.lingers = place
        return first

    def rouse(self, thread: Thread) -> None:
        """Wake a thread that lingers; what it was ahead and no longer is, is forgotten."""
        thread.lingers = False
        if self._average() > thread.vruntime:
            self.leave(thread)
            thread.lag = 0
            self.join(thread)

    def charge(self, thread: Thread, time: int, *, since_tick: int) -> None:
        """Book that the thread ran for ``time``; the timer ticked last ``since_tick`` before now.

        Ticks in that time gave it a new slice if its deadline had passed.
        """
        latest_tick = thread.vruntime + time - since_tick
        first_look = max(thread.deadline, thread.vruntime)
        thread.vruntime += time
        if latest_tick < first_look:
            return
        looks_apart = ceil(self._base_slice / self._tick) * self._tick
        since_first = (latest_tick - first_look) // self._tick * self._tick
        thread.deadline = latest_tick - since_first % looks_apart + self._base_slice

    def renew_deadline(self) -> bool:
        """Give the running thread a new slice if its deadline has passed; say whether it had."""
        thread = self.current
        if thread is None or thread.vruntime < thread.deadline:
            return False
        thread.deadline = thread.vruntime + self._base_slice
        return True

    def protects(self, thread: Thread) -> bool:
        """Whether the running thread still has the slice that it was picked for."""
        return thread.vruntime < thread.protected_until

    def choose(self) -> Thread:
        """Return who ought to run now, without changing anything: perhaps one that lingers."""
        members, current = self.members, self.current
        if len(members) == 1:
            return members[0]
        average = self._average()
        if current is not None and self.protects(current) and current.vruntime <= average:
            return current
        eligible = (thread for thread in members if thread.vruntime <= average)
        return min(eligible, key=lambda thread: (thread.deadline, thread is current))

    def pick(self) -> Thread | None:
        """Return who runs next, None on an empty queue; who lingers and comes first leaves."""
        while self.members:
            thread = self.choose()
            if not thread.lingers:
                return thread
            self.leave(thread)
            thread.lingers = False
            thread.lag = min(thread.lag, 0)
        return None

    def run(self, thread: Thread) -> None:
        """Let a thread of the queue, none being current, have the core."""
        self.current = thread
        thread.protected_until = thread.deadline

    def _leave_or_linger(self, thread: Thread, average: int) -> None:
        if thread.vruntime <= average:
            self.leave(thread)
        else:
            thread.lingers = True

    def _average(self) -> int:
        members = self.members
        if not members:
            return self._average_before
        return sum(thread.vruntime for thread in members) // len(members)
