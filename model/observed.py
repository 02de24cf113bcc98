"""What observing a program told of it as a whole, beside the times that its workload holds."""

from dataclasses import dataclass, fields

import numpy as np

from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate

LEAST_FACTOR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The summary of an observation, each figure with its 90 % interval and the method behind it.

    ``held_share``, ``released_share`` and ``blocked_share`` are of a task's time, ``task_time``
    is on an otherwise idle machine. ``uninterruptible_time`` is the length of the stretch
    between two eval-breaker polls that a random request for the GIL hits, ``allocation_rate``
    counts container objects per second of GIL-held time, ``payload_in`` and ``payload_out`` are
    the pickled bytes of a call and of its result. None: not observed, or there is none (a result
    that cannot be pickled).
    """

    method: str
    tasks: int
    held_share: Estimate
    released_share: Estimate
    blocked_share: Estimate
    task_time: Estimate
    uninterruptible_time: Estimate | None = None
    allocation_rate: Estimate | None = None
    payload_in: Estimate | None = None
    payload_out: Estimate | None = None

    def __post_init__(self) -> None:
        for share in (self.held_share, self.released_share, self.blocked_share):
            if share.lower < 0 or share.upper > 1:
                raise InvalidValue("share", "between 0 and 1", (share.lower, share.upper))

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The figures that were observed, by field."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if isinstance(value, Estimate)}

    def drawn_factors(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """Draw by how much GIL-held, GIL-free and blocked times could be other than observed."""
        overall = _factor(self.task_time, rng)
        shares = (self.held_share, self.released_share, self.blocked_share)
        held, released, blocked = (overall * _factor(share, rng) for share in shares)
        return held, released, blocked


def _factor(estimate: Estimate, rng: np.random.Generator) -> float:
    if estimate.value <= 0:
        return 1.0
    # A wide interval's tail must not make a program of no time at all.
    return max(estimate.redrawn(rng).value / estimate.value, LEAST_FACTOR)
