"""The scheduler's average of what a count was of late."""

import pytest

from gilplan.model.clock import Clock
from gilplan.model.recent_average import HALF_LIFE, RecentAverage


def test_half_of_the_way_is_gone_after_each_half_life():
    clock = Clock()
    recent = RecentAverage(clock)
    recent.change(2)
    clock.run(until=HALF_LIFE)
    assert recent.average() == pytest.approx(1)
    clock.run(until=2 * HALF_LIFE)
    assert recent.average() == pytest.approx(1.5)
    recent.change(-2)
    clock.run(until=3 * HALF_LIFE)
    assert recent.average() == pytest.approx(0.75)


def test_changes_at_one_instant_leave_no_trace():
    clock = Clock()
    recent = RecentAverage(clock)
    recent.change(1)
    clock.run(until=HALF_LIFE)
    recent.change(1)
    recent.change(-1)
    clock.run(until=2 * HALF_LIFE)
    assert recent.average() == pytest.approx(0.75)


def test_change_that_comes_later_does_nothing_until_then():
    clock = Clock()
    recent = RecentAverage(clock, average=0.5)
    recent.change(1, HALF_LIFE)
    clock.run(until=HALF_LIFE)
    assert recent.average() == 0.5
    clock.run(until=2 * HALF_LIFE)
    assert recent.average() == pytest.approx(0.75)


def test_short_turns_average_to_their_share_of_the_time():
    clock = Clock()
    recent = RecentAverage(clock)
    period = HALF_LIFE // 100
    for turn in range(4000):
        clock.run(until=(turn + 0.3) * period)
        recent.change(1)
        clock.run(until=(turn + 1) * period)
        recent.change(-1)
    assert recent.average() == pytest.approx(0.7, abs=0.005)


def test_what_comes_with_its_past_is_forgotten_like_the_rest():
    clock = Clock()
    recent = RecentAverage(clock)
    clock.run(until=HALF_LIFE)
    recent.shift(0.5)
    assert recent.average() == pytest.approx(0.5)
    clock.run(until=2 * HALF_LIFE)
    assert recent.average() == pytest.approx(0.25)
