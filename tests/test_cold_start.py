"""A thread that was off the cores pays for its cold caches, and for no more than that."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.calibration.steps import cold_start_from
from gilplan.model.clock import Clock
from gilplan.model.cold_start import ColdStart, slowdown_by_off_time
from gilplan.model.errors import InvalidValue
from gilplan.model.thread import Thread

COLD = ColdStart(off_times=(0.001, 0.01), costs=(0.0001, 0.0003))


def test_cost_grows_with_the_time_off_the_cores():
    assert COLD.cost_after(0.001) == pytest.approx(0.0001)
    assert COLD.cost_after(np.sqrt(0.001 * 0.01)) == pytest.approx(0.0002)
    assert COLD.cost_after(1.0) == pytest.approx(0.0003)
    assert COLD.cost_after(0.0005) == pytest.approx(0.00005)
    assert COLD.cost_after(0.0) == 0.0


def test_table_of_slowdowns_follows_the_costs():
    slowdown = slowdown_by_off_time(COLD, task_time=0.001)
    for off_time in (2e-4, 1e-3, 4e-3, 5e-2):
        expected = COLD.cost_after(off_time) / 0.001
        assert slowdown(round(off_time * 1e9)) == pytest.approx(expected, rel=0.25)
    assert slowdown(0) == 0.0


def cold_thread(slowdown: float, task_time: int) -> Thread:
    thread = Thread(Clock(), index=0)
    thread.slowdown_after = lambda _: slowdown
    thread.cool(task_time)
    return thread


def test_first_task_is_slower_and_the_rest_is_not():
    thread = cold_thread(0.5, task_time=1000)
    assert thread.stretched(400) == 400 + 200
    assert thread.stretched(1000) == 1000 + 300
    assert thread.stretched(1000) == 1000


def test_whole_cost_is_paid_once_however_the_work_is_cut():
    rng = np.random.default_rng(1)
    for _ in range(200):
        thread = cold_thread(0.5, task_time=10_000)
        left, spent = 20_000, 0
        while left:
            total = thread.stretched(left)
            ran = int(rng.integers(1, total + 1))
            spent += ran
            left = thread.unstretched(total - ran) if ran < total else 0
        assert spent == pytest.approx(20_000 + 5000, abs=30)


def test_measured_costs_become_medians_that_never_fall():
    found = cold_start_from({"0.01": [2e-4, 2e-4, 9e-3], "0.001": [3e-4, 3e-4], "0.1": []})
    assert found == ColdStart(off_times=(0.001, 0.01), costs=(3e-4, 3e-4))
    assert cold_start_from({}) is None
    assert cold_start_from({"0.001": [-1e-5]}) == ColdStart(off_times=(0.001,), costs=(0.0,))


@pytest.mark.parametrize(
    "broken",
    [{"costs": (1e-4,)}, {"off_times": (0.0, 0.1)}, {"off_times": (0.1, 0.01)}, {"costs": (-1, 0)}],
)
def test_broken_curves_are_refused(broken):
    with pytest.raises(InvalidValue):
        replace(COLD, **broken)
