"""Knees and crossings: curves with known ones, and none where there is none to tell."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gilplan.planner.sweeps.crossings import crossings
from gilplan.planner.sweeps.knees import knees
from gilplan.planner.sweeps.tables import crossing_lines, knee_lines

Floats = np.ndarray[Any, np.dtype[np.float64]]
INTERVALS = np.geomspace(1e-4, 5e-2, 12)
#: Half-width of a 90 % interval, relative; the noise drawn on the curves is of that size.
PRECISION = 0.0165


def frame(
    *curves: Callable[[Floats], Floats], x: Floats = INTERVALS, field: str = "switch_interval",
    noise: float = 1.0,
) -> pd.DataFrame:  # fmt: skip
    """Make a sweep's frame of the curves' throughputs along a field."""
    rng = np.random.default_rng(1)
    rows = []
    for number, curve in enumerate(curves):
        values = curve(x) * (1 + noise * PRECISION / 1.645 * rng.standard_normal(len(x)))
        for at, value in zip(x, values, strict=True):
            ends = (1.0, 1 - PRECISION, 1 + PRECISION)
            names = ("", "_lower", "_upper")
            row = {"series": f"layout {number}", field: at}
            row |= {f"throughput{n}": value * e for n, e in zip(names, ends, strict=True)}
            row |= {f"response_time_p99{n}": e / value for n, e in zip(names, ends, strict=True)}
            rows.append(row)
    made = pd.DataFrame(rows)
    made.attrs.update(axes=[field], seed=0)
    return made


def convoy(interval: Floats) -> Floats:
    """A task of a millisecond that waits for half an interval: bends at 2 ms."""
    return 1 / (1e-3 + interval / 2)


def hinge(interval: Floats) -> Floats:
    return 500 * np.maximum(interval / 3e-3, 1.0) ** -0.5


def peak(interval: Floats) -> Floats:
    return 500 - 40 * np.abs(np.log2(interval / 1e-3))


@pytest.mark.parametrize(("curve", "at"), [(convoy, 2e-3), (hinge, 3e-3), (peak, 1e-3)])
def test_a_known_knee_is_found_within_its_interval(
    curve: Callable[[Floats], Floats], at: float
) -> None:
    for knee in knees(frame(curve)):
        assert knee.reason == ""
        assert knee.lower <= at <= knee.upper
        assert knee.lower <= knee.at <= knee.upper
        assert knee.upper / knee.lower < 5


def test_a_knee_tells_the_slopes_on_either_side() -> None:
    throughput, p99 = knees(frame(hinge))
    assert throughput.below == pytest.approx(0.0, abs=0.02)
    assert throughput.above == pytest.approx(2**-0.5 - 1, abs=0.03)
    assert p99.above == pytest.approx(2**0.5 - 1, abs=0.06)
    (line, _) = knee_lines([throughput, p99])
    assert line.startswith("knee of throughput at switch_interval 3.07 ms [")
    assert line.endswith("% above: layout 0")


def test_where_the_range_ends_does_not_move_the_knee() -> None:
    for x in (np.geomspace(1e-4, 1e-2, 12), np.geomspace(5e-4, 5e-2, 12)):
        for knee in knees(frame(hinge, x=x)):
            assert knee.lower <= 3e-3 <= knee.upper


def test_no_knee_is_named_where_there_is_none() -> None:
    flat = frame(lambda x: np.full_like(x, 500.0), noise=0.3)
    straight = frame(lambda x: x**-0.3)
    short = frame(hinge, x=np.geomspace(1e-3, 9e-3, 4))
    for made, reason in (
        (flat, "flat within its uncertainty"),
        (straight, "bends less than its uncertainty"),
        (short, "needs 5 values above zero or more"),
    ):
        assert {knee.reason for knee in knees(made)} == {reason}
        assert {knee.at for knee in knees(made)} == {None}
    assert "no knee of throughput against switch_interval, flat" in knee_lines(knees(flat))[0]
    assert knees(frame(hinge, field="rate")) == []


def test_a_crossing_lies_between_the_last_sure_values() -> None:
    made = frame(convoy, lambda x: np.full_like(x, 1 / 1.5e-3))
    for crossing in crossings(made):
        assert (crossing.below, crossing.above) == ("layout 0", "layout 1")
        assert crossing.lower <= 1e-3 <= crossing.upper
        assert crossing.at == pytest.approx(1e-3, rel=0.2)
        assert {crossing.lower, crossing.upper} <= set(INTERVALS)
    assert [crossing.measure for crossing in crossings(made)] == [
        "throughput",
        "response_time_p99",
    ]
    (line, _) = crossing_lines(crossings(made))
    assert "layout 0 is better below, layout 1 above" in line


def test_curves_that_cannot_be_told_apart_do_not_cross() -> None:
    flat = [lambda x: np.full_like(x, 500.0)] * 2
    assert crossings(frame(*flat, noise=0.5)) == []


def test_a_curve_that_crosses_twice_is_told_twice() -> None:
    made = frame(peak, lambda x: np.full_like(x, 450.0), noise=0.2)
    both = [each for each in crossings(made) if each.measure == "throughput"]
    assert [(each.below, each.above) for each in both] == [
        ("layout 1", "layout 0"),
        ("layout 0", "layout 1"),
    ]


def test_only_curves_of_the_same_program_are_compared() -> None:
    one = frame(convoy).assign(rate=100.0)
    other = frame(lambda x: np.full_like(x, 1 / 1.5e-3)).assign(rate=200.0, series="layout 1")
    made = pd.concat([one, other])
    made.attrs.update(axes=["switch_interval", "rate"], seed=0)
    assert crossings(made) == []
    made["rate"] = 100.0
    assert {each.program for each in crossings(made)} == {(("rate", 100.0),)}
