"""Intervals that hold the model's own error, as a validation has shown it."""

from dataclasses import dataclass

import numpy as np
import pytest

from gilplan.calibration.model_error import LEAST_CELLS, ModelError, Regime, held_out
from gilplan.model.errors import InvalidValue
from gilplan.model.layout import GilMode, Layout
from gilplan.model.statistics import Interval


@dataclass(frozen=True)
class Cell:
    program: str
    regime: str
    error: float

    def relative_error(self, measure: str) -> float | None:
        return self.error if measure == "throughput" else None


def cells(count: int, spread: float, regime: Regime, seed: int = 1) -> list[Cell]:
    errors = np.random.default_rng(seed).normal(0, spread, count)
    return [Cell(f"program {n % 6}", regime.value, error) for n, error in enumerate(errors)]


def interval(mean: float, half: float) -> Interval:
    return Interval(mean=mean, lower=mean - half, upper=mean + half)


def layout(**fields: object) -> Layout:
    return Layout(**{"build": "3.13.0", "gil": GilMode.OWN, **fields})


def test_nine_of_ten_new_errors_of_the_same_kind_are_inside():
    known = ModelError.of(cells(300, 0.05, Regime.GIL))
    half = known.widened("throughput", interval(1.0, 0.0), Regime.GIL).half_width
    new = np.random.default_rng(2).normal(0, 0.05, 20_000)
    assert np.mean(np.abs(new) <= half) == pytest.approx(0.9, abs=0.03)


def test_regimes_have_their_own_errors():
    known = ModelError.of(cells(50, 0.02, Regime.NOTHING) + cells(50, 0.2, Regime.SHORT_INTERVAL))
    quiet = known.widened("throughput", interval(1.0, 0.0), Regime.NOTHING).half_width
    loud = known.widened("throughput", interval(1.0, 0.0), Regime.SHORT_INTERVAL).half_width
    assert quiet < 0.06
    assert loud > 0.2


def test_regime_with_few_cells_takes_the_errors_of_all():
    few = cells(LEAST_CELLS - 1, 0.01, Regime.CORES)
    known = ModelError.of(few + cells(100, 0.2, Regime.GIL))
    assert known.widened("throughput", interval(1.0, 0.0), Regime.CORES).half_width > 0.1


def test_error_is_joined_to_what_the_interval_had():
    known = ModelError.of([Cell("p", Regime.GIL.value, 0.3)] * LEAST_CELLS)
    widened = known.widened("throughput", interval(10.0, 4.0), Regime.GIL)
    assert widened.half_width == pytest.approx(5.0)
    assert widened.mean == 10.0


def test_measure_that_was_not_validated_keeps_its_interval():
    known = ModelError.of(cells(40, 0.1, Regime.GIL))
    assert known.widened("p99", interval(1.0, 0.1), Regime.GIL) == interval(1.0, 0.1)


def test_program_is_not_judged_by_its_own_errors():
    good = [Cell("good", Regime.GIL.value, 0.01)] * 30
    bad = [Cell("bad", Regime.GIL.value, 0.5)] * 30
    beside = held_out(good + bad)
    of_bad, of_good = beside(bad[0]), beside(good[0])
    assert of_bad is not None
    assert of_good is not None
    assert of_bad.half_widths["throughput"][Regime.GIL.value] == 0.01
    assert of_good.half_widths["throughput"][Regime.GIL.value] == 0.5


def test_too_few_cells_say_nothing():
    with pytest.raises(InvalidValue, match="at least"):
        ModelError.of(cells(LEAST_CELLS - 1, 0.1, Regime.GIL))
    lone = cells(LEAST_CELLS, 0.1, Regime.GIL)
    assert held_out(lone)(lone[0]) is None


@pytest.mark.parametrize(
    ("fields", "regime"),
    [
        ({}, Regime.NOTHING),
        ({"interpreters": 2}, Regime.NOTHING),
        ({"interpreters": 4}, Regime.CORES),
        ({"processes": 2, "cores": 1}, Regime.CORES),
        ({"threads": 2}, Regime.GIL),
        ({"interpreters": 2, "gil": GilMode.SHARED}, Regime.GIL),
        ({"threads": 2, "switch_interval": 0.0005}, Regime.SHORT_INTERVAL),
        ({"threads": 2, "gil": GilMode.DISABLED, "build": "3.13.5t"}, Regime.NOTHING),
        ({"threads": 8, "gil": GilMode.DISABLED, "build": "3.13.5t"}, Regime.CORES),
    ],
)
def test_regime_is_what_the_workers_compete_for(fields, regime):
    assert Regime.of(layout(**fields), cores=2) is regime
