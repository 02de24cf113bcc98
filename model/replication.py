"""What one run of the model recorded: flat arrays; every summary is a function over them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replication:
    """One run, in seconds.

    Per completed task, in order of completion: ``kind`` (index into the workload's tasks),
    ``arrived_at``, ``started_at``, ``completed_at``: ``(n,)``; ``times``: ``(n, 5)``, the time
    in each `State` from start to completion. At ``checkpoints`` ``(k,)``, evenly spaced from 0
    to the run's end: ``gil_held`` ``(k, GILs)`` and ``core_busy`` ``(k, cores)``, accumulated.
    ``arrivals`` counts tasks that arrived, ``queued`` those that waited for a worker and
    ``in_service`` those that had one at the end; ``events`` counts kernel events and
    ``switches`` GIL switches.
    """

    run_time: float
    kind: NDArray[np.int64]
    arrived_at: Floats
    started_at: Floats
    completed_at: Floats
    times: Floats
    checkpoints: Floats
    gil_held: Floats
    core_busy: Floats
    arrivals: int
    queued: int
    in_service: int
    events: int
    switches: int

    @property
    def completions(self) -> int:
        return len(self.completed_at)

    @property
    def response_times(self) -> Floats:
        """Arrival to completion: ``(n,)`` seconds."""
        return self.completed_at - self.arrived_at

    def to_bytes(self) -> bytes:
        """Every recorded number in a fixed order: equal runs give equal bytes."""
        arrays = (
            self.kind, self.arrived_at, self.started_at, self.completed_at, self.times,
            self.checkpoints, self.gil_held, self.core_busy,
        )  # fmt: skip
        counts = np.array([self.arrivals, self.queued, self.in_service, self.switches])
        return b"".join(array.tobytes() for array in (*arrays, counts))
