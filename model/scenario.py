"""One run of the model, described completely: the same scenario gives the same bytes."""

import hashlib
from dataclasses import dataclass

from gilplan.model.arrivals import Arrivals, Closed
from gilplan.model.checks import require_count, require_positive
from gilplan.model.contention import SharedOperation
from gilplan.model.errors import ProfileError
from gilplan.model.layout import GilMode, Layout, check_supported
from gilplan.model.machine import Machine
from gilplan.model.quota import DEFAULT_PERIOD, Quota
from gilplan.model.runtime import Runtime
from gilplan.model.worker_support import check_connection, check_worker
from gilplan.model.workload import Collections, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Workload + arrivals + layout + runtime + machine + run length + seed.

    ``run_time`` is the simulated horizon in seconds, half-open; ``replication`` picks the
    random streams together with ``seed``.
    """

    workload: Workload
    arrivals: Arrivals = Closed()
    layout: Layout
    runtime: Runtime
    machine: Machine
    run_time: float
    seed: int
    replication: int = 0

    def __post_init__(self) -> None:
        require_positive("run_time", self.run_time)
        require_count("seed", self.seed, least=0)
        require_count("replication", self.replication, least=0)
        check_supported(self.layout, self.runtime)
        check_measured(self.workload, self.layout, self.runtime)
        check_worker(self.layout, self.runtime, self.workload)
        check_connection(self.layout, self.arrivals)

    @property
    def cores(self) -> int:
        """Cores that the workers may use: the layout's, else the machine's."""
        return self.layout.cores if self.layout.cores is not None else self.machine.cores

    @property
    def quota(self) -> Quota | None:
        """The CPU limit in force: the layout's, else the machine's."""
        return layout_quota(self.layout, self.machine)

    @property
    def key(self) -> str:
        """A hash of every field: the key of every cache."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def check_measured(workload: Workload, layout: Layout, runtime: Runtime) -> None:
    """Raise `ProfileError` where the workload needs a cost that the build's profile lacks."""
    allocates = any(task.allocation_rate > 0 for task in workload.tasks)
    if workload.collections is Collections.SEPARATE and allocates and runtime.collector is None:
        raise ProfileError(
            f"collections must be 'included' on {runtime.build}, got 'separate': the profile has "
            "no collection times of it; run `gilplan calibrate` again"
        )
    if layout.gil is not GilMode.DISABLED or layout.threads == 1:
        return
    seen = workload.on(runtime.build)
    if seen is not None and seen.sharing is not None:
        return
    for task in workload.tasks:
        if task.shared_share == 0:
            continue
        if task.shared_operation is None:
            known = ", ".join(SharedOperation)
            raise ProfileError(
                f"task {task.name!r}: shared_operation must be given (shared_share is "
                f"{task.shared_share:g} and {runtime.build} has no GIL): one of {known}"
            )
        if task.shared_operation not in runtime.contention:
            raise ProfileError(
                f"task {task.name!r}: shared_operation must be one that was measured on "
                f"{runtime.build}, got {task.shared_operation.value!r}; "
                "run `gilplan calibrate` again"
            )


def layout_quota(layout: Layout, machine: Machine) -> Quota | None:
    """Return the CPU limit of a layout on a machine: its own, else the machine's."""
    if layout.quota is None:
        return machine.quota
    return Quota(
        cores=layout.quota,
        period=layout.quota_period or DEFAULT_PERIOD,
        slice_time=machine.bandwidth_slice,
    )
