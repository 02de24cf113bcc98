"""What a program's threads pay for each other's turns, measured.

The child (harness/crowd.py) measures how much more processor time a task takes when several
threads take turns, in the middle of tasks, than in a process of one thread, and how much more of
it a control takes that leaves nothing in the caches. `CrowdModel` makes a `ColdStart` of it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.builds import Build
from gilplan.calibration.even_speed import CLOSEST
from gilplan.calibration.realrun import SET_UP_LIMIT, harness_child

#: What one process gets of the time, in seconds. Processes differ more (where their memory happens
#: to lie) than the phases of one do, but each takes a while before it is as it will stay.
PROCESS_TIME = 3.4
#: Programs follow the gauge with a closeness of 1 (`gilplan.calibration.even_speed`), give or take
#: so much, and single phases scatter by so much about that: a few phases' own says less than many.
CLOSENESS_SCATTER, PHASE_SCATTER = 0.3, 0.05

Floats = NDArray[np.float64]
#: Threads, switch interval in seconds, and on how many cores (0: wherever they like).
Condition = tuple[int, float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdPoint:
    """Processor time per task alone and among ``threads`` on so many cores, at a switch interval.

    ``cycles`` of the program's task and ``controls`` of the control's: (alone, crowded) per task,
    ``(n, 2)`` each, in nanoseconds; crowded is what it would be at the speed that the core had when
    the task was alone.
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

    @property
    def control_ratio(self) -> float:
        """The same of the control."""
        alone, crowded = np.sum(self.controls, axis=0)
        return float(crowded / alone)


def measure_crowd(
    build: Build, program: Path, *, time: float, points: Sequence[Condition] = ()
) -> tuple[CrowdPoint, ...]:
    """Run the program's tasks alone and among other threads for some ``time`` seconds.

    At the given ``points``, or at those that a cold start is fitted to. To set up and to mix the
    threads' memory takes as long again.

    In several processes one after the other, each going round the points at least once: where a
    process's memory happens to lie makes one suffer from its threads' turns more than the next.
    Points at which no task was completed are left out. Raises `MeasurementFailed`.
    """
    processes = max(round(time / PROCESS_TIME), 1)
    found: dict[Condition, dict[str, Any]] = {}
    for turn in range(processes):
        for point in _measured(build, program, time / processes, turn, points):
            condition = point["threads"], point["interval"], point["cores"]
            known = found.setdefault(condition, {"cycles": [], "controls": []})
            for kind, phases in known.items():
                phases += point[kind]
    found = {condition: known for condition, known in found.items() if all(known.values())}
    if not found:
        return ()
    closeness = _closeness(np.concatenate([known["cycles"] for known in found.values()])[:, 0])
    return tuple(
        CrowdPoint(
            threads=threads,
            interval=interval,
            cores=cores,
            cycles=_at_one_speed(known["cycles"], closeness),
            controls=_at_one_speed(known["controls"], 1.0),
        )
        for (threads, interval, cores), known in found.items()
    )


def _measured(
    build: Build, program: Path, time: float, turn: int, points: Sequence[Condition]
) -> list[dict[str, Any]]:
    when = ["--time", str(time), "--turn", str(turn)]
    arguments = [str(program), *when, "--points", json.dumps(points)]
    with harness_child(build, "crowd.py", arguments, what=f"{program.stem} in a crowd") as child:
        answer: list[dict[str, Any]] = child.answer(2 * time + SET_UP_LIMIT)["points"]
    return answer


def _closeness(phases: Floats) -> float:
    """Return how closely a task's time follows the gauge, of phases ``(n, 2)``: time, reading.

    What computes in registers does what the gauge does; what waits for memory does not get slower
    with the clock. A regression in logarithms that begins at 1 (ridge).
    """
    time, gauge = (np.log(column) - np.log(column).mean() for column in phases.T)
    held = (PHASE_SCATTER / CLOSENESS_SCATTER) ** 2
    closeness = 1.0 + float(gauge @ (time - gauge) / (gauge @ gauge + held))
    return min(max(closeness, 0.0), CLOSEST)


def _at_one_speed(cycles: Sequence[Any], closeness: float) -> tuple[tuple[float, float], ...]:
    """Return the times of cycles ``(n, 2, 2)``, crowded ones as if at the lone thread's speed."""
    times, readings = np.moveaxis(np.asarray(cycles, dtype=np.float64), -1, 0)
    alone, crowded = times.T
    even = crowded * (readings[:, 0] / readings[:, 1]) ** closeness
    return tuple(zip(alone.tolist(), even.tolist(), strict=True))


def control_ratios(crowds: Iterable[Sequence[CrowdPoint]]) -> dict[Condition, float]:
    """Return how much more processor time the control took in each kind of crowd.

    It depends on the build and the machine, not on the program beside which it was measured: the
    median over many programs is surer than one.
    """
    found: dict[Condition, list[float]] = {}
    for point in (point for points in crowds for point in points):
        found.setdefault(point.condition, []).append(point.control_ratio)
    return {condition: float(np.median(ratios)) for condition, ratios in found.items()}
