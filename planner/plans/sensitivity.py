"""Which measured input moves the verdict: one at a time, from end to end of its interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gilplan.model.estimate import Estimate
from gilplan.model.machine import Machine
from gilplan.model.runtime import Runtime
from gilplan.model.workload import Segment, SegmentKind, Work, Workload, flatten
from gilplan.planner.plans.findings import Evaluation, Sensitivity
from gilplan.planner.plans.target import Target
from gilplan.planner.plans.trials import Trial, Trials
from gilplan.planner.predictions import busy_for

REPLICATIONS = 2
TASKS = 800
#: A segment's measured mean is varied by this share: files do not carry its interval.
SEGMENT_SHARE = 0.1
MOST_SEGMENTS = 4
MACHINE_COSTS = (
    "signal_time", "busy_signal_time", "timer_slack", "preemption_latency", "context_switch_time",
    "forced_switch_time", "awake_share", "awake_share_beside",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One input, and what its lower and its upper end replace in a trial."""

    name: str
    value: float
    low: float
    high: float
    ends: tuple[dict[str, Any], dict[str, Any]]


def sensitivities(subject: Evaluation, target: Target, trials: Trials) -> tuple[Sensitivity, ...]:
    """Return every input's effect on the subject's capacity, the largest first.

    The verdict flips where the capacity, or a limit on the response times at the peak rate,
    comes to the other side than it is on with the measured values.
    """
    layout = subject.layout
    runtime = trials.profile.runtime(layout.build)
    workload = trials.on_build(layout.build)
    machine = trials.profile.machine
    varied = [
        *_costs(machine, layout.cores or machine.cores),
        *_runtime_costs(runtime),
        *_moved(runtime, workload, trials.workload.build != runtime.build),
        *_segments(workload),
    ]
    ends: list[dict[str, Any]] = [{}]
    ends += [end for variant in varied for end in variant.ends]
    capacities = _means(ends, "throughput", None, subject, trials)
    meets = [_meets(capacity, target.peak_rate) for capacity in capacities]
    if target.slos and target.peak_rate is not None:
        for slo in target.slos:
            name = f"response_time.{slo.measure}"
            times = _means(ends, name, target.peak_rate, subject, trials)
            meets = [ok and took <= slo.limit for ok, took in zip(meets, times, strict=True)]
    found = []
    for index, variant in enumerate(varied):
        low, high = 1 + 2 * index, 2 + 2 * index
        found.append(
            Sensitivity(
                name=variant.name,
                value=variant.value,
                low=variant.low,
                high=variant.high,
                capacity_low=capacities[low] / capacities[0],
                capacity_high=capacities[high] / capacities[0],
                flips={meets[low], meets[high]} != {meets[0]},
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.flips, -each.effect)))


def _means(
    ends: list[dict[str, Any]],
    name: str,
    rate: float | None,
    subject: Evaluation,
    trials: Trials,
) -> list[float]:
    wanted = [
        replace(
            Trial(layout=subject.layout, rate=rate, replication=r, tasks=TASKS),
            **end,
        )
        for end in ends
        for r in range(REPLICATIONS)
    ]
    runs = trials.measure(wanted)
    return [
        sum(run[name] for run in runs[i : i + REPLICATIONS]) / REPLICATIONS
        for i in range(0, len(runs), REPLICATIONS)
    ]


def _meets(capacity: float, rate: float | None) -> bool:
    return rate is None or capacity > rate


def _costs(machine: Machine, cores: int) -> Iterator[Variant]:
    """Vary the scheduler's costs, and the speed of the cores that are active together."""
    for name in MACHINE_COSTS:
        estimate: Estimate = getattr(machine, name)
        if estimate.half_width > 0:
            at = [replace(machine, **_only(name, value)) for value in _at_ends(estimate)]
            yield _variant(name.replace("_", " "), estimate, "machine", at)
    active = min(cores, min(len(machine.speeds[work]) for work in Work))
    for work in Work:
        estimate = machine.speeds[work][active - 1]
        if estimate.half_width == 0:
            continue
        at = []
        for value in _at_ends(estimate):
            curve = (*machine.speeds[work][: active - 1], value, *machine.speeds[work][active:])
            at.append(replace(machine, speeds={**machine.speeds, work: curve}))
        yield _variant(f"{work} speed of {active} active cores", estimate, "machine", at)


def _runtime_costs(runtime: Runtime) -> Iterator[Variant]:
    for name in ("release_time", "poll_time"):
        estimate: Estimate = getattr(runtime, name)
        if estimate.half_width > 0:
            at = [replace(runtime, **_only(name, value)) for value in _at_ends(estimate)]
            yield _variant(f"{runtime.build} {name.replace('_', ' ')}", estimate, "runtime", at)


def _moved(runtime: Runtime, workload: Workload, is_scaled: bool) -> Iterator[Variant]:
    """Vary what running the program on this build told, else what it was scaled by."""
    seen = workload.on(runtime.build)
    if seen is None:
        yield from _build_speeds(runtime, workload, is_scaled)
        return
    time, sharing = seen.relative_time, seen.sharing
    if time.half_width > 0:
        ends = [workload.busy_time * end / time.value for end in (time.lower, time.upper)]
        at = [busy_for(workload, end) for end in ends]
        yield _variant(f"processor time on {runtime.build}", time, "workload", at)
    if sharing is not None and sharing.half_width > 0:
        at = [replace(workload, seen_on=(replace(seen, sharing=end),)) for end in _at_ends(sharing)]
        yield _variant(f"what threads lose on {runtime.build}", sharing, "workload", at)


def _build_speeds(runtime: Runtime, workload: Workload, is_scaled: bool) -> Iterator[Variant]:
    """Vary what the demands were scaled by, where they were measured on another build."""
    for work, speed in runtime.speeds.items() if is_scaled else ():
        used = [s for task in workload.tasks for s in flatten(task.segments) if uses(s, work)]
        if not used or speed.half_width == 0:
            continue
        at = [
            workload.rewritten(partial(_slower, work, speed.value / end))
            for end in (speed.lower, speed.upper)
        ]
        yield _variant(f"{runtime.build} {work} speed", speed, "workload", at)


def uses(segment: Segment, work: Work) -> bool:
    """Say whether a segment computes and is limited by ``work``."""
    computes = segment.holds_gil or segment.kind is SegmentKind.RELEASED_NATIVE
    return computes and segment.limited_by is work


def _slower(work: Work, factor: float, segment: Segment) -> tuple[Segment, ...]:
    return (segment.scaled(factor) if uses(segment, work) else segment,)


def _segments(workload: Workload) -> Iterator[Variant]:
    """Vary the longest segments."""
    means: dict[str, float] = {}
    for task in workload.tasks:
        for segment in flatten(task.segments):
            if segment.duration is not None:
                name = segment.name or str(segment.kind)
                means[name] = means.get(name, 0.0) + task.weight * segment.duration.mean
    weights = sum(task.weight for task in workload.tasks)
    for name in sorted(means, key=lambda name: -means[name])[:MOST_SEGMENTS]:
        mean = means[name] / weights
        ends = tuple(
            {"workload": with_scaled(workload, name, 1 + sign * SEGMENT_SHARE)} for sign in (-1, 1)
        )
        yield Variant(
            name=f"time of {name!r} ±{SEGMENT_SHARE:.0%}",
            value=mean,
            low=mean * (1 - SEGMENT_SHARE),
            high=mean * (1 + SEGMENT_SHARE),
            ends=(ends[0], ends[1]),
        )


def with_scaled(workload: Workload, name: str, factor: float) -> Workload:
    """Return the workload where segment ``name`` (or kind) takes ``factor`` times as long."""
    return workload.rewritten(
        lambda segment: (
            segment.scaled(factor) if (segment.name or str(segment.kind)) == name else segment,
        )
    )


def _only(name: str, value: Estimate) -> dict[str, Any]:
    return {name: value}


def _at_ends(estimate: Estimate) -> list[Estimate]:
    return [replace(estimate, value=value) for value in (estimate.lower, estimate.upper)]


def _variant(name: str, estimate: Estimate, field: str, at: Sequence[object]) -> Variant:
    return Variant(
        name=name,
        value=estimate.value,
        low=estimate.lower,
        high=estimate.upper,
        ends=({field: at[0]}, {field: at[1]}),
    )
