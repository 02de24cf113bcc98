"""A thread that was off the cores pays for its cold caches, and for no more than that."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.calibration.crowd import CrowdPoint, control_ratios
from gilplan.model.clock import Clock
from gilplan.model.cold_start import ColdStart, slowdown_by_off_time
from gilplan.model.errors import InvalidValue
from gilplan.model.thread import Thread

COLD = ColdStart(off_times=(0.001, 0.01), slowdowns=(0.1, 0.3), warm_up=0.001)


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


def cold_thread(slowdown: float, warm_up: int) -> Thread:
    thread = Thread(Clock(), index=0)
    thread.slowdown_after = lambda _: slowdown
    thread.cool(warm_up)
    return thread


def test_first_work_is_slower_and_the_rest_is_not():
    thread = cold_thread(0.5, warm_up=1000)
    assert thread.stretched(400) == 400 + 200
    assert thread.stretched(1000) == 1000 + 300
    assert thread.stretched(1000) == 1000


def test_whole_cost_is_paid_once_however_the_work_is_cut():
    rng = np.random.default_rng(1)
    for _ in range(200):
        thread = cold_thread(0.5, warm_up=10_000)
        left, spent = 20_000, 0
        while left:
            total = thread.stretched(left)
            ran = int(rng.integers(1, total + 1))
            spent += ran
            left = thread.unstretched(total - ran) if ran < total else 0
        assert spent == pytest.approx(20_000 + 5000, abs=30)


def test_chilled_again_the_whole_work_is_cold_anew():
    thread = cold_thread(0.5, warm_up=1000)
    thread.stretched(600)
    thread.cool(1000)
    assert thread.stretched(1000) == 1500


def test_less_of_a_chill_leaves_the_work_as_cold_as_it_was():
    thread = cold_thread(0.5, warm_up=1000)
    thread.chill(0.2, 2000)
    assert thread.stretched(1000) == 1500
    thread.chill(0.2, 2000)
    assert thread.stretched(1000) == 1200


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
        {"warm_up": 0.0},
        {"moved": -0.1},
    ],
)
def test_broken_curves_are_refused(broken):
    with pytest.raises(InvalidValue):
        replace(COLD, **broken)
