"""Numbers as people read them."""

import pytest

from gilplan.model.statistics import Interval
from gilplan.planner.formatting import (
    format_interval,
    format_number,
    format_share_interval,
    format_size,
    format_size_interval,
    format_time,
    format_time_interval,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.005, "5.0 ms"),
        (0.00502, "5.02 ms"),
        (250e-6, "250 us"),
        (12.345, "12.3 s"),
        (1e-9, "1.0 ns"),
        (0.0, "0.0 s"),
        (0.00099999, "1.0 ms"),
        (4321.0, "4,321 s"),
    ],
)
def test_times_are_shown_in_the_unit_that_suits(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


def test_sizes_are_shown_in_binary_units() -> None:
    assert format_size(12.5 * 2**20) == "12.5 MiB"
    assert format_size(100) == "100 B"


def test_numbers_have_three_significant_digits() -> None:
    assert [format_number(n) for n in (0.01234, 1.9, 41.25, 412.5, 4125.0)] == [
        "0.0123",
        "1.9",
        "41.2",
        "412",
        "4,125",
    ]


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(mean=41.23, lower=40.6, upper=41.86), "41.2 ± 0.6"),
        (Interval(mean=41.23, lower=41.22, upper=41.24), "41.2 ± 0.1"),
        (Interval(mean=41.23, lower=41.23, upper=41.23), "41.2 ± 0.0"),
        (Interval(mean=41.23, lower=40.6, upper=44.3), "41.2 -0.6/+3.1"),
        (Interval(mean=1234.4, lower=1180, upper=1288.8), "1,234 ± 54"),
        (Interval(mean=5.0, lower=float("-inf"), upper=float("inf")), "5.00 ± inf"),
    ],
)
def test_intervals_are_shown_at_the_precision_of_the_mean(interval: Interval, text: str) -> None:
    assert format_interval(interval) == text


def test_an_interval_has_one_unit() -> None:
    assert format_time_interval(Interval(mean=0.00502, lower=0.00499, upper=0.00505)) == (
        "5.02 ± 0.03 ms"
    )
    size = Interval(mean=24.1 * 2**20, lower=23.8 * 2**20, upper=24.4 * 2**20)
    assert format_size_interval(size) == "24.1 ± 0.3 MiB"
    assert format_share_interval(Interval(mean=0.87, lower=0.85, upper=0.89)) == "87 ± 2 %"
    assert format_share_interval(Interval(mean=0.012, lower=0.01, upper=0.014)) == "1.2 ± 0.2 %"
