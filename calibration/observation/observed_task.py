"""One task as it was observed: turns of holding the GIL and doing without it."""

from collections.abc import Sequence
from dataclasses import dataclass

from gilplan.calibration.observation.trace import Turn

NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTask:
    """``held[k]`` with the GIL, then ``released[k]`` on a core and ``blocked[k]`` off it without.

    ``held`` has one entry more than the others: a task begins and ends with the GIL (possibly
    for no time at all). Seconds.
    """

    held: tuple[float, ...]
    released: tuple[float, ...]
    blocked: tuple[float, ...]

    @property
    def totals(self) -> tuple[float, float, float]:
        """Held, released and blocked time."""
        return sum(self.held), sum(self.released), sum(self.blocked)

    @property
    def total(self) -> float:
        return sum(self.totals)


def simple_task(held: float, released: float, blocked: float) -> ObservedTask:
    """Return a task of one stretch of each kind, for methods that see no order."""
    return ObservedTask(held=(held, 0.0, 0.0), released=(released, 0.0), blocked=(0.0, blocked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a method saw: tasks, notes for the reader, and how sure the held share is.

    ``held_of_busy``: 90 % interval of the held share of the time on a core, where the method
    splits all tasks by one share; None where it saw each task's own.
    """

    tasks: tuple[ObservedTask, ...]
    notes: tuple[str, ...]
    held_of_busy: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ProbeCost:
    """What the probes of one release add to the times around it, in nanoseconds."""

    held: float
    free: float

    @classmethod
    def measured(cls, turns: Sequence[Turn], *, release_ns: float, call_ns: float) -> "ProbeCost":
        """Compare a loop of short releases in the trace with the same loop without probes.

        ``release_ns`` is a turn of that loop without probes, ``call_ns`` of a loop around a call
        that keeps the GIL, which is the part with the GIL of the former.
        """
        rows = turns[1:-1]
        held = _middle([turn.held for turn in rows])
        free = _middle([turn.free for turn in rows])
        kept = min(call_ns, release_ns)
        return cls(held=max(held - kept, 0.0), free=max(free - (release_ns - kept), 0.0))

    @property
    def seconds(self) -> float:
        """What a release costs more in all."""
        return (self.held + self.free) / NANOSECONDS


def _middle(values: list[int]) -> float:
    return float(sorted(values)[len(values) // 2]) if values else 0.0


def corrected(turns: Sequence[Turn], cost: ProbeCost) -> ObservedTask:
    """Return the task without what the probes added to it.

    A stretch between two releases carries half a release's cost from each side.
    """
    held, released, blocked = [], [], []
    last = len(turns) - 1
    for number, turn in enumerate(turns):
        sides = (number > 0) + (number < last)
        with_gil = turn.held + turn.blocked_holding - cost.held * sides / 2
        held.append(max(with_gil, 0.0) / NANOSECONDS)
        if number < last:
            released.append(max(turn.free - cost.free, 0.0) / NANOSECONDS)
            blocked.append(turn.blocked / NANOSECONDS)
    return ObservedTask(held=tuple(held), released=tuple(released), blocked=tuple(blocked))


def shortened(task: ObservedTask, most: int) -> ObservedTask:
    """Return the task with at most ``most`` releases, its held, released and blocked time kept.

    The shortest releases go: a release that lasts less than a wake-up hands the GIL to nobody
    unless a request is pending, and then the next poll hands it over as well. What such a one
    took is added to the nearest remaining release, the stretches around it become one.
    """
    releases = len(task.released)
    if releases <= most:
        return task
    lengths = [r + b for r, b in zip(task.released, task.blocked, strict=True)]
    kept = sorted(sorted(range(releases), key=lambda k: lengths[k], reverse=True)[:most])
    return fused(task, kept)


def fused(task: ObservedTask, kept: Sequence[int]) -> ObservedTask:
    """Return the task with only the releases at ``kept`` (in order), all times conserved."""
    held = [0.0] * (len(kept) + 1)
    released, blocked = [0.0] * len(kept), [0.0] * len(kept)
    place = 0
    for number, time in enumerate(task.held):
        held[place] += time
        if number == len(task.released):
            break
        heir = place
        if place < len(kept) and kept[place] == number:
            place += 1
        elif place == len(kept) or (place > 0 and number - kept[place - 1] < kept[place] - number):
            heir = place - 1
        released[heir] += task.released[number]
        blocked[heir] += task.blocked[number]
    return ObservedTask(held=tuple(held), released=tuple(released), blocked=tuple(blocked))


def typical_held(tasks: Sequence[ObservedTask]) -> float:
    """Return the mean length of the stretch with the GIL that a random instant hits."""
    lengths = [time for task in tasks for time in task.held]
    total = sum(lengths)
    return sum(length * length for length in lengths) / total if total > 0 else 0.0
