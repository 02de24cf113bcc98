"""From the lines of ``perf script`` to what each thread did: stretches with and without the GIL."""

import bisect
import re
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

LINE = re.compile(
    r"^\s*(?P<pid>-?\d+)/(?P<tid>-?\d+)\s+(?P<seconds>\d+)\.(?P<fraction>\d{9}):\s+"
    r"(?P<event>\S+)\s*(?P<rest>.*)$"
)
WOKEN = re.compile(r"\bpid=(\d+)")
LOST = re.compile(r"lost (\d+)")
#: Releases under these names are one and the same to the model.
NAMES = {"release": "save", "acquire": "restore"}


class Did(Enum):
    """What happened to a thread."""

    SAVE = "save"  # it gives up the GIL
    ASKED = "asked"  # it begins to ask for it again
    RESTORE = "restore"  # it has it
    OUT = "out"  # it blocks: off its core of its own will
    PREEMPTED = "preempted"  # off its core though it could run
    IN = "in"  # on a core again


Event = tuple[int, Did]


@dataclass(slots=True)
class ThreadTrace:
    """What happened to one thread of process ``process``, instants in ns of CLOCK_MONOTONIC.

    ``wakings``: when it was woken; the kernel may have told of some only.
    """

    process: int = 0
    events: list[Event] = field(default_factory=list)
    wakings: list[int] = field(default_factory=list)
    _latency: int | None = None

    @property
    def wake_latency(self) -> int:
        """The median time from a wake-up to the first instruction, 0 where none was seen."""
        if self._latency is None:
            self._latency = self._median_latency()
        return self._latency

    def _median_latency(self) -> int:
        latencies = []
        for (since, did), (until, then) in pairwise(self.events):
            if did is Did.OUT and then is Did.IN:
                woken = self.woken_between(since, until)
                if woken is not None:
                    latencies.append(until - woken)
        return sorted(latencies)[len(latencies) // 2] if latencies else 0

    def woken_between(self, since: int, until: int) -> int | None:
        """Return when the thread was woken for the last time in the span, None if unknown."""
        place = bisect.bisect_right(self.wakings, until) - 1
        return self.wakings[place] if place >= 0 and self.wakings[place] > since else None


@dataclass(slots=True)
class Trace:
    """The threads that were seen, and how many events the kernel had no room for."""

    threads: dict[int, ThreadTrace] = field(default_factory=dict)
    lost: int = 0

    def thread(self, number: int) -> ThreadTrace:
        return self.threads.get(number, ThreadTrace())


def parse_trace(process: str, wakings: str = "") -> Trace:
    """Read the text of the two sessions: that on the process, and that of the wake-ups."""
    trace = Trace()
    for line in process.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        at = int(match["seconds"]) * 1_000_000_000 + int(match["fraction"])
        if match["event"] == "PERF_RECORD_LOST":
            lost = LOST.search(match["rest"])
            trace.lost += int(lost[1]) if lost else 1
            continue
        did = _event(match["event"], match["rest"])
        if did is not None:
            thread = trace.threads.setdefault(int(match["tid"]), ThreadTrace(int(match["pid"])))
            thread.events.append((at, did))
    for line in wakings.splitlines():
        match, woken = LINE.match(line), WOKEN.search(line)
        if match is not None and woken is not None and "sched_waking" in match["event"]:
            at = int(match["seconds"]) * 1_000_000_000 + int(match["fraction"])
            if int(woken[1]) in trace.threads:
                trace.threads[int(woken[1])].wakings.append(at)
    for thread in trace.threads.values():
        thread.events.sort(key=lambda event: event[0])
        thread.wakings.sort()
    return trace


def _event(name: str, rest: str) -> Did | None:
    if name.startswith("PERF_RECORD_SWITCH"):
        if rest.startswith("IN"):
            return Did.IN
        return Did.PREEMPTED if "preempt" in rest else Did.OUT
    probe = name.rstrip(":").rpartition(":")[2]
    probe = NAMES.get(probe, probe)
    return Did(probe) if probe in ("save", "asked", "restore") else None


@dataclass(slots=True)
class Turn:
    """A stretch with the GIL and the one without that follows it; nanoseconds.

    ``held`` and ``free`` are CPU time, ``blocked`` is neither; ``queued`` is time that belongs
    to no one's demand: waiting for a core, for the GIL, or for the first instruction after a
    wake-up. ``released`` says whether a stretch without the GIL follows at all.
    """

    held: int = 0
    free: int = 0
    blocked: int = 0
    queued: int = 0
    released: bool = False
    blocked_holding: int = 0


def turns_in(
    span: tuple[int, int],
    thread: ThreadTrace,
    *,
    attached: bool = True,
    contended: bool = False,
) -> list[Turn]:
    """Cut a span of a thread's time into turns.

    ``attached``: whether the thread has the GIL at its begin. With ``contended`` other threads
    may hold the GIL: blocking while attached is then waiting for it (a drop at the eval breaker
    goes through no exported function), else it is time that the GIL was held.
    """
    begin, end = span
    turns = [Turn(released=not attached)]
    first = bisect.bisect_left(thread.events, begin, key=lambda event: event[0])
    now, on_core, asking, out = begin, True, False, Did.OUT
    for at, did in thread.events[first:]:
        if at >= end:
            break
        _account(turns[-1], now, at, thread, (on_core, attached, asking, out, contended))
        now = at
        if did is Did.SAVE and attached:
            attached, turns[-1].released = False, True
        elif did is Did.ASKED:
            asking = not attached
        elif did is Did.RESTORE and not attached:
            attached, asking = True, False
            turns.append(Turn())
        elif did is Did.IN:
            on_core = True
        elif did in (Did.OUT, Did.PREEMPTED):
            on_core, out = False, did
    _account(turns[-1], now, end, thread, (on_core, attached, asking, out, contended))
    return turns


def _account(
    turn: Turn,
    since: int,
    until: int,
    thread: ThreadTrace,
    state: tuple[bool, bool, bool, Did, bool],
) -> None:
    """Add the time between two events of a thread to what it was doing."""
    on_core, attached, asking, out, contended = state
    length = until - since
    if asking:
        turn.queued += length
    elif on_core:
        if attached:
            turn.held += length
        else:
            turn.free += length
    elif out is Did.PREEMPTED:
        turn.queued += length
    else:
        woken = thread.woken_between(since, until)
        asleep = max(length - thread.wake_latency, 0) if woken is None else woken - since
        turn.queued += length - asleep
        if not attached:
            turn.blocked += asleep
        elif contended:
            turn.queued += asleep
        else:
            turn.blocked_holding += asleep
