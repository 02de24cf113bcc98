"""How tasks come to the program."""

from dataclasses import dataclass, field

from gilplan.model.checks import require_count, require_finite, require_positive
from gilplan.model.durations import Deterministic, Duration, Exponential
from gilplan.model.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdCalls:
    """How much longer a call takes after a pause in which its thread made none.

    The way through the kernel has left the caches meanwhile, which hardly depends on who was on the
    core. ``pauses``: increasing seconds, ``(k,)``; ``sends`` and ``receives``: seconds more, one
    each. In between they are interpolated in the logarithm; below the shortest pause they fall in
    proportion, beyond the longest they stay.
    """

    pauses: tuple[float, ...]
    sends: tuple[float, ...]
    receives: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.pauses) == len(self.sends) == len(self.receives) > 0:
            raise InvalidValue("pauses", "with one send and one receive each", self.pauses)
        if self.pauses[0] <= 0 or list(self.pauses) != sorted(set(self.pauses)):
            raise InvalidValue("pauses", "above 0, in increasing order", self.pauses)
        if min(self.sends + self.receives) < 0:
            raise InvalidValue("sends, receives", "at least 0", self.sends + self.receives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A socket between each worker and a client of its own, which runs on the same cores.

    ``send_time`` and ``receive_time`` are the processor time of the calls, which both sides make,
    without what they wait; ``client_time`` is the client's own between an answer and its next
    request. Seconds. ``cold_calls`` says how much more calls take after a pause, None: nothing.
    """

    send_time: float
    receive_time: float
    client_time: float
    cold_calls: ColdCalls | None = None

    @property
    def processor_time(self) -> float:
        """What both sides' calls and the client take for one task."""
        return 2 * (self.send_time + self.receive_time) + self.client_time

    def __post_init__(self) -> None:
        require_positive("send_time", self.send_time)
        require_positive("receive_time", self.receive_time)
        require_positive("client_time", self.client_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A fixed population of clients: each thinks, submits one task, waits for its end.

    ``population`` None means one client per worker thread, the saturated closed loop. Clients are
    elsewhere and cost nothing here unless there is a ``connection`` to them.
    """

    population: int | None = None
    think_time: Duration = field(default_factory=lambda: Deterministic(0.0))
    connection: Connection | None = None

    def __post_init__(self) -> None:
        if self.population is not None:
            require_count("population", self.population)
        if self.connection is None:
            return
        rule = "without population and think_time: each worker has one client, which computes"
        if self.population is not None:
            raise InvalidValue("connection", rule, f"{self.population} clients")
        if self.think_time.mean > 0:
            raise InvalidValue("connection", rule, "clients that think")


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A stream of tasks that does not wait for the program: Poisson, or evenly spaced."""

    rate: float
    poisson: bool = True

    def __post_init__(self) -> None:
        require_positive("rate", self.rate)

    @property
    def gap(self) -> Duration:
        """The distribution of the time between two arrivals."""
        return Exponential(1 / self.rate) if self.poisson else Deterministic(1 / self.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All jobs are there at the start; the answer is the makespan."""

    jobs: int

    def __post_init__(self) -> None:
        require_count("jobs", self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Arrival instants as recorded, replayed once: ``(n,)`` seconds, not decreasing."""

    arrived_at: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.arrived_at:
            raise InvalidValue("arrived_at", "at least one instant", [])
        for instant in self.arrived_at:
            require_finite("arrived_at", instant)
        if any(b < a for a, b in zip(self.arrived_at, self.arrived_at[1:], strict=False)):
            raise InvalidValue("arrived_at", "in increasing order", "a decreasing instant")


Arrivals = Closed | Open | Batch | Recorded
