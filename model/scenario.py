"""One run of the model, described completely: the same scenario gives the same bytes."""

import hashlib
from dataclasses import dataclass

from gilplan.model.arrivals import Arrivals, Closed
from gilplan.model.checks import require_count, require_positive
from gilplan.model.layout import Layout, check_supported
from gilplan.model.machine import Machine
from gilplan.model.quota import DEFAULT_PERIOD, Quota
from gilplan.model.runtime import Runtime
from gilplan.model.worker_support import check_worker
from gilplan.model.workload import Workload


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
        check_worker(self.layout, self.runtime, self.workload)

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


def layout_quota(layout: Layout, machine: Machine) -> Quota | None:
    """Return the CPU limit of a layout on a machine: its own, else the machine's."""
    if layout.quota is None:
        return machine.quota
    return Quota(
        cores=layout.quota,
        period=layout.quota_period or DEFAULT_PERIOD,
        slice_time=machine.bandwidth_slice,
    )
