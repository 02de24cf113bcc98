"""What running a program on another build told: how fast one thread is, and what a second costs."""

from dataclasses import dataclass, replace

import numpy as np

from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate

#: A wide interval's tail must not make a program of no time at all.
LEAST_TIME = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenOn:
    """A program on ``build``, beside the same on the build that its workload was observed on.

    ``relative_time``: a task's processor time in a single thread, relative to that on the
    workload's own build (1 where it is that build). ``sharing``, without a GIL: how much longer a
    task's work in the interpreter takes for each other thread of the process that is in it, too,
    relative to that beside another process; None where it was not measured, or there is a GIL.
    """

    build: str
    relative_time: Estimate
    sharing: Estimate | None = None

    def __post_init__(self) -> None:
        if self.relative_time.lower <= 0:
            raise InvalidValue("relative_time", "more than 0", self.relative_time.lower)
        if self.sharing is not None and self.sharing.lower < 0:
            raise InvalidValue("sharing", "0 or more", self.sharing.lower)

    def drawn_factor(self, rng: np.random.Generator) -> float:
        """Draw by how much the processor time could be other than measured."""
        return max(self.relative_time.redrawn(rng).value / self.relative_time.value, LEAST_TIME)

    def redrawn(self, rng: np.random.Generator) -> "SeenOn":
        """Return it with the cost of sharing redrawn from its estimate."""
        return replace(self, sharing=self.sharing and self.sharing.redrawn(rng))
