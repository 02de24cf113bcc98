"""The cheap rules: throughput from the workload's demands alone, to set beside the simulation.

Each takes the mean demands of a task, counts GILs and cores, and knows nothing of hand-offs,
latencies or speeds. Closed systems: every worker does task after task.
"""

from dataclasses import dataclass

from gilplan.model.checks import require_count
from gilplan.model.layout import GilMode, Layout
from gilplan.model.workload import SegmentKind, Workload, flatten

HELD = (SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """Mean times per task: with the GIL, computing without it, blocked; and releases of it."""

    held: float
    released: float
    blocked: float
    releases: float

    @classmethod
    def of(cls, workload: Workload) -> "Demands":
        weights = sum(task.weight for task in workload.tasks)
        releases = sum(
            task.weight * sum(not segment.holds_gil for segment in flatten(task.segments))
            for task in workload.tasks
        )
        return cls(
            held=workload.mean_demand(*HELD),
            released=workload.mean_demand(SegmentKind.RELEASED_NATIVE),
            blocked=workload.mean_demand(SegmentKind.WAIT),
            releases=releases / weights,
        )

    @property
    def cpu(self) -> float:
        return self.held + self.released

    @property
    def total(self) -> float:
        return self.cpu + self.blocked


def gil_count(layout: Layout) -> int:
    """Count the GILs of a layout; without a GIL, each worker counts as having its own."""
    if layout.gil is GilMode.DISABLED:
        return layout.workers
    if layout.gil is GilMode.OWN:
        return layout.processes * layout.interpreters
    return layout.processes


def gils_at_once(layout: Layout, cores: int) -> int:
    """How many of the layout's GILs can be held by running threads at once."""
    return min(gil_count(layout), cores)


def amdahl(workload: Workload, layout: Layout, cores: int) -> float:
    """Return Amdahl's throughput with the GIL-held share as the serial part of each GIL.

    Amdahl 1967: time per task = serial + parallel / processors. CPU without the GIL is spread
    over the workers that find a core, blocked time over all workers; GILs beyond the number of
    cores add nothing.
    """
    require_count("cores", cores)
    demands = Demands.of(workload)
    running = min(layout.workers, cores)
    return 1 / (
        demands.held / gils_at_once(layout, cores)
        + demands.released / running
        + demands.blocked / layout.workers
    )


def processor_sharing(workload: Workload, layout: Layout, cores: int) -> float:
    """Return the asymptotic bound of a closed network: workers, cores or GILs run out.

    X <= min(N / D, cores / D_cpu, GILs / D_held) (Denning and Buzen 1978), reached when cores
    and GILs are shared ideally.
    """
    require_count("cores", cores)
    return _bounded(workload, layout, cores, waiting=0.0)


def one_interval_rule(workload: Workload, layout: Layout, cores: int) -> float:
    """Return the bound when each re-take of a wanted GIL costs one switch interval.

    The folklore of the "convoy effect": after a stretch without the GIL a thread waits a whole
    interval for it as soon as another thread of the same GIL computes.
    """
    require_count("cores", cores)
    demands = Demands.of(workload)
    wanted = layout.workers > gil_count(layout) and demands.held > 0
    waiting = demands.releases * layout.effective_switch_interval if wanted else 0.0
    return _bounded(workload, layout, cores, waiting=waiting)


def _bounded(workload: Workload, layout: Layout, cores: int, *, waiting: float) -> float:
    demands = Demands.of(workload)
    bounds = [layout.workers / (demands.total + waiting)]
    if demands.cpu:
        bounds.append(cores / demands.cpu)
    if demands.held and layout.gil is not GilMode.DISABLED:
        bounds.append(gil_count(layout) / demands.held)
    return min(bounds)
