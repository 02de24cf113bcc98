"""The open-loop load generator on real builds: nothing lost, nothing twice, no lateness hidden."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gilplan.calibration.builds import Build, named_builds
from gilplan.calibration.openloop import run_open_loop
from gilplan.calibration.realrun import shipped_programs
from gilplan.calibration.study import natural_gil
from gilplan.model.errors import InvalidValue
from gilplan.model.layout import Layout

pytestmark = pytest.mark.interpreters

SLEEPER = """
import time
from types import SimpleNamespace
def setup():
    return SimpleNamespace(result=None)
def pause(state):
    time.sleep(0.01)
STEPS = (("pause", "wait", "", pause),)
"""


@pytest.fixture(scope="module")
def build() -> Build:
    return replace(named_builds([Path(sys.executable)])[0], path=sys.executable)


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    path = tmp_path / "sleeper.py"
    path.write_text(SLEEPER)
    return path


def layout(build: Build, **fields: int) -> Layout:
    return Layout(build=build.name, gil=natural_gil(build), **fields)  # type: ignore[arg-type]


def test_every_arrival_is_served_once_across_processes_and_threads(build: Build) -> None:
    run = run_open_loop(
        build,
        shipped_programs()["socket_rpc"],
        layout(build, processes=2, threads=2),
        rate=50,
        time=0.7,
        rng=np.random.default_rng(0),
    )
    assert len(run.arrived_at) == len(run.response_times) > 20
    assert run.unfinished <= 2
    assert (run.response_times > 0).all()


def test_a_program_that_falls_behind_shows_its_lateness(build: Build, sleeper: Path) -> None:
    """100 tasks/s is all that a 10 ms task in one thread can do; 300 arrive."""
    run = run_open_loop(
        build, sleeper, layout(build), rate=300, time=0.7, rng=np.random.default_rng(0)
    )
    done = len(run.arrived_at) - run.unfinished
    assert done <= 101  # a closed loop would have shown 10 ms for each of these
    assert run.unfinished > 100
    assert run.percentile(50) > 0.1


def test_rate_must_be_positive(build: Build, sleeper: Path) -> None:
    with pytest.raises(InvalidValue, match="rate"):
        run_open_loop(build, sleeper, layout(build), rate=0, time=1, rng=np.random.default_rng(0))
