"""A program on builds other than the one it was observed on: how fast, and what threads share.

How much longer a kind of work takes on another build is in the profile, but a single program
need not follow its kind: its own dictionaries, calls and C modules decide. So it is run there,
in turns with a single thread on the build of the observation (see `pairing`). Without a GIL it
also runs in two threads and in two processes: what the threads lose beside the processes is
what they share (reference counts, locks of objects, the allocator, collections).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.pairing import PairedRun, Turns, measure_paired
from gilplan.calibration.study import natural_gil
from gilplan.calibration.target_validation import Z90, explained, turns_for
from gilplan.model.errors import MeasurementFailed
from gilplan.model.estimate import Estimate
from gilplan.model.layout import Layout
from gilplan.model.seen_on import LEAST_TIME, SeenOn
from gilplan.model.workload import SegmentKind, Workload

#: Of a program that computes for less of its time, the waits' scatter hides the processor time.
LEAST_BUSY = 0.1
#: The tails of response times are not looked at.
UNINTERRUPTED = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A layout's time per task and worker, relative to a task in the reference's single thread."""

    time: float
    error: float

    @classmethod
    def of(cls, run: PairedRun) -> "Pace":
        """Return it with its standard error."""
        ratio = run.relative_throughput
        time = run.run.layout.workers / ratio
        return cls(time=time, error=time * run.standard_error / ratio)


def see_on_builds(
    program: Path,
    workload: Workload,
    reference: Build,
    builds: Sequence[Build],
    *,
    turns: Turns | None = None,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> tuple[Workload, tuple[str, ...]]:
    """Return the workload with what running it on each build told, and why it did not on others.

    ``reference`` is the build that the workload was observed on; of itself only what its threads
    share is measured, where it has no GIL. Takes about five seconds for each build, fifteen for one
    without a GIL.
    """
    busy = workload.busy_time / workload.mean_demand()
    if busy < LEAST_BUSY:
        note = f"waits {1 - busy:.0%} of its time: not timed on other builds"
        return workload, (note,)
    turns = replace(turns or turns_for(workload.mean_demand()), uninterrupted=UNINTERRUPTED)
    found, notes = [], []
    for number, build in enumerate(builds):
        progress(f"running it on {build.name}", number / len(builds))
        try:
            found.append(_seen(program, workload, reference, build, turns))
        except MeasurementFailed as failure:
            notes.append(f"not run on {build.name}, demands are scaled to it: {failure}")
    kept = [seen for seen in workload.seen_on if seen.build not in {each.build for each in found}]
    return replace(workload, seen_on=(*kept, *found)), tuple(notes)


def worth_seeing(build: Build, found: Sequence[Build]) -> list[Build]:
    """Return those of the builds that the observation of ``build`` says too little of."""
    return [each for each in found if each.name != build.name or each.free_threaded]


def _seen(
    program: Path, workload: Workload, reference: Build, build: Build, turns: Turns
) -> SeenOn:
    def pace(*, threads: int = 1, processes: int = 1) -> Pace:
        layout = Layout(
            build=build.name, gil=natural_gil(build), threads=threads, processes=processes
        )
        run = partial(measure_paired, build, program, layout, turns, reference=reference)
        return Pace.of(explained(build, run))

    source = f"{build.name} in turns with {reference.name}"
    relative = Estimate.exact(1.0, "the build that was observed")
    if build.name != reference.name:
        relative = relative_time(pace(), workload, source)
    if not build.free_threaded:
        return SeenOn(build=build.name, relative_time=relative)
    threads, processes = pace(threads=2), pace(processes=2)
    return SeenOn(
        build=build.name,
        relative_time=relative,
        sharing=sharing(threads, processes, workload, f"{build.name}, two threads"),
    )


def relative_time(single: Pace, workload: Workload, source: str) -> Estimate:
    """Return a task's processor time relative to that of the observation; its waits stay."""
    waits = workload.mean_demand(SegmentKind.WAIT) / workload.mean_demand()
    value = max((single.time - waits) / (1 - waits), LEAST_TIME)
    return _estimate(value, single.error / (1 - waits), LEAST_TIME, source)


def sharing(threads: Pace, processes: Pace, workload: Workload, source: str) -> Estimate:
    """Return what one thread in the interpreter adds to another's time there, 0 or more.

    In processes a task takes R, and ``inside`` of it in the interpreter. Two threads that go in
    and out at random (exponential times, slower by s while both are in) take R + inside s p,
    where p is inside / R: the solution of their three states.
    """
    whole = workload.mean_demand()
    waits = workload.mean_demand(SegmentKind.WAIT) / whole
    held = workload.mean_demand(SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)
    inside = (processes.time - waits) * held / workload.busy_time
    if inside <= 0:
        return Estimate.exact(0.0, source)
    met = inside * inside / processes.time
    value = max((threads.time - processes.time) / met, 0.0)
    return _estimate(value, float(np.hypot(threads.error, processes.error)) / met, 0.0, source)


def _estimate(value: float, error: float, least: float, source: str) -> Estimate:
    half = Z90 * error
    value, lower, upper = (
        float(f"{each:.4g}") for each in (value, max(value - half, least), value + half)
    )
    return Estimate(value=value, lower=lower, upper=upper, source=source)
