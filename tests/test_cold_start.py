"""A thread pays for the turns of others with its cold caches, and for no more than that."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from gilplan.calibration.crowd import CrowdPoint, control_ratios
from gilplan.model.caches import Caches
from gilplan.model.cold_start import ColdStart
from gilplan.model.errors import InvalidValue

COLD = ColdStart(crowded=0.1, growth=0.5, moved=0.0, halved_after=0.001)


def test_slowdown_grows_with_the_number_of_others():
    assert [COLD.slowdown_after(others) for others in (0, 1, 4)] == pytest.approx([0, 0.1, 0.2])
    assert replace(COLD, growth=0.0).slowdown_after(0) == 0.0


def cold_caches(slowdown: float, halved_after: float, moved: float = 0.0) -> Caches:
    """Caches that have just become cold."""
    caches = Caches(ColdStart(crowded=slowdown, growth=1.0, moved=moved, halved_after=halved_after))
    caches.crowded(1)
    return caches


def test_warm_caches_cost_nothing():
    caches = Caches(COLD)
    assert caches.stretched(12_345) == 12_345
    assert caches.unstretched(345) == 345
    assert caches.unstretched(12_000) == 12_000


def test_slowdown_has_halved_after_the_given_work():
    caches = cold_caches(0.5, halved_after=1e-3)
    assert caches.stretched(1000) - 1000 == pytest.approx(500, abs=1)
    caches.stretched(999_000)
    assert caches.stretched(1000) - 1000 == pytest.approx(250, abs=1)


def test_whole_cost_is_that_of_the_curve():
    caches = cold_caches(0.5, halved_after=1e-3)
    assert caches.stretched(9_000_000) == pytest.approx(9e6 + 0.5 * 1e6 * log(10), abs=1)


def test_whole_cost_is_paid_once_however_the_work_is_cut():
    rng = np.random.default_rng(1)
    for halved_after in (1e-9, 1e-5, 1.0):

        def cold(halved_after: float = halved_after) -> Caches:
            caches = cold_caches(0.5, halved_after, moved=0.4)
            caches.stretched(500)
            caches.moved()
            return caches

        expected = cold().stretched(20_000)
        for _ in range(200):
            caches, left, spent = cold(), 20_000, 0
            while left:
                total = caches.stretched(left)
                ran = int(rng.integers(1, total + 1))
                spent += ran
                left = caches.unstretched(total - ran) if ran < total else 0
            assert spent == pytest.approx(expected, abs=30)


def test_a_stretch_that_is_cut_twice_gives_back_its_last_parts():
    caches = cold_caches(0.5, halved_after=1e-5)
    total = caches.stretched(20_000)
    back = caches.unstretched(4000) + caches.unstretched(6000)
    assert caches.stretched(back) == pytest.approx(10_000, abs=3)
    assert total == cold_caches(0.5, halved_after=1e-5).stretched(20_000)


def test_what_a_stretch_pays_on_top_is_given_back_as_it_is():
    caches = cold_caches(0.5, halved_after=1e-5)
    caches.stretched(50_000)
    total = caches.stretched(1000)
    assert caches.unstretched(total + 700) == pytest.approx(1700, abs=1)


def test_crowded_again_the_whole_work_is_cold_anew():
    caches = cold_caches(0.5, halved_after=1e-6)
    first = caches.stretched(600)
    caches.stretched(5000)
    caches.crowded(1)
    assert caches.stretched(600) == first


def test_fewer_others_leave_the_work_as_cold_as_it_was():
    caches, same = (Caches(replace(COLD, halved_after=1e-6)) for _ in range(2))
    for each in (caches, same):
        each.crowded(16)
        each.stretched(1000)
    caches.crowded(1)
    assert caches.stretched(1000) == same.stretched(1000)
    caches.stretched(3000)
    caches.crowded(1)
    assert caches.stretched(100) == pytest.approx(100 + 0.1 * 1000 * log(1.1), abs=1)


def test_a_gil_from_another_core_costs_on_top_of_what_others_left():
    caches = cold_caches(0.5, halved_after=1.0, moved=0.25)
    caches.moved()
    assert caches.stretched(1000) == 1750
    caches.moved()
    assert caches.stretched(1000) == 1750


def test_control_is_the_median_over_programs():
    alone = ((1e-3, 1e-3),)
    crowds = [
        [
            CrowdPoint(
                threads=2,
                interval=0.0003,
                cores=1,
                cycles=alone,
                controls=((1e-4, ratio * 1e-4),),
            )
        ]
        for ratio in (1.1, 1.2, 3.0)
    ]
    assert control_ratios(crowds) == {(2, 0.0003, 1): pytest.approx(1.2)}


@pytest.mark.parametrize(
    "broken",
    [
        {"crowded": -0.1},
        {"growth": float("nan")},
        {"halved_after": 0.0},
        {"moved": -0.1},
    ],
)
def test_impossible_values_are_refused(broken):
    with pytest.raises(InvalidValue):
        replace(COLD, **broken)
