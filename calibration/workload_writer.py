"""Workloads and their arrivals written as TOML, in the form that `workload_file` reads."""

from dataclasses import asdict
from typing import Any

import tomli_w

from gilplan.model.arrivals import Arrivals, Batch, Closed, Open, Recorded
from gilplan.model.durations import Deterministic, Duration, Empirical, Exponential, Lognormal
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.observed import Observed
from gilplan.model.seen_on import SeenOn
from gilplan.model.units import size_text, time_text
from gilplan.model.workload import Collections, Segment, Task, Workload


def to_toml(workload: Workload, arrivals: Arrivals | None = None) -> str:
    """Return a text that reads back to an equal workload and equal arrivals.

    What has its default value is left out.
    """
    head = {"name": workload.name, "build": workload.build, "source": workload.source}
    document = _given(head) | {"name": workload.name}
    if arrivals is not None:
        document["arrivals"] = _arrivals_table(arrivals)
    if workload.cold_start is not None:
        document["cold_start"] = {
            "crowded": workload.cold_start.crowded,
            "growth": workload.cold_start.growth,
            "moved": workload.cold_start.moved,
            "halved_after": time_text(workload.cold_start.halved_after),
        }
    if workload.observed is not None:
        document["observed"] = _observed_table(workload.observed)
    objects = ("live_objects", "untracked_objects")
    document |= _given({name: getattr(workload, name) for name in objects})
    if workload.collections is not Collections.INCLUDED:
        document["collections"] = workload.collections.value
    document["tasks"] = [_task_table(task) for task in workload.tasks]
    document |= _given({"background": [_task_table(task) for task in workload.background]})
    document |= _given({"seen_on": [_seen_table(seen) for seen in workload.seen_on]})
    return tomli_w.dumps(document)


def _arrivals_table(arrivals: Arrivals) -> dict[str, Any]:
    match arrivals:
        case Closed(population=population, think_time=think_time, connection=connection):
            table = _given({"kind": "closed", "population": population})
            if think_time != Deterministic(0.0):
                table["think_time"] = _duration_form(think_time)
            if connection is not None:
                times = asdict(connection)
                cold_calls = times.pop("cold_calls")
                table["connection"] = {name: time_text(time) for name, time in times.items()}
                if cold_calls is not None:
                    table["connection"]["cold_calls"] = {
                        name: [time_text(time) for time in taken]
                        for name, taken in cold_calls.items()
                    }
            return table
        case Open(rate=rate, poisson=poisson):
            return {"kind": "open", "rate": rate, "process": "poisson" if poisson else "even"}
        case Batch(jobs=jobs):
            return {"kind": "batch", "jobs": jobs}
        case Recorded(arrived_at=instants):
            return {"kind": "recorded", "arrived_at": [time_text(at) for at in instants]}


def _observed_table(observed: Observed) -> dict[str, Any]:
    estimates = {
        name: _estimate_table(name, estimate) for name, estimate in observed.estimates.items()
    }
    return {"method": observed.method, "tasks": observed.tasks, **estimates}


def _estimate_table(name: str, estimate: Estimate) -> dict[str, Any]:
    form = {"time": time_text, "in": size_text, "out": size_text}.get(
        name.rpartition("_")[2], float
    )
    table: dict[str, Any] = {
        key: form(getattr(estimate, key)) for key in ("value", "lower", "upper")
    }
    return table | {"source": estimate.source} | _given({"flags": list(estimate.flags)})


def _seen_table(seen: SeenOn) -> dict[str, Any]:
    table = {
        "build": seen.build,
        "relative_time": _estimate_table("relative", seen.relative_time),
    }
    if seen.sharing is not None:
        table["sharing"] = _estimate_table("sharing", seen.sharing)
    return table


def _task_table(task: Task) -> dict[str, Any]:
    table: dict[str, Any] = {"name": task.name}
    if task.weight != 1.0:
        table["weight"] = task.weight
    for key in ("payload_in", "payload_out"):
        if size := getattr(task, key):
            table[key] = size_text(size)
    shares = ("allocation_rate", "garbage_share", "shared_share", "together")
    table |= _given({key: getattr(task, key) for key in shares})
    if task.shared_operation is not None:
        table["shared_operation"] = task.shared_operation.value
    return table | {"segments": [_segment_table(segment) for segment in task.segments]}


def _segment_table(segment: Segment) -> dict[str, Any]:
    table = {"kind": segment.kind.value}
    table |= _given(
        {
            "name": segment.name,
            "duration": segment.duration and _duration_form(segment.duration),
            "work": segment.work and segment.work.value,
            "uninterruptible": segment.uninterruptible and _duration_form(segment.uninterruptible),
            "lock": segment.lock,
            "inner": [_segment_table(inner) for inner in segment.inner],
        }
    )
    return table


def _duration_form(duration: Duration) -> str | dict[str, Any]:
    match duration:
        case Deterministic(value=value):
            return time_text(value)
        case Exponential(average=mean):
            return {"distribution": "exponential", "mean": time_text(mean)}
        case Lognormal(median=median, sigma=sigma):
            return {"distribution": "lognormal", "median": time_text(median), "sigma": sigma}
        case Empirical(samples=samples):
            return {"distribution": "empirical", "samples": [time_text(s) for s in samples]}
    raise InvalidValue("duration", "a distribution that a file can hold", duration)


def _given(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value}
