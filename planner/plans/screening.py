"""What the analytic bounds rule out: a layout that cannot meet the target needs no simulation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gilplan.calibration.profile import Profile
from gilplan.model.bounds import processor_sharing
from gilplan.model.layout import GilMode, Layout
from gilplan.model.machine import Machine
from gilplan.model.statistics import Interval
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload, flatten
from gilplan.planner.forecast import memory, scenario_for
from gilplan.planner.formatting import format_number, format_size, format_time
from gilplan.planner.plans.findings import Excluded
from gilplan.planner.plans.target import Slo, Target
from gilplan.planner.predictions import on_build

DRAWS = 4000


class Screen:
    """The bounds of one workload, target and profile, computed once per build."""

    def __init__(
        self,
        workload: Workload,
        target: Target,
        profile: Profile,
        refusals: Mapping[str, str] | None = None,
    ) -> None:
        self._target, self._profile = target, profile
        self._refusals = dict(refusals or {})
        self._fastest = fastest(profile.machine)
        self._workloads: dict[str, Workload] = {}
        self._demand: dict[str, dict[str, float]] = {}
        self._given = workload

    def split(self, layouts: Sequence[Layout]) -> tuple[list[Layout], list[Excluded]]:
        """Return the layouts that may meet the target, and the others with their reasons."""
        kept: list[Layout] = []
        out: list[Excluded] = []
        for layout in layouts:
            reason = self.reason_against(layout)
            if reason is None:
                kept.append(layout)
            else:
                out.append(Excluded(layout=layout, reason=reason))
        return kept, out

    def reason_against(self, layout: Layout) -> str | None:
        """Return why the layout cannot meet the target, None where only a simulation can tell."""
        return (
            refusal(layout, self._refusals)
            or self._too_few_processes(layout)
            or self._too_much_memory(layout)
            or self._too_slow(layout)
            or self._too_late(layout)
        )

    def is_refused(self, layout: Layout) -> bool:
        """Say whether the layout cannot run, or does not outlive the losses to survive."""
        refused = refusal(layout, self._refusals)
        return (refused or self._too_few_processes(layout)) is not None

    def bound(self, layout: Layout) -> float:
        """Return the throughput that the layout cannot exceed, after the losses to survive."""
        left = survivor(layout, self._target.survive)
        workload = self._workload(layout.build)
        cores = min(left.cores or self._profile.machine.cores, left.workers)
        bounds = [processor_sharing(workload, left, cores) * self._fastest]
        bounds += [left.processes / time * self._fastest for time in lock_times(workload).values()]
        return min(bounds)

    def memory(self, layout: Layout) -> Interval | None:
        """Return what the layout's processes, interpreters and threads keep; None if unmeasured."""
        return memory(
            scenario_for(
                self._given,
                layout,
                runtime=self._profile.runtime(layout.build),
                machine=self._profile.machine,
                seed=0,
            )
        )

    def _workload(self, build: str) -> Workload:
        if build not in self._workloads:
            runtime = self._profile.runtime(build)
            self._workloads[build] = on_build(self._given, runtime, self._profile)
        return self._workloads[build]

    def _too_few_processes(self, layout: Layout) -> str | None:
        survive = self._target.survive
        if layout.processes > survive:
            return None
        return f"the loss of {survive} of its {layout.processes} processes leaves none"

    def _too_much_memory(self, layout: Layout) -> str | None:
        limit = self._target.memory
        if limit is None:
            return None
        needed = self.memory(layout)
        if needed is None:
            return "its memory was not measured, so that the limit cannot be checked"
        if needed.lower <= limit:
            return None
        return f"keeps {format_size(needed.mean)}, above the limit of {format_size(limit)}"

    def _too_slow(self, layout: Layout) -> str | None:
        rate = self._target.peak_rate
        if rate is None or self.bound(layout) >= rate:
            return None
        return (
            f"can do at most {format_number(self.bound(layout))} tasks/s by its demands, "
            f"{format_number(rate)} arrive"
        )

    def _too_late(self, layout: Layout) -> str | None:
        for slo in self._target.slos:
            least = self._least_response_time(layout.build, slo)
            if least > slo.limit:
                return f"{slo} is missed by the task alone, which takes {format_time(least)}"
        return None

    def _least_response_time(self, build: str, slo: Slo) -> float:
        if build not in self._demand:
            times = demand_samples(self._workload(build)) / self._fastest
            percentiles = {name: float(np.percentile(times, int(name[1:]))) for name in _PERCENTS}
            self._demand[build] = {"mean": float(times.mean()), **percentiles}
        # The sampled percentile may be off by a few per cent; a layout is out only beyond that.
        return 0.95 * self._demand[build][slo.measure]


_PERCENTS = ("p50", "p95", "p99")


def fastest(machine: Machine) -> float:
    """Return the highest speed of a core relative to one that is active alone, at least 1."""
    return max(1.0, *(speed.value for work in Work for speed in machine.speeds[work]))


def survivor(layout: Layout, lost: int) -> Layout:
    """Return what is left of the layout after the loss of so many processes (one at least)."""
    return replace(layout, processes=max(1, layout.processes - lost)) if lost else layout


def refusal(layout: Layout, refusals: Mapping[str, str]) -> str | None:
    """Return the reason that stands against the layout's build or mode.

    ``refusals`` has as keys a build ("3.13.5t"), a mode ("own-GIL interpreters",
    "free-threaded", "threads", "processes"), or both ("3.13.0 own-GIL interpreters"). A layout
    has every mode that it contains.
    """
    modes = ["processes"] if layout.processes > 1 else []
    if layout.interpreters > 1:
        modes.append(f"{layout.gil}-GIL interpreters")
    if layout.threads > 1:
        modes.append("threads")
    if layout.gil is GilMode.DISABLED:
        modes.append("free-threaded")
    for key in (layout.build, *modes, *(f"{layout.build} {mode}" for mode in modes)):
        if key in refusals:
            return f"cannot run: {refusals[key]}"
    return None


def demand_samples(workload: Workload) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Draw the time that a task takes with nothing in its way: ``(n,)`` seconds."""
    rng = np.random.default_rng(np.random.SeedSequence(0))
    weights = np.array([task.weight for task in workload.tasks])
    counts = rng.multinomial(DRAWS, weights / weights.sum())
    return np.concatenate(
        [_task_samples(task, int(n), rng) for task, n in zip(workload.tasks, counts, strict=True)]
    )


def _task_samples(
    task: Task, count: int, rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    total = np.zeros(count)
    for segment in flatten(task.segments):
        if segment.duration is not None:
            total += segment.duration.draw(count, rng=rng)
    return total


def lock_times(workload: Workload) -> dict[str, float]:
    """Return how long a mean task holds each application lock, which only one thread can."""
    weights = sum(task.weight for task in workload.tasks)
    times: dict[str, float] = {}
    for task in workload.tasks:
        for lock, time in _held(task.segments).items():
            times[lock] = times.get(lock, 0.0) + task.weight / weights * time
    return {lock: time for lock, time in times.items() if time > 0}


def _held(segments: tuple[Segment, ...]) -> dict[str, float]:
    times: dict[str, float] = {}
    for segment in segments:
        if segment.kind is not SegmentKind.CRITICAL:
            continue
        inside = sum(s.duration.mean for s in flatten(segment.inner) if s.duration is not None)
        times[segment.lock] = times.get(segment.lock, 0.0) + inside
        for lock, time in _held(segment.inner).items():
            times[lock] = times.get(lock, 0.0) + time
    return times
