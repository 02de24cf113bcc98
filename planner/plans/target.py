"""What a plan must reach: rate, response times, memory, cores, growth, losses survived."""

import itertools
import re
from dataclasses import dataclass

from gilplan.model.checks import require_count, require_finite, require_positive
from gilplan.model.errors import InvalidValue
from gilplan.model.units import parse_time

#: What a limit can be set on, from the lowest to the highest.
PERCENTILES = ("p50", "p95", "p99")
MEASURES = ("mean", *PERCENTILES)
EXAMPLE = '"p99<50ms"'

_SLO = re.compile(r"\s*(?P<measure>\w+)\s*(?P<sign><=|<|>=|>|=)\s*(?P<limit>.*?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """A service-level objective: ``measure`` of the response time below ``limit`` seconds."""

    measure: str
    limit: float

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InvalidValue("slo", f"on one of {', '.join(MEASURES)}", self.measure)
        require_positive(f"slo {self.measure}", self.limit)

    def __str__(self) -> str:
        milliseconds = self.limit * 1e3
        return f"{self.measure}<{milliseconds:g}ms"


def parse_slo(text: str) -> Slo:
    """Read a text such as ``"p99<50ms"``. Raises `InvalidValue`."""
    match = _SLO.fullmatch(text)
    if match is None:
        raise InvalidValue("slo", f"like {EXAMPLE}", text)
    if not match["sign"].startswith("<"):
        raise InvalidValue("slo", f"an upper limit, like {EXAMPLE}", text)
    if match["measure"] not in MEASURES:
        raise InvalidValue("slo", f"on one of {', '.join(MEASURES)}", match["measure"])
    return Slo(measure=match["measure"], limit=parse_time(match["limit"], f"slo {text!r}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the layout must carry, and what it may take.

    ``rate`` is in tasks per second, None for as many as possible; ``growth`` the share by which
    the rate will rise; ``memory`` in bytes, None for any amount; ``survive`` how many of the
    processes may be lost with the target still met.

    Raises `InvalidValue` for demands that contradict each other.
    """

    rate: float | None = None
    slos: tuple[Slo, ...] = ()
    memory: float | None = None
    cores_up_to: int
    growth: float = 0.0
    survive: int = 0

    def __post_init__(self) -> None:
        require_count("cores_up_to", self.cores_up_to)
        require_count("survive", self.survive, least=0)
        require_finite("growth", self.growth)
        if self.rate is not None:
            require_positive("rate", self.rate)
        elif self.growth:
            raise InvalidValue(
                "growth", "absent without a rate to grow from", self.growth, "add --rate"
            )
        if self.memory is not None:
            require_positive("memory", self.memory)
        self._check_slos()

    def _check_slos(self) -> None:
        limits: dict[str, Slo] = {}
        for slo in self.slos:
            if slo.measure in limits:
                raise InvalidValue(
                    "slo",
                    f"given once for {slo.measure}",
                    f"{limits[slo.measure]} and {slo}",
                    "keep the one that you mean",
                )
            limits[slo.measure] = slo
        given = [limits[name] for name in PERCENTILES if name in limits]
        for lower, upper in itertools.pairwise(given):
            if lower.limit > upper.limit:
                raise InvalidValue(
                    "slo",
                    f"no looser for {lower.measure} than for {upper.measure}",
                    f"{lower} and {upper}",
                    f"{upper.measure} is never below {lower.measure}: swap the limits, or drop one",
                )

    @property
    def peak_rate(self) -> float | None:
        """The rate with its growth."""
        return None if self.rate is None else self.rate * (1 + self.growth)

    def __str__(self) -> str:
        rate = "as many tasks/s as possible" if self.rate is None else f"{self.rate:,.6g} tasks/s"
        parts = [rate, *(str(slo) for slo in self.slos)]
        if self.growth:
            parts.append(f"growth {self.growth:.0%}")
        if self.memory is not None:
            parts.append(f"memory up to {self.memory / 2**20:,.0f} MiB")
        parts.append(f"up to {self.cores_up_to} cores")
        if self.survive:
            parts.append(f"with {self.survive} processes lost")
        return ", ".join(parts)
