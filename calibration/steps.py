"""From timed steps to a workload: what a program demands when nothing is in its way."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.thinning import thinned
from gilplan.model.durations import Deterministic, Empirical
from gilplan.model.errors import InvalidValue
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload

#: Tasks kept: enough for a p99, few enough to pickle and hash quickly.
KEPT_SAMPLES = 200
#: Length of the stretches around a step's side releases (calls that only read a field): small
#: beside a release of the GIL, which is what such a stretch costs and which the runtime accounts
#: for.
SIDE_STRETCH = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """One step of a task: its kind and its times in a single thread, in order of measurement.

    ``releases`` counts how often a step that gives up the GIL does so.
    """

    name: str
    kind: SegmentKind
    work: Work | None
    times: tuple[float, ...]
    releases: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSamples:
    """All steps of a program's task, timed in turn with untouched tasks (``whole``)."""

    program: str
    steps: tuple[StepTimes, ...]
    whole: tuple[float, ...]

    def joined(self, later: "StepSamples") -> "StepSamples":
        """Return these samples with those of a later measurement of the same program."""
        if [step.name for step in self.steps] != [step.name for step in later.steps]:
            raise InvalidValue("steps", f"those of {self.program}", later.program)
        return StepSamples(
            program=self.program,
            steps=tuple(
                StepTimes(
                    name=step.name,
                    kind=step.kind,
                    work=step.work,
                    times=step.times + other.times,
                    releases=step.releases,
                )
                for step, other in zip(self.steps, later.steps, strict=True)
            ),
            whole=self.whole + later.whole,
        )

    def selected(self, kept: NDArray[np.bool_]) -> "StepSamples":
        """Return the tasks that ``kept`` marks: ``(tasks,)``."""
        return replace(
            self,
            steps=tuple(
                replace(step, times=tuple(np.asarray(step.times)[kept].tolist()))
                for step in self.steps
            ),
            whole=tuple(np.asarray(self.whole)[kept].tolist()),
        )

    @property
    def rate(self) -> float:
        """Tasks per second of the single thread, from the untouched tasks."""
        return len(self.whole) / float(np.sum(self.whole))

    @property
    def stamp_ratio(self) -> float:
        """The time of an untouched task over that of its neighbour with clock readings.

        The median of neighbours, so that a disturbance of the machine drops out. Tasks that
        block say nothing about it: their wake-ups vary more than the readings cost.
        """
        if any(step.kind is SegmentKind.WAIT for step in self.steps):
            return 1.0
        stamped = np.sum([step.times for step in self.steps], axis=0)
        return float(np.median(np.asarray(self.whole) / stamped))


def workload_from_steps(program_name: str, samples: StepSamples, build_name: str) -> Workload:
    """Return a workload of one task whose segments are the steps, with their measured times."""
    ratio = samples.stamp_ratio
    segments: list[Segment] = []
    times = thinned(np.array([step.times for step in samples.steps]), KEPT_SAMPLES) * ratio
    for step, kept in zip(samples.steps, times, strict=True):
        segments.extend(_segments(step, Empirical(tuple(kept.tolist()))))
    return Workload(
        name=program_name,
        tasks=(Task(name=program_name, segments=tuple(segments), together=True),),
        build=build_name,
        source="steps timed one by one in a single thread",
    )


def _segments(step: StepTimes, duration: Empirical) -> list[Segment]:
    """Return the segments of a step: one, or one amid short ones for its side releases."""
    main = Segment(kind=step.kind, name=step.name, duration=duration, work=step.work)
    if step.releases == 1:
        return [main]
    short = Deterministic(SIDE_STRETCH)
    side = Segment(kind=step.kind, name=f"{step.name} (side)", duration=short, work=step.work)
    between = Segment(kind=SegmentKind.PYTHON, name=f"{step.name} (between)", duration=short)
    before = step.releases // 2
    after = step.releases - 1 - before
    return [side, between] * before + [main] + [between, side] * after
