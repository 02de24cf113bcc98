"""Quantities as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gilplan.model.errors import InvalidValue
from gilplan.model.units import (
    TIME_UNITS,
    parse_rate,
    parse_share,
    parse_size,
    parse_time,
    size_text,
    time_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250us", 250e-6),
        ("250 µs", 250e-6),
        ("4ms", 4e-3),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("1e3ns", 1e-6),
        ("2min", 120.0),
        ("0ms", 0.0),
    ],
)
def test_times_are_read_into_seconds(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("2KiB", 2048), ("4GiB", 4 * 2**30), ("5MB", 5e6), ("12B", 12)]
)
def test_sizes_are_read_into_bytes(text: str, size: float) -> None:
    assert parse_size(text) == size


def test_shares_are_numbers_or_percentages() -> None:
    assert parse_share("30%") == pytest.approx(0.3)
    assert parse_share(0.3) == 0.3
    assert parse_share("0.3") == 0.3


def test_rates_are_per_second_unless_they_say_otherwise() -> None:
    assert parse_rate(200) == 200
    assert parse_rate("200/s") == 200
    assert parse_rate("600/min") == pytest.approx(10)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("4", "give a unit: ns, us, ms, s, min, h"),
        (4, "give a unit"),
        (True, 'a time such as "250us" or "4ms"'),
        ("4KiB", "'KiB' is not one of the units"),
        ("4 parsecs", "'parsecs' is not one of the units"),
        ("ms", "got 'ms'"),
        ("", "got ''"),
        ("-4ms", ">= 0"),
        ("nan s", "finite"),
        ("inf s", "finite"),
        (float("nan"), "got nan"),
        ("1.2.3s", "got '1.2.3s'"),
        ("1e999999999s", "finite"),
    ],
)
def test_a_wrong_time_is_told_with_field_rule_and_value(text: object, part: str) -> None:
    with pytest.raises(InvalidValue, match="think_time must be") as caught:
        parse_time(text, "think_time")
    assert part in str(caught.value)


@pytest.mark.parametrize("share", [-0.1, 1.1, "101%", float("nan"), "30s", True])
def test_shares_outside_zero_and_one_are_refused(share: object) -> None:
    with pytest.raises(InvalidValue, match="shared_share"):
        parse_share(share, "shared_share")


@given(
    st.floats(min_value=0, max_value=1e6, allow_subnormal=False), st.sampled_from(list(TIME_UNITS))
)
def test_any_number_and_unit_round_trip(number: float, unit: str) -> None:
    assert parse_time(f"{number!r}{unit}") == pytest.approx(number * float(TIME_UNITS[unit]))


@pytest.mark.parametrize(("seconds", "text"), [(250e-6, "250us"), (0.0, "0s"), (90.0, "90s")])
def test_times_are_written_in_the_unit_that_suits(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


@given(st.floats(min_value=0, allow_infinity=False))
def test_written_times_and_sizes_read_back_to_the_same_float(number: float) -> None:
    assert parse_time(time_text(number)) == number
    assert parse_size(size_text(number)) == number
