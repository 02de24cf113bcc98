"""A CPU quota: what a container may use of its machine (``cpu.max``)."""

from dataclasses import dataclass

from gilplan.model.checks import require_positive
from gilplan.model.errors import InvalidValue

#: The kernel's default (default_cfs_period), which containers keep.
DEFAULT_PERIOD = 0.1
#: What the kernel accepts (min_cfs_quota_period, max_cfs_quota_period; a quota of 1 ms at least).
SHORTEST, LONGEST = 1e-3, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """``cores`` x ``period`` seconds of processor time in each period, over all cores.

    ``slice_time`` is what a core takes from the pool at a time (sched_cfs_bandwidth_slice_us).
    """

    cores: float
    period: float = DEFAULT_PERIOD
    slice_time: float = 0.005

    def __post_init__(self) -> None:
        require_positive("quota", self.cores)
        require_positive("slice_time", self.slice_time)
        if not SHORTEST <= self.period <= LONGEST:
            raise InvalidValue(
                "quota_period", "between 1 ms and 1 s", self.period, "containers have 100ms"
            )
        if self.cores * self.period < SHORTEST * (1 - 1e-9):
            least = SHORTEST / self.period
            raise InvalidValue(
                "quota",
                f"at least {least:g} cores with a period of {self.period * 1e3:g} ms",
                self.cores,
                "the kernel gives no less than 1 ms a period",
            )

    @property
    def budget(self) -> float:
        """Processor time that a period may use."""
        return self.cores * self.period
