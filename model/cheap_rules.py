"""Throughput by rules of thumb: what the simulation has to be better than.

Each takes a scenario and answers in tasks per second, from mean demands alone. None knows the
GIL's switch interval in both directions, wake-up latency, critical sections or variance.
"""

from dataclasses import dataclass

from gilplan.model.arrivals import Batch, Closed, Open, Recorded
from gilplan.model.layout import GilMode
from gilplan.model.scenario import Scenario
from gilplan.model.workload import SegmentKind, Task, flatten

HELD = (SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)
RELEASED = (SegmentKind.RELEASED_NATIVE,)
BLOCKED = (SegmentKind.WAIT,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What the rules look at: seconds per task, and how many of what there are.

    ``gils`` counts the GILs of the layout, 0 where there is none; ``reacquires`` how often a
    task takes the GIL back after it gave it up; ``rate_limit`` is what the arrivals allow.
    ``think`` is the time that a busy worker's client thinks: none when other clients queue.
    """

    held: float
    released: float
    blocked: float
    think: float
    reacquires: float
    concurrency: int
    gils: int
    cores: int
    switch_interval: float
    rate_limit: float

    @property
    def total(self) -> float:
        return self.held + self.released + self.blocked


def demands(scenario: Scenario) -> Demands:
    """Sum up the scenario for the rules."""
    workload, layout, arrivals = scenario.workload, scenario.layout, scenario.arrivals
    concurrency, think = layout.workers, 0.0
    if isinstance(arrivals, Closed):
        concurrency = min(concurrency, arrivals.population or concurrency)
        think = arrivals.think_time.mean if (arrivals.population or 0) <= layout.workers else 0.0
    elif isinstance(arrivals, Batch):
        concurrency = min(concurrency, arrivals.jobs)
    gils = {
        GilMode.DISABLED: 0,
        GilMode.SHARED: layout.processes,
        GilMode.OWN: layout.processes * layout.interpreters,
    }[layout.gil]
    total_weight = sum(task.weight for task in workload.tasks)
    return Demands(
        held=workload.mean_demand(*HELD),
        released=workload.mean_demand(*RELEASED),
        blocked=workload.mean_demand(*BLOCKED),
        think=think,
        reacquires=sum(task.weight * _reacquires(task) for task in workload.tasks) / total_weight,
        concurrency=concurrency,
        gils=min(gils, concurrency),
        cores=scenario.cores,
        switch_interval=layout.effective_switch_interval,
        rate_limit=_rate_limit(scenario),
    )


def asymptotic_bound(scenario: Scenario) -> float:
    """Return the upper bound of operational analysis: latency, GILs, cores and arrivals.

    Denning and Buzen, "The Operational Analysis of Queueing Network Models" (1978).
    """
    d = demands(scenario)
    return min(d.concurrency / (d.total + d.think), *_capacities(d))


def amdahl(scenario: Scenario) -> float:
    """Return Amdahl's law per GIL: the GIL-held share is serial, the rest scales with threads."""
    d = demands(scenario)
    domains = d.gils or 1
    workers = d.concurrency / domains
    serial = d.held / (d.total + d.think) if d.gils else 0.0
    speedup = 1 / (serial + (1 - serial) / workers)
    return min(domains * speedup / (d.total + d.think), *_capacities(d))


def processor_sharing(scenario: Scenario) -> float:
    """Return the product-form solution: GILs and cores shared fairly, switches cost nothing.

    Mean value analysis of a closed network (Reiser and Lavenberg 1980); ``k`` GILs or cores are
    ``k`` stations that divide the work evenly.
    """
    d = demands(scenario)
    gils = min(d.gils, d.cores)
    stations = [d.held / gils] * gils if d.gils else []
    core_work = d.released if d.gils else d.held + d.released
    stations += [core_work / d.cores] * d.cores
    queues = [0.0] * len(stations)
    throughput = 0.0
    for population in range(1, d.concurrency + 1):
        times = [demand * (1 + queue) for demand, queue in zip(stations, queues, strict=True)]
        throughput = population / (d.think + d.blocked + sum(times))
        queues = [throughput * time for time in times]
    return min(throughput, *_capacities(d))


def one_interval(scenario: Scenario) -> float:
    """Return the convoy rule: beside other threads each re-acquire waits one switch interval."""
    d = demands(scenario)
    contended = d.gils > 0 and d.concurrency > d.gils
    waits = d.reacquires * d.switch_interval if contended else 0.0
    return min(d.concurrency / (d.total + d.think + waits), *_capacities(d))


def cheap_rules(scenario: Scenario) -> dict[str, float]:
    """Return the throughput that each rule gives, by its name."""
    rules = (asymptotic_bound, amdahl, processor_sharing, one_interval)
    return {rule.__name__: rule(scenario) for rule in rules}


def _capacities(d: Demands) -> list[float]:
    """Return what the GILs, the cores and the arrivals let through at most."""
    capacities = [d.rate_limit]
    if d.gils and d.held:
        capacities.append(d.gils / d.held)
    if d.held + d.released:
        capacities.append(d.cores / (d.held + d.released))
    return capacities


def _rate_limit(scenario: Scenario) -> float:
    arrivals = scenario.arrivals
    if isinstance(arrivals, Closed) and arrivals.population is not None:
        cycle = scenario.workload.mean_demand() + arrivals.think_time.mean
        return arrivals.population / cycle
    if isinstance(arrivals, Open):
        return arrivals.rate
    if isinstance(arrivals, Recorded) and arrivals.arrived_at[-1] > 0:
        return len(arrivals.arrived_at) / arrivals.arrived_at[-1]
    return float("inf")


def _reacquires(task: Task) -> int:
    kinds = [segment.kind for segment in flatten(task.segments)]
    return sum(kind in (*RELEASED, *BLOCKED) for kind in kinds)
