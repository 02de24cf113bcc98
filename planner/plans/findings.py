"""What a plan says: the verdict, and everything that it rests on. Seconds, bytes, tasks/s."""

from dataclasses import dataclass

from gilplan.model.layout import Layout
from gilplan.model.prediction import Prediction
from gilplan.model.statistics import Interval
from gilplan.planner.plans.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A layout that was not simulated, and why it cannot meet the target or cannot run."""

    layout: Layout
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A layout as simulated, after the losses that the target says to survive.

    ``capacity`` is the throughput when saturated; ``response_time`` (mean, p50, p95, p99) is at
    the target's peak rate, empty where that is beyond the capacity or there is no rate. The
    utilisations are those at saturation. ``memory`` and ``cores`` are of the whole layout.
    ``misses`` says what of the target it misses; ``decided`` whether the simulation is as sure
    of that as was asked. ``replications`` counts runs: one is a pilot, whose intervals are
    unbounded.
    """

    layout: Layout
    capacity: Interval
    response_time: dict[str, Interval]
    gil_utilisation: Interval
    core_utilisation: Interval
    memory: Interval | None
    cores: int
    misses: tuple[str, ...]
    decided: bool
    replications: int

    @property
    def meets(self) -> bool:
        return not self.misses


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePoint:
    """Response times of the chosen layout at one rate; ``response_time`` empty when overloaded."""

    rate: float
    response_time: dict[str, Interval]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What one change brings: throughput and p99 as ratios to those without it, paired.

    ``throughput`` 1.2 is 20 % more at saturation; ``p99`` is at the peak rate (None where either
    side is overloaded or there is no rate). ``layout`` is the one with the change.
    """

    change: str
    layout: Layout
    throughput: Interval
    p99: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """What runs out first: ``resource`` is "GIL", "cores", "threads" or "lock NAME".

    ``utilisation`` is the resource's at saturation. ``remedies`` were simulated, best first.
    """

    resource: str
    utilisation: float
    explanation: str
    remedies: tuple[Gain, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What is left after the loss of one process or one machine, and whether it is enough.

    ``capacity`` is the rate left. ``needed`` is the number of machines with which the target
    still holds after the loss (1: this one is enough); None where it is not about machines.
    """

    lost: str
    left: str
    capacity: float
    meets: bool
    needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What 1,000 tasks/s take at the highest sustainable rate; memory in bytes."""

    cores: float
    memory: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Where the answer flips as one quantity changes and all else stays.

    ``quantity`` is "GIL-held share of processor time", "threads per interpreter" or
    "single-thread penalty"; ``now`` its value today; ``at`` where ``rival`` overtakes (or, with
    no rival, where the layout stops meeting the target); None: nowhere in ``searched``.
    """

    quantity: str
    now: float
    at: float | None
    searched: tuple[float, float]
    rival: Layout | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """How far one measured input moves the capacity, from one end of its interval to the other.

    ``low`` and ``high`` are the input's ends, ``capacity_low`` and ``capacity_high`` the ratio
    of the capacity there to that at ``value``. ``flips``: at one end the verdict is another.
    """

    name: str
    value: float
    low: float
    high: float
    capacity_low: float
    capacity_high: float
    flips: bool

    @property
    def effect(self) -> float:
        """The largest relative change of the capacity."""
        return max(abs(self.capacity_low - 1), abs(self.capacity_high - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer to a target.

    ``choice`` is the smallest layout that meets the target (without a rate: the one with the
    highest sustainable rate), None when no layout does; ``nearest_miss`` is then the one that
    comes closest. ``subject``, either of them, is what all the following is about:
    ``prediction`` at the peak rate (saturated without one), ``sustainable_rate`` within the
    SLOs, ``headroom`` over the peak rate (0.2: 20 % more), ``curve`` of rate against response
    time, and so on. ``evaluations`` are all simulated layouts, smallest first; ``excluded``
    those that were not simulated.
    """

    workload: str
    target: Target
    verdict: str
    choice: Evaluation | None
    nearest_miss: Evaluation | None
    prediction: Prediction | None
    sustainable_rate: Interval | None
    headroom: Interval | None
    curve: tuple[RatePoint, ...]
    bottleneck: Bottleneck | None
    losses: tuple[Loss, ...]
    cost: Cost | None
    pareto: tuple[Evaluation, ...]
    break_evens: tuple[BreakEven, ...]
    sensitivities: tuple[Sensitivity, ...]
    what_ifs: tuple[Gain, ...]
    evaluations: tuple[Evaluation, ...]
    excluded: tuple[Excluded, ...]
    warnings: tuple[str, ...]
    confidence: float
    seed: int
    profile: str
    version: str

    @property
    def met(self) -> bool:
        return self.choice is not None

    @property
    def subject(self) -> Evaluation | None:
        return self.choice or self.nearest_miss

    def _repr_html_(self) -> str:
        from gilplan.planner.display import html_of
        from gilplan.planner.plans.plan_tables import plan_tables

        return html_of(plan_tables(self), heading=self.verdict, lines=self.warnings)
