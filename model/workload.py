"""What a program does, one task at a time: stretches of work and how each treats the GIL."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from gilplan.model.checks import require_finite, require_positive, require_share
from gilplan.model.cold_start import ColdStart
from gilplan.model.contention import SharedOperation
from gilplan.model.durations import Duration, Empirical
from gilplan.model.errors import InvalidValue
from gilplan.model.observed import Observed
from gilplan.model.seen_on import SeenOn


class SegmentKind(StrEnum):
    """How a stretch of a task treats the GIL and the processor."""

    PYTHON = "python"  # bytecode: holds the GIL, yields at an eval-breaker poll
    HELD_NATIVE = "held_native"  # a C call that keeps the GIL: cannot be interrupted
    RELEASED_NATIVE = "released_native"  # a C call that computes without the GIL
    WAIT = "wait"  # blocked: neither processor nor GIL; until it runs again on an idle core
    CRITICAL = "critical"  # holds a named application lock around inner segments


class Collections(StrEnum):
    """Whether the durations contain the garbage collections that the tasks cause."""

    INCLUDED = "included"  # as in times that were measured with the collector on
    SEPARATE = "separate"  # the model adds the pauses


class Work(StrEnum):
    """What limits a stretch's speed when more cores are active."""

    BYTECODE = "bytecode"
    COMPUTE = "compute"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One stretch of a task.

    ``duration`` is the service demand on an otherwise idle machine (for ``wait``: the blocked
    time); a ``critical`` segment has no duration of its own, but a ``lock`` and ``inner``
    segments. ``uninterruptible`` is the time between two eval-breaker polls of a ``python``
    segment, the runtime's own figure when None.
    """

    kind: SegmentKind
    name: str = ""
    duration: Duration | None = None
    work: Work | None = None
    lock: str = ""
    inner: tuple["Segment", ...] = ()
    uninterruptible: Duration | None = None

    def __post_init__(self) -> None:
        if self.kind is SegmentKind.CRITICAL:
            if not self.lock:
                raise InvalidValue("lock", "the name of a lock (kind is critical)", self.lock)
            if not self.inner:
                raise InvalidValue("inner", "at least one segment (kind is critical)", [])
            if self.duration is not None:
                raise InvalidValue("duration", "absent (kind is critical)", self.duration)
        else:
            if self.duration is None:
                raise InvalidValue("duration", f"given (kind is {self.kind})", None)
            if self.lock or self.inner:
                raise InvalidValue("lock and inner", "absent (kind is not critical)", self.lock)
        if self.work is not None and self.kind in (SegmentKind.WAIT, SegmentKind.CRITICAL):
            raise InvalidValue("work", f"absent (kind is {self.kind})", self.work)

    @property
    def limited_by(self) -> Work:
        """What limits the speed: as given, else bytecode or native compute by kind."""
        if self.work is not None:
            return self.work
        return Work.BYTECODE if self.kind is SegmentKind.PYTHON else Work.COMPUTE

    @property
    def holds_gil(self) -> bool:
        return self.kind in (SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)

    def scaled(self, factor: float) -> "Segment":
        """Return the segment with its own duration times ``factor``."""
        return replace(self, duration=self.duration and self.duration.scaled(factor))

    def split(self, share: float, kind: SegmentKind) -> tuple["Segment", ...]:
        """Return the segment with ``share`` of its time, 0 to 1, after it as another kind.

        Both are limited by the same work, and their times are drawn apart.
        """
        assert self.duration is not None, "a critical segment has no time of its own"
        if share == 0:
            return (self,)
        part = replace(
            self,
            kind=kind,
            work=self.limited_by,
            duration=self.duration.scaled(share),
            uninterruptible=None,
        )
        if share == 1:
            return (part,)
        return (replace(self, duration=self.duration.scaled(1 - share)), part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit of work: what a request, a job or one call of a function does.

    ``payload_in`` and ``payload_out`` are bytes that cross an interpreter or process boundary,
    ``allocation_rate`` counts container objects per second of GIL-held time, net of those that
    are freed by their reference count; ``garbage_share`` is the share of them that ends as
    garbage in cycles. ``shared_share`` is the share of the held time spent on objects that other
    threads use too, by ``shared_operation``. ``together``: the n-th samples of all empirical
    durations are of one and the same task, which is drawn as a whole; else each time is drawn for
    itself.
    """

    name: str
    segments: tuple[Segment, ...]
    weight: float = 1.0
    payload_in: float = 0.0
    payload_out: float = 0.0
    allocation_rate: float = 0.0
    garbage_share: float = 0.0
    shared_share: float = 0.0
    shared_operation: SharedOperation | None = None
    together: bool = False

    def __post_init__(self) -> None:
        if not self.segments:
            raise InvalidValue("segments", "at least one segment", [])
        require_positive("weight", self.weight)
        for field in ("payload_in", "payload_out", "allocation_rate"):
            require_finite(field, getattr(self, field))
        require_share("garbage_share", self.garbage_share)
        require_share("shared_share", self.shared_share)
        durations = [segment.duration for segment in flatten(self.segments)]
        counts = {len(each.samples) for each in durations if isinstance(each, Empirical)}
        if self.together and len(counts) > 1:
            raise InvalidValue("together", "of equally many samples each", sorted(counts))

    def demand(self, *kinds: SegmentKind) -> float:
        """Sum the mean time of the segments of the given kinds (all kinds when none)."""
        return sum(
            segment.duration.mean
            for segment in flatten(self.segments)
            if segment.duration is not None and (not kinds or segment.kind in kinds)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A mix of tasks, drawn by weight. ``source`` says where the durations come from.

    ``build`` names the CPython build on which the durations were measured ("" if unknown):
    predictions for another build scale the demands by the calibrated speed ratio.
    ``cold_start`` is what a thread pays after it was off the cores; None: nothing.
    ``live_objects`` are the containers that an interpreter keeps alive with this program beside
    its own (``len(gc.get_objects())`` less that of a bare one), ``untracked_objects`` those that
    `gc.is_tracked` denies: they lengthen the collections of a free-threaded build.
    ``collections`` says whether the durations contain what collecting takes.
    ``observed`` sums up how sure the durations are; None where they were not observed.
    ``background`` are tasks that another thread of each interpreter does over and over, one
    thread each, beside the workers: they are not counted, but in the way.
    ``seen_on`` is what running the program on other builds told, one for each build.
    """

    name: str
    tasks: tuple[Task, ...]
    build: str = ""
    source: str = ""
    cold_start: ColdStart | None = None
    live_objects: float = 0.0
    untracked_objects: float = 0.0
    collections: Collections = Collections.INCLUDED
    observed: Observed | None = None
    background: tuple[Task, ...] = ()
    seen_on: tuple[SeenOn, ...] = ()

    def __post_init__(self) -> None:
        require_finite("live_objects", self.live_objects)
        require_finite("untracked_objects", self.untracked_objects)
        if not self.tasks:
            raise InvalidValue("tasks", "at least one task", [])
        if not self.mean_demand() > 0:
            raise InvalidValue("tasks", "longer than no time at all", self.mean_demand())
        for task in self.background:
            if not task.demand() > 0:
                raise InvalidValue("background", "longer than no time at all", task.demand())
        names = [seen.build for seen in self.seen_on]
        if len(set(names)) < len(names):
            raise InvalidValue("seen_on", "one for each build", names)

    def mean_demand(self, *kinds: SegmentKind) -> float:
        """Average time per task in segments of the given kinds, by weight."""
        total = sum(task.weight for task in self.tasks)
        return sum(task.weight * task.demand(*kinds) for task in self.tasks) / total

    @property
    def busy_time(self) -> float:
        """Average processor time per task, by weight."""
        return self.mean_demand() - self.mean_demand(SegmentKind.WAIT)

    def redrawn(self, rng: np.random.Generator) -> "Workload":
        """Return the workload with times redrawn from what was observed; itself if nothing was."""
        held = released = blocked = 1.0
        if self.observed is not None:
            held, released, blocked = self.observed.drawn_factors(rng)
        seen = self.on(self.build)
        if seen is not None:
            factor = seen.drawn_factor(rng)
            held, released = held * factor, released * factor
        if self.observed is None and seen is None:
            return self
        factors = {
            SegmentKind.PYTHON: held,
            SegmentKind.HELD_NATIVE: held,
            SegmentKind.RELEASED_NATIVE: released,
            SegmentKind.WAIT: blocked,
        }
        drawn = self.rewritten(lambda segment: (segment.scaled(factors[segment.kind]),))
        return replace(drawn, seen_on=tuple(each.redrawn(rng) for each in self.seen_on))

    def on(self, build: str) -> SeenOn | None:
        """What running the program on a build told, None where nobody did."""
        return next((seen for seen in self.seen_on if seen.build == build), None)

    def rewritten(self, rule: Callable[[Segment], tuple[Segment, ...]]) -> "Workload":
        """Return the workload with what ``rule`` makes of each segment that has a duration."""

        def rewrite(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
            new: list[Segment] = []
            for segment in segments:
                if segment.inner:
                    new.append(replace(segment, inner=rewrite(segment.inner)))
                else:
                    new.extend(rule(segment))
            return tuple(new)

        def of(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
            return tuple(replace(task, segments=rewrite(task.segments)) for task in tasks)

        return replace(self, tasks=of(self.tasks), background=of(self.background))


def flatten(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """List the segments with those inside critical segments in place of their parents."""
    flat: list[Segment] = []
    for segment in segments:
        flat.extend(flatten(segment.inner) if segment.inner else (segment,))
    return tuple(flat)
