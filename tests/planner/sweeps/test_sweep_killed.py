"""kill -9 of a sweep at random moments: nothing finished is lost, nothing is counted twice."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pandas.testing import assert_frame_equal

from gilplan.calibration.profile import Profile, save
from gilplan.calibration.workload_file import read_workload
from gilplan.planner import sweep
from gilplan.planner.sweeps.engine import engine_identity
from gilplan.planner.sweeps.store import open_store

SCRIPT = Path(__file__).with_name("killed_sweep.py")
KILLS = 3
POINTS = 16


@pytest.mark.slow
def test_a_sweep_that_is_killed_again_and_again_loses_nothing(
    workload_path: Path, profile: Profile, tmp_path: Path
) -> None:
    save(profile, tmp_path / "profile.json")
    store = tmp_path / "s.sqlite"
    command = [sys.executable, SCRIPT, workload_path, tmp_path / "profile.json", store]
    rng = random.Random(1)
    counted = 0
    for _ in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            found = int(child.stdout.readline())
            assert found >= counted
            for _ in range(rng.randint(1, 2)):
                counted = int(child.stdout.readline())
            workers = psutil.Process(child.pid).children(recursive=True)
            child.kill()
        gone, alive = psutil.wait_procs(workers, timeout=60)
        assert (len(gone), alive) == (len(workers), [])
    with open_store(store, engine_identity()) as kept:
        stored = len(kept)
    assert counted <= stored < POINTS
    interrupted, whole = (_swept(workload_path, profile, path) for path in (store, None))
    assert (interrupted.found, interrupted.ran) == (stored, POINTS - stored)
    assert_frame_equal(interrupted.frame, whole.frame)


def _swept(workload_path: Path, profile: Profile, store: Path | None):
    workload, _ = read_workload(workload_path)
    spec = importlib.util.spec_from_file_location("killed_sweep", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return sweep(
        workload,
        ["3.13:threads=2"],
        profile,
        grid=script.GRID,
        precision=0.99,
        max_replications=4,
        store=store,
    )
