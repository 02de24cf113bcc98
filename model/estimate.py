"""A number that was measured: its value, how sure it is, and where it comes from."""

from dataclasses import dataclass, replace

import numpy as np

from gilplan.model.errors import InvalidValue

AT_BOUND = "at bound"
NOT_IDENTIFIABLE = "not identifiable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with a 90 % interval, in base units.

    ``source`` names the kernel or method that gave it; ``residual`` is the fit's relative
    root-mean-square residual (None where nothing was fitted); ``flags`` hold doubts, such as
    ``"at bound"`` and ``"not identifiable"``.
    """

    value: float
    lower: float
    upper: float
    source: str
    residual: float | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.lower <= self.value <= self.upper:
            raise InvalidValue(
                "estimate", "inside its interval", f"{self.value} in [{self.lower}, {self.upper}]"
            )

    @classmethod
    def exact(cls, value: float, source: str) -> "Estimate":
        """A number without uncertainty: read from a setting, not measured."""
        return cls(value=value, lower=value, upper=value, source=source)

    @property
    def half_width(self) -> float:
        return (self.upper - self.lower) / 2

    def redrawn(self, rng: np.random.Generator) -> "Estimate":
        """Draw a plausible value: normal on each side, the interval's ends at 5 % and 95 %."""
        z = rng.standard_normal()
        side = self.upper - self.value if z > 0 else self.value - self.lower
        floor = 0.0 if self.lower >= 0 else -np.inf
        value = float(max(floor, self.value + z * side / 1.6448536269514722))
        return replace(
            self, value=value, lower=min(value, self.lower), upper=max(value, self.upper)
        )
