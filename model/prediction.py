"""What the user is told of one layout, every number with its interval."""

from dataclasses import dataclass, field

from gilplan.model.layout import Layout
from gilplan.model.statistics import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The forecast of one layout. Seconds, bytes, tasks per second; utilisations in [0, 1].

    ``response_time``: mean, p50, p95, p99; ``breakdown``: time per task running, waiting_gil,
    waiting_core, blocked, queued. An overloaded open system has no steady state:
    ``response_time`` is then empty and ``sustainable_rate`` says at which rate it would have
    one. ``makespan`` is set for a batch. ``warnings`` say what the reader must know before
    relying on it.
    """

    layout: Layout
    throughput: Interval
    response_time: dict[str, Interval]
    gil_utilisation: Interval
    core_utilisation: Interval
    breakdown: dict[str, Interval]
    memory: Interval | None = None
    makespan: Interval | None = None
    overloaded: bool = False
    sustainable_rate: Interval | None = None
    replications: int
    seed: int
    warnings: tuple[str, ...] = field(default=())
