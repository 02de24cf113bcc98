"""Distributions of the length of one stretch of work, in seconds."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gilplan.model.checks import require_finite, require_positive
from gilplan.model.errors import InvalidValue


class Duration(Protocol):
    """A distribution of times. Every implementation is frozen, hashable and picklable."""

    @property
    def mean(self) -> float:
        """The expected time."""
        ...

    def draw(self, count: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw ``count`` independent times: ``(count,)`` seconds."""
        ...

    def scaled(self, factor: float) -> "Duration":
        """Return the distribution of ``factor`` times this duration."""
        ...


@dataclass(frozen=True, slots=True)
class Deterministic:
    """Always the same time."""

    value: float

    def __post_init__(self) -> None:
        require_finite("duration", self.value)

    @property
    def mean(self) -> float:
        return self.value

    def draw(self, count: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
        return np.full(count, self.value)

    def scaled(self, factor: float) -> "Deterministic":
        return Deterministic(self.value * factor)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless times with the given mean."""

    average: float

    def __post_init__(self) -> None:
        require_positive("mean", self.average)

    @property
    def mean(self) -> float:
        return self.average

    def draw(self, count: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.exponential(self.average, count)

    def scaled(self, factor: float) -> "Exponential":
        return Exponential(self.average * factor)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Times whose logarithm is normal: ``median * exp(sigma * Z)``."""

    median: float
    sigma: float

    def __post_init__(self) -> None:
        require_positive("median", self.median)
        require_finite("sigma", self.sigma)

    @property
    def mean(self) -> float:
        return self.median * math.exp(self.sigma**2 / 2)

    def draw(self, count: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
        return self.median * np.exp(self.sigma * rng.standard_normal(count))

    def scaled(self, factor: float) -> "Lognormal":
        return Lognormal(self.median * factor, self.sigma)


@dataclass(frozen=True, slots=True)
class Empirical:
    """Measured times, drawn again with replacement."""

    samples: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise InvalidValue("samples", "at least one time", [])
        for sample in self.samples:
            require_finite("samples", sample)

    @property
    def mean(self) -> float:
        return math.fsum(self.samples) / len(self.samples)

    def draw(self, count: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.choice(np.asarray(self.samples), count)

    def scaled(self, factor: float) -> "Empirical":
        return Empirical(tuple(sample * factor for sample in self.samples))
