"""From timed steps to a workload: what a program demands when nothing is in its way."""

from collections.abc import Sequence
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
    """All steps of a program's task, timed in turn with untouched tasks (``whole``).

    ``gauge`` is what `SpeedGauge` read around each task, seconds, NaN where it did not; empty where
    nobody looked.
    """

    program: str
    steps: tuple[StepTimes, ...]
    whole: tuple[float, ...]
    gauge: tuple[float, ...] = ()

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
            gauge=tuple(np.concatenate([self._readings(), later._readings()]).tolist()),
        )

    def _readings(self) -> NDArray[np.float64]:
        return np.asarray(self.gauge) if self.gauge else np.full(len(self.whole), np.nan)

    def selected(self, kept: NDArray[np.bool_]) -> "StepSamples":
        """Return the tasks that ``kept`` marks: ``(tasks,)``."""
        return replace(
            self,
            steps=tuple(
                replace(step, times=tuple(np.asarray(step.times)[kept].tolist()))
                for step in self.steps
            ),
            whole=tuple(np.asarray(self.whole)[kept].tolist()),
            gauge=tuple(np.asarray(self.gauge)[kept].tolist()) if self.gauge else (),
        )

    def at_even_speed(self, closeness: float) -> "StepSamples":
        """Return what the tasks would have taken at the gauge's usual reading; means stay.

        ``closeness``: how closely the program follows the gauge. Tasks around which nobody read it
        stay as they are beside the others' mean.
        """
        slowness = np.log(self._readings())
        known = np.isfinite(slowness)
        if not known.any():
            return self
        factors = np.where(known, np.exp(-closeness * (slowness - slowness[known].mean())), 1.0)
        totals = np.sum([step.times for step in self.steps], axis=0)
        stamped = factors * _shrunk(totals, factors)
        return replace(
            self,
            steps=tuple(
                replace(step, times=tuple((np.asarray(step.times) * stamped).tolist()))
                for step in self.steps
            ),
            whole=tuple((np.asarray(self.whole) * factors * _shrunk(self.whole, factors)).tolist()),
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


def _shrunk(times: Sequence[float] | NDArray[np.float64], factors: NDArray[np.float64]) -> float:
    """Return the times' sum over that of the times with their factors."""
    return float(np.sum(times) / np.dot(times, factors))


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
