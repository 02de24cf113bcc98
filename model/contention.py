"""What threads without a GIL lose on objects that they share, by kind of operation."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate


class SharedOperation(StrEnum):
    """What a thread does to an object that other threads use too."""

    COUNTER = "counter"  # change an attribute: obj.count += 1
    DICT_WRITE = "dict_write"
    LIST_WRITE = "list_write"
    READ = "read"  # refer to an object whose reference count is not deferred
    CALL = "call"  # call its method
    CRITICAL_SECTION = "critical_section"  # an operation in C that takes the object's lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Contention:
    """How much longer a mix of own work and one operation takes for each other active sharer.

    ``shares``: the operation's share of the mix's time alone, increasing, ``(k,)``;
    ``extra_times``: one each, relative to the mix's time with objects of one's own.

    Each operation waits for the others' accesses that come before it, so that the extra time is
    taken as proportional to the number of other sharers. It is no fixed cost per operation: in a
    tight loop a thread does several in a row before another one gets the object.
    """

    shares: tuple[float, ...]
    extra_times: tuple[Estimate, ...]

    def __post_init__(self) -> None:
        if not self.shares or len(self.shares) != len(self.extra_times):
            raise InvalidValue("extra_times", "one per share", (self.shares, self.extra_times))
        if self.shares[0] <= 0 or any(
            b <= a for a, b in zip(self.shares, self.shares[1:], strict=False)
        ):
            raise InvalidValue("shares", "positive and in increasing order", self.shares)

    def extra_time(self, share: float) -> float:
        """Return the relative extra time for one other sharer: linear between what is measured.

        Beyond the greatest measured share it grows in proportion.
        """
        if share >= self.shares[-1]:
            return self.extra_times[-1].value * share / self.shares[-1]
        values = [0.0, *(extra.value for extra in self.extra_times)]
        return float(np.interp(share, [0.0, *self.shares], values))

    def redrawn(self, rng: np.random.Generator) -> "Contention":
        """Return the costs redrawn from their estimates."""
        return replace(self, extra_times=tuple(extra.redrawn(rng) for extra in self.extra_times))
