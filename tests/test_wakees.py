"""Whom a thread wakes: record_wakee and wake_wide by hand."""

import pytest

from gilplan.model.clock import Clock
from gilplan.model.thread import Thread
from gilplan.model.wakees import HALVED_AFTER, KERNEL_FLIPS, Wakees


def test_another_wakee_than_the_last_time_is_a_flip():
    clock = Clock()
    one, other = (Thread(clock, index=k) for k in range(2))
    wakees = Wakees(clock)
    for thread in (one, one, other, other, other, one, other):
        wakees.record(thread)
    assert wakees.flips == 4


def test_half_of_the_flips_is_forgotten_at_the_first_wake_up_after_a_second():
    clock = Clock()
    one, other = (Thread(clock, index=k) for k in range(2))
    wakees = Wakees(clock)
    for thread in (one, other) * 3:
        wakees.record(thread)
    clock.run(until=HALVED_AFTER)
    wakees.record(other)
    assert wakees.flips == 6
    clock.run(until=5 * HALVED_AFTER)
    wakees.record(other)
    assert wakees.flips == 3
    wakees.record(one)
    assert wakees.flips == 4


@pytest.mark.parametrize(
    ("one", "other", "cores", "wide"),
    [
        (100, 50, 2, True),
        (99, 50, 2, False),
        (100, 50, 3, False),
        (0, 0, 2, False),
        (2 * KERNEL_FLIPS, 0, 2, True),
        (2 * KERNEL_FLIPS - 1, 0, 2, False),
    ],
)
def test_far_more_is_as_many_times_as_there_are_cores_and_the_kernel_is_woken_by_all(
    one: int, other: int, cores: int, wide: bool
):
    clock = Clock()
    first, second = Wakees(clock), Wakees(clock)
    first.flips, second.flips = one, other
    assert first.differ_widely(second, cores=cores) is wide
    assert second.differ_widely(first, cores=cores) is wide
