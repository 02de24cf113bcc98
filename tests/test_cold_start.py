"""A thread that was off the cores pays for its cold caches, and for no more than that."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.calibration.crowd import CrowdPoint, cold_start_from, control_ratios
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


def crowd(threads: int, interval: float, slowdown: float, control: float = 1.25) -> CrowdPoint:
    """A point whose control takes a quarter longer in the crowd, for the turns alone."""
    drifts = (1e-3, 1.3e-3, 0.8e-3)
    cycles = tuple((t, t * control * (1 + slowdown)) for t in drifts)
    controls = tuple((0.1 * t, 0.1 * t * control) for t in drifts)
    return CrowdPoint(threads=threads, interval=interval, cycles=cycles, controls=controls)


def test_known_slowdowns_and_warm_up_are_recovered():
    cold, warm_up, interval = 0.5, 0.0008, 0.003
    work = warm_up + interval - warm_up * (1 + cold)
    points = [
        crowd(2, 0.0003, 0.1),
        crowd(8, 0.0003, cold),
        crowd(8, interval, interval / work - 1),
    ]
    found = cold_start_from(points)
    assert found is not None
    assert found.moved == pytest.approx(0.1)
    assert found.slowdowns == pytest.approx((cold,))
    assert found.warm_up == pytest.approx(warm_up)


def test_what_two_threads_lose_is_the_gil_from_the_other_core_whatever_eight_do():
    found = cold_start_from([crowd(2, 0.0003, 0.4), crowd(8, 0.0003, 0.2)])
    assert found is not None
    assert found.moved == pytest.approx(0.4)
    assert found.slowdowns == pytest.approx((0.2,))


def test_scatter_below_the_control_counts_as_no_slowdown():
    found = cold_start_from([crowd(8, 0.0003, -0.05)])
    assert found is not None
    assert found.slowdowns == (0.0,)


def test_crowd_without_a_completed_task_says_nothing():
    assert cold_start_from([]) is None


def test_handoffs_of_a_task_that_releases_often_are_not_taken_for_cold_caches():
    chatty = crowd(2, 0.0003, 1.0)
    idle = cold_start_from([chatty])
    assert idle is not None
    assert idle.moved == pytest.approx(1.0)
    explained = cold_start_from([chatty], releases=20)
    assert explained is not None
    assert explained.moved == 0.0


def test_control_is_the_median_over_programs():
    crowds = [[crowd(2, 0.0003, 0.0, control=ratio)] for ratio in (1.1, 1.2, 3.0)]
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
