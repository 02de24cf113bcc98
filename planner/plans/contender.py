"""A layout in the race: what was simulated of it, and where it stands against the target."""

from dataclasses import dataclass, field
from enum import Enum
from math import floor, log

from gilplan.model.layout import Layout
from gilplan.model.statistics import Interval, mean_interval
from gilplan.planner.forecast import Measures
from gilplan.planner.formatting import format_number, format_time
from gilplan.planner.plans.findings import Evaluation
from gilplan.planner.plans.target import MEASURES, Target

#: How far one pilot run may be off; nothing closer to a limit is decided by it.
PILOT_CAPACITY = 0.10
PILOT_TIME = 0.40
#: Replications from which an interval is taken.
LEAST = 4
#: Layouts whose memory differs by less than this factor are of one size.
MEMORY_CLASS = 1.25


class Standing(Enum):
    """Whether a contender meets the target, as far as the simulation is sure."""

    MEETS = "meets"
    MISSES = "misses"
    OPEN = "open"


@dataclass(slots=True, kw_only=True, eq=False)
class Contender:
    """``judged`` is what is left of ``layout`` after the losses that the target says to survive.

    ``saturated`` and ``loaded`` are the measures of its runs, one per replication, without
    arrivals and at the peak rate.
    """

    layout: Layout
    judged: Layout
    memory: Interval | None
    bound: float
    saturated: list[Measures] = field(default_factory=list)
    loaded: list[Measures] = field(default_factory=list)

    @property
    def cores(self) -> int:
        return self.layout.cores or self.layout.workers

    @property
    def size(self) -> tuple[int, int]:
        """Cores first, then memory in steps of a quarter: what "smaller" means."""
        kept = 1.0 if self.memory is None else max(self.memory.mean, 1.0)
        return (self.cores, floor(log(kept) / log(MEMORY_CLASS)))

    def mean(self, measure: str = "throughput") -> float:
        return sum(run[measure] for run in self.saturated) / len(self.saturated)

    def capacity(self, level: float) -> Interval:
        return mean_interval([run["throughput"] for run in self.saturated], level)

    def response_time(self, measure: str, level: float) -> Interval:
        return mean_interval([run[f"response_time.{measure}"] for run in self.loaded], level)

    def is_overloaded(self, rate: float | None) -> bool:
        return rate is not None and self.mean() <= rate

    def standing(self, target: Target, level: float) -> Standing:
        """Say where the contender stands, with an interval from four replications on."""
        standings = [self._carries(target, level)]
        if self.loaded:
            standings += [
                _below(self.response_time(slo.measure, level), slo.limit, len(self.loaded))
                for slo in target.slos
            ]
        elif target.slos and target.rate is not None and standings[0] is not Standing.MISSES:
            return Standing.OPEN
        if Standing.MISSES in standings:
            return Standing.MISSES
        return Standing.OPEN if Standing.OPEN in standings else Standing.MEETS

    def _carries(self, target: Target, level: float) -> Standing:
        rate = target.peak_rate
        if rate is None:
            return Standing.MEETS
        below = _below(self.capacity(level), rate, len(self.saturated), PILOT_CAPACITY)
        opposite = {Standing.MEETS: Standing.MISSES, Standing.MISSES: Standing.MEETS}
        return opposite.get(below, Standing.OPEN)

    def shortfall(self, target: Target) -> tuple[bool, float]:
        """Return how far the contender is from the target: (overloaded, worst ratio)."""
        rate = target.peak_rate
        ratios = [0.0] if rate is None else [rate / self.mean()]
        overloaded = self.is_overloaded(rate)
        if not overloaded and self.loaded:
            ratios += [self.response_time(slo.measure, 0.5).mean / slo.limit for slo in target.slos]
        return overloaded, max(ratios)

    def evaluation(self, target: Target, level: float) -> Evaluation:
        """Return what is told of the contender."""
        rate = target.peak_rate
        shows_times = self.loaded and not self.is_overloaded(rate)
        return Evaluation(
            layout=self.layout,
            capacity=self.capacity(level),
            response_time={name: self.response_time(name, level) for name in MEASURES}
            if shows_times
            else {},
            gil_utilisation=self._utilisation("gil_utilisation", level),
            core_utilisation=self._utilisation("core_utilisation", level),
            memory=self.memory,
            cores=self.cores,
            misses=self.misses(target),
            decided=self.standing(target, level) is not Standing.OPEN,
            replications=len(self.saturated),
        )

    def misses(self, target: Target) -> tuple[str, ...]:
        """Say what of the target is missed, by the means."""
        rate = target.peak_rate
        if rate is not None and self.is_overloaded(rate):
            return (f"carries {format_number(self.mean())} of {format_number(rate)} tasks/s",)
        missed = []
        for slo in target.slos if self.loaded else ():
            took = self.response_time(slo.measure, 0.5).mean
            if took > slo.limit:
                missed.append(f"{slo.measure} is {format_time(took)}, {slo} was asked")
        if target.memory is not None and (self.memory is None or self.memory.mean > target.memory):
            missed.append("keeps more memory than allowed")
        return tuple(missed)

    def _utilisation(self, name: str, level: float) -> Interval:
        return mean_interval([run[name] for run in self.saturated], level)


def _below(value: Interval, limit: float, runs: int, pilot: float = PILOT_TIME) -> Standing:
    """Say whether the value is below the limit; a pilot must be far from it to tell."""
    if runs < LEAST:
        lower, upper = value.mean * (1 - pilot), value.mean * (1 + pilot)
    else:
        lower, upper = value.lower, value.upper
    if upper < limit:
        return Standing.MEETS
    return Standing.MISSES if lower > limit else Standing.OPEN
