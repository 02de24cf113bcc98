"""One CPython build: how its GIL behaves and what its operations cost.

The behaviours follow from the version alone: see `gilplan.model.behaviours`.
"""

import re
from dataclasses import dataclass, field, replace

import numpy as np

from gilplan.model.behaviours import Behaviours
from gilplan.model.boundary import Boundary, LoopCosts
from gilplan.model.collector_costs import CollectorCosts
from gilplan.model.contention import Contention, SharedOperation
from gilplan.model.estimate import Estimate
from gilplan.model.workload import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUp:
    """What it takes to have one more of something: time until it runs, memory it keeps."""

    time: Estimate
    memory: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A build's identity, behaviours and measured costs.

    ``speeds`` is the single-thread speed per kind of work relative to the profile's reference
    build; ``release_time`` what one release and re-take of an uncontended GIL costs;
    ``poll_time`` the time between two eval-breaker polls of ordinary bytecode; ``start_ups``
    are keyed ``thread``, ``interpreter``, ``fork``, ``spawn``, ``forkserver``; ``memory`` is
    what the bare interpreter process keeps. ``boundaries`` are keyed by what the workers of a
    pool are: ``thread``, ``interpreter``, ``process``; ``loop_costs`` are those of an event loop.
    ``collector`` is what garbage collections take, None where it was not measured, and
    ``contention`` what sharing objects costs on a free-threaded build, for each operation.
    ``libc`` is the C library that it was measured with, like "glibc 2.36", "" if not known.
    """

    build: str
    version: tuple[int, int, int]
    free_threaded: bool = False
    libc: str = ""
    release_time: Estimate
    poll_time: Estimate
    speeds: dict[Work, Estimate] = field(default_factory=dict)
    start_ups: dict[str, StartUp] = field(default_factory=dict)
    memory: Estimate | None = None
    boundaries: dict[str, Boundary] = field(default_factory=dict)
    loop_costs: LoopCosts | None = None
    collector: CollectorCosts | None = None
    contention: dict[SharedOperation, Contention] = field(default_factory=dict)

    @property
    def behaviours(self) -> Behaviours:
        """What this version does."""
        return Behaviours(version=self.version, free_threaded=self.free_threaded)

    @property
    def gil_per_interpreter(self) -> bool:
        return self.behaviours.gil_per_interpreter

    @property
    def preempts_across_interpreters(self) -> bool:
        return self.behaviours.preempts_across_interpreters

    @property
    def signaller_waits(self) -> bool:
        """Whether a signal may have to wait for earlier waiters to wake up (`Condition`).

        So it is in glibc before 2.41, whose condition variables no longer count references to a
        group (BZ 25847), and assumed where the library is not known.
        """
        match = re.match(r"glibc (\d+)\.(\d+)", self.libc)
        return match is None or (int(match[1]), int(match[2])) < (2, 41)

    def redrawn(self, rng: np.random.Generator) -> "Runtime":
        """Return the runtime with each cost redrawn from its estimate."""
        return replace(
            self,
            release_time=self.release_time.redrawn(rng),
            poll_time=self.poll_time.redrawn(rng),
            speeds={work: speed.redrawn(rng) for work, speed in self.speeds.items()},
            boundaries={kind: each.redrawn(rng) for kind, each in self.boundaries.items()},
            loop_costs=self.loop_costs and self.loop_costs.redrawn(rng),
            collector=self.collector and self.collector.redrawn(rng),
            contention={kind: each.redrawn(rng) for kind, each in self.contention.items()},
        )
