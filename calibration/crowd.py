"""What a program's threads pay for each other's turns, measured.

The child (harness/crowd.py) measures how much more processor time a task takes when several
threads take turns, in the middle of tasks, than in a process of one thread, and how much more of
it a control takes that leaves nothing in the caches. `CrowdModel` makes a `ColdStart` of it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.realrun import SET_UP_LIMIT, harness_child

#: What one process gets of the time, in seconds. Processes differ more (where their memory happens
#: to lie) than the phases of one do: as many as possible.
PROCESS_TIME = 2.0

#: Threads, switch interval in seconds, and on how many cores (0: wherever they like).
Condition = tuple[int, float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdPoint:
    """Processor time per task alone and among ``threads`` on so many cores, at a switch interval.

    ``cycles`` of the program's task and ``controls`` of the control's: (alone, crowded) per task,
    ``(n, 2)`` each, in units of the gauge's loop at that moment.
    """

    threads: int
    interval: float
    cores: int
    cycles: tuple[tuple[float, float], ...]
    controls: tuple[tuple[float, float], ...]

    @property
    def condition(self) -> Condition:
        return self.threads, self.interval, self.cores

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


def measure_crowd(
    build: Build, program: Path, *, time: float, points: Sequence[Condition] = ()
) -> tuple[CrowdPoint, ...]:
    """Run the program's tasks alone and among other threads for about ``time`` seconds.

    At the given ``points``, or at those that a cold start is fitted to.

    In several processes one after the other, each going round the points at least once: where a
    process's memory happens to lie makes one suffer from its threads' turns more than the next.
    Points at which no task was completed are left out. Raises `MeasurementFailed`.
    """
    taken: dict[Condition, CrowdPoint] = {}
    processes = max(round(time / PROCESS_TIME), 1)
    for _ in range(processes):
        for point in _measured(build, program, time / processes, points):
            known = taken.get(point.condition)
            taken[point.condition] = known.joined(point) if known else point
    return tuple(taken.values())


def _measured(
    build: Build, program: Path, time: float, points: Sequence[Condition]
) -> tuple[CrowdPoint, ...]:
    arguments = [str(program), "--time", str(time), "--points", json.dumps(points)]
    with harness_child(build, "crowd.py", arguments, what=f"{program.stem} in a crowd") as child:
        taken = child.answer(2 * time + SET_UP_LIMIT)["points"]
    return tuple(
        CrowdPoint(
            threads=point["threads"],
            interval=point["interval"],
            cores=point["cores"],
            cycles=tuple(tuple(cycle) for cycle in point["cycles"]),
            controls=tuple(tuple(cycle) for cycle in point["controls"]),
        )
        for point in taken
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
