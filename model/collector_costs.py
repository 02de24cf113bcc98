"""What garbage collections take on a build, per object that they look at."""

from dataclasses import dataclass, replace

import numpy as np

from gilplan.model.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorCosts:
    """Seconds per container: live in a young collection, live in a full one, found in a cycle.

    ``garbage_time`` comes on top of what a live object takes. The intervals span kinds of
    objects, for a program's own kinds are not known.
    """

    young_time: Estimate
    full_time: Estimate
    garbage_time: Estimate

    def redrawn(self, rng: np.random.Generator) -> "CollectorCosts":
        """Return the costs redrawn from their estimates."""
        return replace(
            self,
            young_time=self.young_time.redrawn(rng),
            full_time=self.full_time.redrawn(rng),
            garbage_time=self.garbage_time.redrawn(rng),
        )
