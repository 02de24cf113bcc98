"""What a workload file may say: pydantic models of its tables, each read into a domain type.

Quantities are texts with a unit. The rules that involve more than one key are those of the
domain types, checked when a table is read; a broken one is an `InvalidValue` inside pydantic's
error, with the key's name.
"""

from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationInfo,
    model_validator,
)

from gilplan.model.arrivals import Arrivals, Batch, Closed, ColdCalls, Connection, Open, Recorded
from gilplan.model.cold_start import ColdStart
from gilplan.model.contention import SharedOperation
from gilplan.model.durations import Deterministic, Duration, Empirical, Exponential, Lognormal
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.observed import Observed
from gilplan.model.seen_on import SeenOn
from gilplan.model.units import parse_rate, parse_share, parse_size, parse_time
from gilplan.model.workload import Collections, Segment, SegmentKind, Task, Work, Workload


def did_you_mean(name: str, known: list[str]) -> str:
    """Return a hint: the nearest known name, or all of them when none is near."""
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, table: Any) -> Any:
        known = list(cls.model_fields)
        for key in table if isinstance(table, dict) else ():
            if key not in known:
                raise InvalidValue(key, "a known key", key, did_you_mean(key, known))
        return table

    @model_validator(mode="after")
    def _keep_the_domain_rules(self, info: ValidationInfo) -> "_Table":
        self.to_domain()
        return self

    def to_domain(self) -> object:
        """Return what the table describes. Raises `InvalidValue` where keys contradict."""
        raise NotImplementedError


Time = Annotated[float, BeforeValidator(parse_time)]
Size = Annotated[float, BeforeValidator(parse_size)]
Rate = Annotated[float, BeforeValidator(parse_rate)]
Share = Annotated[float, BeforeValidator(parse_share)]
Count = Annotated[float, Strict(False)]


class DeterministicTable(_Table):
    distribution: Literal["deterministic"]
    value: Time

    def to_domain(self) -> Duration:
        return Deterministic(self.value)


class ExponentialTable(_Table):
    distribution: Literal["exponential"]
    mean: Time

    def to_domain(self) -> Duration:
        return Exponential(self.mean)


class LognormalTable(_Table):
    distribution: Literal["lognormal"]
    median: Time
    sigma: float

    def to_domain(self) -> Duration:
        return Lognormal(self.median, self.sigma)


class EmpiricalTable(_Table):
    distribution: Literal["empirical"]
    samples: list[Time]

    def to_domain(self) -> Duration:
        return Empirical(tuple(self.samples))


def _distribution(value: object) -> str:
    """Name the form a duration is given in; a table without a distribution is unknown."""
    if isinstance(value, dict):
        return str(value.get("distribution", ""))
    return value.distribution if isinstance(value, _Table) else "time"  # type: ignore[attr-defined]


DurationTable = Annotated[
    Annotated[Time, Tag("time")]
    | Annotated[DeterministicTable, Tag("deterministic")]
    | Annotated[ExponentialTable, Tag("exponential")]
    | Annotated[LognormalTable, Tag("lognormal")]
    | Annotated[EmpiricalTable, Tag("empirical")],
    Discriminator(_distribution),
]


def _duration(given: float | _Table | None) -> Duration | None:
    if given is None or isinstance(given, _Table):
        return given.to_domain() if given else None  # type: ignore[return-value]
    return Deterministic(given)


class SegmentTable(_Table):
    kind: Annotated[SegmentKind, Strict(False)]
    name: str = ""
    duration: DurationTable | None = None
    work: Annotated[Work, Strict(False)] | None = None
    lock: str = ""
    inner: "list[SegmentTable]" = []
    uninterruptible: DurationTable | None = None

    def to_domain(self) -> Segment:
        return Segment(
            kind=self.kind,
            name=self.name,
            duration=_duration(self.duration),
            work=self.work,
            lock=self.lock,
            inner=tuple(segment.to_domain() for segment in self.inner),
            uninterruptible=_duration(self.uninterruptible),
        )


class TaskTable(_Table):
    name: str
    segments: list[SegmentTable]
    weight: float = 1.0
    payload_in: Size = 0.0
    payload_out: Size = 0.0
    allocation_rate: Rate = 0.0
    garbage_share: Share = 0.0
    shared_share: Share = 0.0
    shared_operation: Annotated[SharedOperation, Strict(False)] | None = None
    together: bool = False

    def to_domain(self) -> Task:
        return Task(
            name=self.name,
            segments=tuple(segment.to_domain() for segment in self.segments),
            weight=self.weight,
            payload_in=self.payload_in,
            payload_out=self.payload_out,
            allocation_rate=self.allocation_rate,
            garbage_share=self.garbage_share,
            shared_share=self.shared_share,
            shared_operation=self.shared_operation,
            together=self.together,
        )


class ColdCallsTable(_Table):
    pauses: list[Time]
    sends: list[Time]
    receives: list[Time]

    def to_domain(self) -> ColdCalls:
        return ColdCalls(
            pauses=tuple(self.pauses), sends=tuple(self.sends), receives=tuple(self.receives)
        )


class ConnectionTable(_Table):
    send_time: Time
    receive_time: Time
    client_time: Time
    cold_calls: ColdCallsTable | None = None

    def to_domain(self) -> Connection:
        return Connection(
            send_time=self.send_time,
            receive_time=self.receive_time,
            client_time=self.client_time,
            cold_calls=None if self.cold_calls is None else self.cold_calls.to_domain(),
        )


class ClosedTable(_Table):
    kind: Literal["closed"]
    population: int | None = None
    think_time: DurationTable = 0.0
    connection: ConnectionTable | None = None

    def to_domain(self) -> Arrivals:
        think_time = _duration(self.think_time) or Deterministic(0.0)
        connection = None if self.connection is None else self.connection.to_domain()
        return Closed(population=self.population, think_time=think_time, connection=connection)


class OpenTable(_Table):
    kind: Literal["open"]
    rate: Rate
    process: Literal["poisson", "even"] = "poisson"

    def to_domain(self) -> Arrivals:
        return Open(rate=self.rate, poisson=self.process == "poisson")


class BatchTable(_Table):
    kind: Literal["batch"]
    jobs: int

    def to_domain(self) -> Arrivals:
        return Batch(jobs=self.jobs)


class RecordedTable(_Table):
    """Instants in the file itself, or the name of a CSV with a column ``arrived_at``."""

    kind: Literal["recorded"]
    arrived_at: list[Time] | None = None
    file: str | None = None

    def to_domain(self) -> Arrivals | None:
        """Return the arrivals, None where they are in another file."""
        if (self.arrived_at is None) == (self.file is None):
            raise InvalidValue(
                "arrived_at", "given, or file, and not both", self.arrived_at or self.file
            )
        return None if self.arrived_at is None else Recorded(arrived_at=tuple(self.arrived_at))


ArrivalsTable = Annotated[
    ClosedTable | OpenTable | BatchTable | RecordedTable, Field(discriminator="kind")
]


class ColdStartTable(_Table):
    crowded: Annotated[float, Strict(False)]
    growth: Annotated[float, Strict(False)]
    moved: Annotated[float, Strict(False)] = 0.0
    halved_after: Time

    def to_domain(self) -> ColdStart:
        return ColdStart(
            crowded=self.crowded,
            growth=self.growth,
            moved=self.moved,
            halved_after=self.halved_after,
        )


class _EstimateTable(_Table):
    """A value with its interval, in the unit that the sub-class names."""

    source: str
    flags: list[str] = []

    def to_domain(self) -> Estimate:
        ends = {name: getattr(self, name) for name in ("value", "lower", "upper")}
        return Estimate(**ends, source=self.source, flags=tuple(self.flags))


class ShareEstimateTable(_EstimateTable):
    value: Share
    lower: Share
    upper: Share


class TimeEstimateTable(_EstimateTable):
    value: Time
    lower: Time
    upper: Time


class RateEstimateTable(_EstimateTable):
    value: Rate
    lower: Rate
    upper: Rate


class SizeEstimateTable(_EstimateTable):
    value: Size
    lower: Size
    upper: Size


class ObservedTable(_Table):
    """How sure what was observed is: `Observed`."""

    method: str
    tasks: int
    held_share: ShareEstimateTable
    released_share: ShareEstimateTable
    blocked_share: ShareEstimateTable
    task_time: TimeEstimateTable
    uninterruptible_time: TimeEstimateTable | None = None
    allocation_rate: RateEstimateTable | None = None
    payload_in: SizeEstimateTable | None = None
    payload_out: SizeEstimateTable | None = None

    def to_domain(self) -> Observed:
        estimates: dict[str, Any] = {
            name: value.to_domain()
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), _EstimateTable)
        }
        return Observed(method=self.method, tasks=self.tasks, **estimates)


class RatioEstimateTable(_EstimateTable):
    value: Count
    lower: Count
    upper: Count


class SeenOnTable(_Table):
    """What running the program on another build told: `SeenOn`."""

    build: str
    relative_time: RatioEstimateTable
    sharing: RatioEstimateTable | None = None

    def to_domain(self) -> SeenOn:
        return SeenOn(
            build=self.build,
            relative_time=self.relative_time.to_domain(),
            sharing=self.sharing.to_domain() if self.sharing else None,
        )


class WorkloadTable(_Table):
    """A whole file."""

    name: str
    build: str = ""
    source: str = ""
    cold_start: ColdStartTable | None = None
    live_objects: Count = 0.0
    untracked_objects: Count = 0.0
    collections: Annotated[Collections, Strict(False)] = Collections.INCLUDED
    observed: ObservedTable | None = None
    arrivals: ArrivalsTable | None = None
    tasks: list[TaskTable]
    background: list[TaskTable] = []
    seen_on: list[SeenOnTable] = []

    def to_domain(self) -> Workload:
        return Workload(
            name=self.name,
            tasks=tuple(task.to_domain() for task in self.tasks),
            build=self.build,
            source=self.source,
            cold_start=self.cold_start.to_domain() if self.cold_start else None,
            live_objects=self.live_objects,
            untracked_objects=self.untracked_objects,
            collections=self.collections,
            observed=self.observed.to_domain() if self.observed else None,
            background=tuple(task.to_domain() for task in self.background),
            seen_on=tuple(seen.to_domain() for seen in self.seen_on),
        )
