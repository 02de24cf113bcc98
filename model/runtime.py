"""One CPython build: how its GIL behaves and what its operations cost.

The behaviours are those of the sources, by version:

====================================  =====  =====  ======
behaviour                             3.11   3.12   3.13+
====================================  =====  =====  ======
a GIL per interpreter (PEP 684)       no     yes    yes
a waiter can ask a holder in another
interpreter to drop a shared GIL      no     no     yes
====================================  =====  =====  ======

Until 3.12 a waiter sets the drop request of its *own* interpreter, which a holder that runs in
another interpreter never polls; since 3.13 the request is a bit in the holder's thread state
(gh-112175).
"""

from dataclasses import dataclass, field, replace

import numpy as np

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
    what the bare interpreter process keeps.
    """

    build: str
    version: tuple[int, int, int]
    free_threaded: bool = False
    release_time: Estimate
    poll_time: Estimate
    speeds: dict[Work, Estimate] = field(default_factory=dict)
    start_ups: dict[str, StartUp] = field(default_factory=dict)
    memory: Estimate | None = None

    @property
    def gil_per_interpreter(self) -> bool:
        return not self.free_threaded and self.version >= (3, 12, 0)

    @property
    def preempts_across_interpreters(self) -> bool:
        return self.version >= (3, 13, 0)

    def redrawn(self, rng: np.random.Generator) -> "Runtime":
        """Return the runtime with each cost redrawn from its estimate."""
        return replace(
            self,
            release_time=self.release_time.redrawn(rng),
            poll_time=self.poll_time.redrawn(rng),
            speeds={work: speed.redrawn(rng) for work, speed in self.speeds.items()},
        )
