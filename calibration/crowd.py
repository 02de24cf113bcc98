"""What a program's threads pay for each other's turns: measured into a `ColdStart`.

The child (harness/crowd.py) measures how much more processor time a task takes when several
threads take turns, in the middle of tasks, and how much more of it a control takes that leaves
nothing in the caches. What is beyond the control's is the slow-down while the caches are cold. At
an interval much shorter than a task nothing ever gets warm, which gives the slow-down itself; at
a longer one part of each turn runs warm, which gives how much work it lasts.

Two threads have a core each, so that at every hand-off the GIL comes from another core. Eight
mostly follow one another on the same core, and are off for longer: what they lose is put down to
that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.realrun import SET_UP_LIMIT, harness_child
from gilplan.model.cold_start import ColdStart

#: What passes at a hand-off beside the interval (timer slack, wake-up), roughly: it only says how
#: long a thread was away, of which the cost is a slow function.
HANDOFF_TIME = 1e-4
PROCESSES = 3

Condition = tuple[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdPoint:
    """Processor time per task alone and in a crowd of ``threads`` at a switch ``interval``.

    ``cycles`` of the program's task and ``controls`` of the control's: (alone, crowded) in seconds
    per task, ``(n, 2)`` each.
    """

    threads: int
    interval: float
    cycles: tuple[tuple[float, float], ...]
    controls: tuple[tuple[float, float], ...]

    @property
    def condition(self) -> Condition:
        return self.threads, self.interval

    @property
    def hold_time(self) -> float:
        """How long a thread that computes keeps the GIL, roughly, in seconds."""
        return self.interval + HANDOFF_TIME

    @property
    def ratio(self) -> float:
        """Processor time in the crowd over that alone."""
        alone, crowded = np.sum(self.cycles, axis=0)
        return float(crowded / alone)

    def joined(self, other: "CrowdPoint") -> "CrowdPoint":
        """Return these cycles and another measurement's."""
        return replace(
            self, cycles=self.cycles + other.cycles, controls=self.controls + other.controls
        )

    @property
    def control_ratio(self) -> float:
        """The same of the control."""
        alone, crowded = np.sum(self.controls, axis=0)
        return float(crowded / alone)


def measure_crowd(build: Build, program: Path, *, time: float) -> tuple[CrowdPoint, ...]:
    """Run the program's tasks alone and among other threads for about ``time`` seconds.

    In several processes one after the other: where a process's memory happens to lie makes one
    suffer from its threads' turns more than the next. Points at which no task was completed are
    left out. Raises `MeasurementFailed`.
    """
    taken: dict[Condition, CrowdPoint] = {}
    for _ in range(PROCESSES):
        for point in _measured(build, program, time / PROCESSES):
            known = taken.get(point.condition)
            taken[point.condition] = known.joined(point) if known else point
    return tuple(taken.values())


def _measured(build: Build, program: Path, time: float) -> tuple[CrowdPoint, ...]:
    arguments = [str(program), "--time", str(time)]
    with harness_child(build, "crowd.py", arguments, what=f"{program.stem} in a crowd") as child:
        points = child.answer(2 * time + SET_UP_LIMIT)["points"]
    return tuple(
        CrowdPoint(
            threads=point["threads"],
            interval=point["interval"],
            cycles=tuple(tuple(cycle) for cycle in point["cycles"]),
            controls=tuple(tuple(cycle) for cycle in point["controls"]),
        )
        for point in points
        if point["cycles"] and point["controls"]
    )


def control_ratios(crowds: Iterable[Sequence[CrowdPoint]]) -> dict[Condition, float]:
    """Return how much more processor time the control took in each kind of crowd.

    It depends on the build and the machine, not on the program beside which it was measured: the
    median over many programs is surer than one.
    """
    found: dict[Condition, list[float]] = {}
    for point in (point for points in crowds for point in points):
        found.setdefault(point.condition, []).append(point.control_ratio)
    return {condition: float(np.median(ratios)) for condition, ratios in found.items()}


def cold_start_from(
    points: Sequence[CrowdPoint],
    *,
    releases: float = 0.0,
    controls: Mapping[Condition, float] | None = None,
) -> ColdStart | None:
    """Return the slow-downs by time off the cores, and the work after which they have passed.

    ``releases`` is how often a task gives up the GIL of its own accord; ``controls`` those of
    `control_ratios`, the points' own unless given. None without a point.
    """
    if not points:
        return None
    controls = controls or control_ratios([points])
    found = {p.condition: slowdown(p, controls[p.condition], releases) for p in points}
    shortest = min(point.interval for point in points)
    quick = sorted((p for p in points if p.interval == shortest), key=lambda p: p.threads)
    most = quick[-1]
    moved = max((found[p.condition] for p in quick if p.threads == 2), default=0.0)
    return ColdStart(
        moved=moved,
        off_times=((most.threads - 1) * most.hold_time,),
        slowdowns=(found[most.condition],),
        warm_up=_warm_up(found, shortest, found[most.condition]),
    )


def slowdown(point: CrowdPoint, control: float, releases: float) -> float:
    """Return how much slower a task was in the crowd than hand-offs explain, at least 0.

    The control is handed over once per hold; a task that releases the GIL more often pays more
    often.
    """
    alone = float(np.mean(point.cycles, axis=0)[0])
    handoffs = max(1.0, releases * point.hold_time / alone)
    return max(point.ratio / (1 + (control - 1) * handoffs) - 1, 0.0)


def _warm_up(found: Mapping[Condition, float], shortest: float, cold: float) -> float:
    """Return the work in seconds, at full speed, during which a thread is slow.

    A turn of length q does w work slowly and the rest at full speed: q = w (1 + cold) + rest, and
    on average it was slower by ``mean``: q = (w + rest) (1 + mean). It is at least what the
    shortest turns do, in which by definition all is slow, and at most what the longest do.
    """
    least = shortest / (1 + cold)
    longest, mean = max((interval, value) for (_, interval), value in found.items())
    if cold == 0:
        return least
    return max(least, longest * min(mean, cold) / ((1 + min(mean, cold)) * cold))
