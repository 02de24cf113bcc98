"""How far predictions were from reality in the last validation: a part of later intervals.

The simulation's noise and the doubt about its parameters say nothing of what the model leaves
out. What does is the error on programs and layouts that calibration had not seen. Where layouts
are loaded alike, the errors of the last validation are taken for those of the next prediction
(split conformal prediction: Vovk, Gammerman and Shafer 2005; Lei et al. 2018): an interval of
half-width q covers the next measurement with probability 0.9 when q is the ceil(0.9 (n + 1))-th
smallest of n relative errors. They contain the measurement's own scatter: the interval is one for
what a measurement would find.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import ceil, hypot
from typing import Protocol

from gilplan.model.errors import InvalidValue
from gilplan.model.layout import GilMode, Layout
from gilplan.model.statistics import Interval

LEVEL = 0.9
#: A regime with fewer validated layouts takes the errors of all.
LEAST_CELLS = 20
SHORT_INTERVAL = 0.001
MEASURES = ("throughput", "p50", "p95", "p99")
ALL = "all layouts"


class Regime(Enum):
    """What the workers of a layout compete for: where the model's approximations matter."""

    NOTHING = "a core and a GIL for each worker"
    CORES = "more workers than cores"
    GIL = "several workers behind a GIL"
    SHORT_INTERVAL = "several workers behind a GIL, switch interval below 1 ms"

    @classmethod
    def of(cls, layout: Layout, cores: int) -> "Regime":
        """Return the regime of a layout on a machine of so many cores."""
        usable = cores if layout.cores is None else min(layout.cores, cores)
        shared = layout.interpreters if layout.gil is GilMode.SHARED else 1
        if layout.gil is not GilMode.DISABLED and layout.threads * shared > 1:
            short = layout.effective_switch_interval < SHORT_INTERVAL
            return cls.SHORT_INTERVAL if short else cls.GIL
        return cls.CORES if layout.workers > usable else cls.NOTHING


class Validated(Protocol):
    """One cell of a validation, as far as it matters here."""

    @property
    def program(self) -> str: ...

    @property
    def regime(self) -> str: ...

    def relative_error(self, measure: str) -> float | None:
        """Return (measured - predicted) / predicted of one of `MEASURES`, None where unknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelError:
    """Half-widths of 90 % intervals, relative to the prediction, by measure and regime.

    ``half_widths``: by measure ("throughput", "p50", "p95", "p99"), then by a regime's name or
    "all layouts". ``cells`` is how many validated layouts they come from.
    """

    half_widths: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cells: int

    @classmethod
    def of(cls, cells: Sequence[Validated]) -> "ModelError":
        """Return the errors of a validation's cells. Raises `InvalidValue` with too few."""
        half_widths: dict[str, dict[str, float]] = {}
        for measure in MEASURES:
            everywhere = _errors(cells, measure)
            if len(everywhere) < LEAST_CELLS:
                continue
            found = {ALL: _conformal(everywhere)}
            for regime in Regime:
                errors = _errors((cell for cell in cells if cell.regime == regime.value), measure)
                if len(errors) >= LEAST_CELLS:
                    found[regime.value] = _conformal(errors)
            half_widths[measure] = found
        if "throughput" not in half_widths:
            raise InvalidValue(
                "validation",
                f"at least {LEAST_CELLS} layouts to say how far predictions are from reality",
                len(cells),
            )
        return cls(half_widths=half_widths, cells=len(cells))

    def widened(self, measure: str, interval: Interval, regime: Regime) -> Interval:
        """Return the interval with the model's error joined to its half-width."""
        by_regime = self.half_widths.get(measure)
        if by_regime is None:
            return interval
        relative = by_regime.get(regime.value, by_regime[ALL])
        half = hypot(interval.half_width, relative * interval.mean)
        return Interval(mean=interval.mean, lower=interval.mean - half, upper=interval.mean + half)


def held_out(cells: Sequence[Validated]) -> Callable[[Validated], ModelError | None]:
    """Return what gives each cell the errors of all other programs; None where too few are left.

    The only honest interval for a program of the validation itself.
    """
    by_program: dict[str, ModelError | None] = {}
    for program in {cell.program for cell in cells}:
        others = [cell for cell in cells if cell.program != program]
        enough = len(_errors(others, "throughput")) >= LEAST_CELLS
        by_program[program] = ModelError.of(others) if enough else None
    return lambda cell: by_program[cell.program]


def _errors(cells: Iterable[Validated], measure: str) -> list[float]:
    errors = (cell.relative_error(measure) for cell in cells)
    return sorted(abs(error) for error in errors if error is not None)


def _conformal(errors: Sequence[float]) -> float:
    rank = min(ceil(LEVEL * (len(errors) + 1)), len(errors))
    return errors[rank - 1]
