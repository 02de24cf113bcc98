"""A thread that was off the cores pays for its cold caches, and for no more than that."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from gilplan.calibration.crowd import CrowdPoint, control_ratios
from gilplan.model.caches import Caches
from gilplan.model.clock import Clock
from gilplan.model.cold_start import ColdStart, slowdown_by_off_time
from gilplan.model.errors import InvalidValue
from gilplan.model.thread import Thread

COLD = ColdStart(off_times=(0.001, 0.01), slowdowns=(0.1, 0.3), halved_after=0.001)


def test_slowdown_grows_with_the_time_off_the_cores():
    assert COLD.slowdown_after(0.001) == pytest.approx(0.1)
    assert COLD.slowdown_after(np.sqrt(0.001 * 0.01)) == pytest.approx(0.2)
    assert COLD.slowdown_after(1.0) == pytest.approx(0.3)
    assert COLD.slowdown_after(0.0005) == pytest.approx(0.05)
    assert COLD.slowdown_after(0.0) == 0.0


def test_table_of_slowdowns_follows_the_curve():
    slowdown = slowdown_by_off_time(COLD)
    for off_time in (2e-4, 1e-3, 4e-3, 5e-2):
        expected = COLD.slowdown_after(off_time)
        assert slowdown(round(off_time * 1e9)) == pytest.approx(expected, rel=0.25)
    assert slowdown(0) == 0.0


def cold_caches(slowdown: float, halved_after: float, moved: float = 0.0) -> Caches:
    """Caches that have just become cold."""
    cold_start = replace(COLD, halved_after=halved_after, moved=moved)
    caches = Caches(cold_start, slowdown_after=lambda _: slowdown)
    caches.after(1_000_000)
    return caches


def test_warm_caches_cost_nothing():
    assert Caches().stretched(12_345) == 12_345
    assert Caches().unstretched(12_345) == 12_345


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
        expected = cold_caches(0.5, halved_after).stretched(20_000)
        for _ in range(200):
            caches = cold_caches(0.5, halved_after)
            left, spent = 20_000, 0
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


def test_chilled_again_the_whole_work_is_cold_anew():
    caches = cold_caches(0.5, halved_after=1e-6)
    first = caches.stretched(600)
    caches.stretched(5000)
    caches.after(1_000_000)
    assert caches.stretched(600) == first


def test_less_of_a_chill_leaves_the_work_as_cold_as_it_was():
    caches, same = (cold_caches(0.5, halved_after=1e-6, moved=0.2) for _ in range(2))
    caches.stretched(1000)
    same.stretched(1000)
    caches.moved()
    assert caches.stretched(1000) == same.stretched(1000)
    caches.stretched(1000)
    caches.moved()
    assert caches.stretched(1000) == cold_caches(0.2, halved_after=1e-6).stretched(1000)


def test_who_goes_on_with_a_stretch_pays_for_the_time_that_it_was_off():
    thread = Thread(Clock(), index=0)
    thread.caches = Caches(COLD, slowdown_after=lambda _: 0.5)
    thread.work_left = thread.caches.stretched(1_000_000)
    assert thread.work_left == 1_000_000
    thread.cool()
    assert thread.work_left == pytest.approx(1e6 + 0.5e6 * log(2), abs=1)


def test_control_is_the_median_over_programs():
    alone = ((1e-3, 1e-3),)
    crowds = [
        [CrowdPoint(threads=2, interval=0.0003, cycles=alone, controls=((1e-4, ratio * 1e-4),))]
        for ratio in (1.1, 1.2, 3.0)
    ]
    assert control_ratios(crowds) == {(2, 0.0003): pytest.approx(1.2)}


@pytest.mark.parametrize(
    "broken",
    [
        {"slowdowns": (0.1,)},
        {"slowdowns": (-1, 0)},
        {"off_times": (0.0, 0.1)},
        {"off_times": (0.1, 0.01)},
        {"halved_after": 0.0},
        {"moved": -0.1},
    ],
)
def test_broken_curves_are_refused(broken):
    with pytest.raises(InvalidValue):
        replace(COLD, **broken)
