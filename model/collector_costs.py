"""What garbage collections take on a build, per object that they look at."""

from dataclasses import dataclass, replace

import numpy as np

from gilplan.model.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorCosts:
    """Seconds per container: live in a young collection, live in a full one, found in a cycle.

    ``garbage_time`` comes on top of what a live object takes. ``untracked_time`` is that of one
    which the collector does not track: with a GIL it is not in its lists, without one the
    collector finds its objects by going through the pages of the allocator, and meets those too.
    The bare interpreter has ``bare_objects`` containers; a full collection of it takes
    ``base_time`` longer than their number says. The intervals span kinds of objects and how warm
    the caches are, for a program's own are not known.
    """

    young_time: Estimate
    full_time: Estimate
    garbage_time: Estimate
    untracked_time: Estimate
    base_time: Estimate
    bare_objects: Estimate

    def redrawn(self, rng: np.random.Generator) -> "CollectorCosts":
        """Return the costs redrawn from their estimates."""
        return replace(
            self,
            young_time=self.young_time.redrawn(rng),
            full_time=self.full_time.redrawn(rng),
            garbage_time=self.garbage_time.redrawn(rng),
            untracked_time=self.untracked_time.redrawn(rng),
            base_time=self.base_time.redrawn(rng),
            bare_objects=self.bare_objects.redrawn(rng),
        )
