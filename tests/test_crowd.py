"""What a crowd's processes measured becomes ratios at one speed of the cores."""

from pathlib import Path

import numpy as np
import pytest

from gilplan.calibration import crowd
from gilplan.calibration.builds import Build
from gilplan.calibration.crowd import measure_crowd

BUILD = Build(path="python", version=(3, 13, 0))
PROGRAM = Path("p.py")


def phases(exponent: float, *, count: int = 40, gauge_scatter: float = 0.2) -> np.ndarray:
    """Times and readings of a lone thread whose program follows the gauge with this exponent."""
    rng = np.random.default_rng(3)
    gauge = 15_000 * np.exp(gauge_scatter * rng.standard_normal(count))
    noise = np.exp(0.05 * rng.standard_normal(count))
    return np.stack((1e6 * (gauge / 15_000) ** exponent * noise, gauge), axis=1)


def answers(monkeypatch, *rounds):
    """Have the processes of a measurement answer these points, one after the other."""
    left = list(rounds)
    monkeypatch.setattr(crowd, "_measured", lambda *_: left.pop(0))


def point(*, cycles, controls, threads=2):
    return {
        "threads": threads,
        "interval": 1e-3,
        "cores": 2,
        "cycles": cycles,
        "controls": controls,
    }


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.4])
def test_how_closely_a_program_follows_the_gauge_is_recovered(exponent):
    assert crowd._closeness(phases(exponent)) == pytest.approx(exponent, abs=0.1)


def test_phases_at_one_speed_leave_the_exponent_at_one():
    assert crowd._closeness(phases(0.5, gauge_scatter=0.005)) == pytest.approx(1.0, abs=0.03)


def test_a_crowd_on_slower_cores_is_brought_to_the_speed_of_the_one_who_was_alone(monkeypatch):
    """Half as fast cores and a fifth more time than alone, of a program that does as the gauge."""
    cycles = [[[100.0, 10.0], [240.0, 20.0]], [[200.0, 20.0], [120.0, 10.0]]]
    answers(monkeypatch, [point(cycles=cycles, controls=[[[10.0, 10.0], [22.0, 20.0]]])])
    (found,) = measure_crowd(BUILD, PROGRAM, time=1.0)
    assert found.ratio == pytest.approx(1.2, rel=0.01)
    assert found.control_ratio == pytest.approx(1.1)


def test_processes_are_joined_and_points_without_a_task_left_out(monkeypatch):
    cycle, control = [[100.0, 10.0], [150.0, 10.0]], [[10.0, 10.0], [11.0, 10.0]]
    answers(
        monkeypatch,
        [point(cycles=[cycle], controls=[control]), point(cycles=[], controls=[], threads=8)],
        [point(cycles=[cycle, cycle], controls=[]), point(cycles=[], controls=[], threads=8)],
    )
    (found,) = measure_crowd(BUILD, PROGRAM, time=2 * crowd.PROCESS_TIME)
    assert found.condition == (2, 1e-3, 2)
    assert len(found.cycles) == 3
    assert len(found.controls) == 1
    assert found.ratio == pytest.approx(1.5)
