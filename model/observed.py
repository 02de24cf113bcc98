"""What observing a program told of it as a whole, beside the times that its workload holds."""

from dataclasses import dataclass, fields

from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate


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
