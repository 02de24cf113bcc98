"""The same frame whatever runs it, and a worker that is killed costs time only."""

import logging
import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest
from pandas.testing import assert_frame_equal

import gilplan.model
from gilplan.model.errors import ExecutorError, InvalidValue
from gilplan.planner.sweeps.executors import opener
from gilplan.planner.sweeps.sweep import Progress, Sweep

Run = Callable[..., Sweep]
CHECKOUT = Path(__file__).resolve().parents[3]
# What distributed says when a worker dies is no fault of ours.
pytestmark = pytest.mark.filterwarnings("ignore:::distributed", "ignore::ResourceWarning")


def kill_a_worker_once(progress: Progress, *, after: int, killed: list[int]) -> None:
    """Kill one of this process's children when ``after`` points are there."""
    if progress.ran == after and not killed:
        workers = [
            child
            for child in psutil.Process().children(recursive=True)
            if "resource_tracker" not in " ".join(child.cmdline())
        ]
        victim = max(workers, key=lambda worker: worker.cpu_times().user)
        os.kill(victim.pid, signal.SIGKILL)
        killed.append(victim.pid)


def test_threads_and_processes_give_the_serial_frame(run: Run, serial: Sweep) -> None:
    with ThreadPoolExecutor(2) as threads:
        assert_frame_equal(run(executor=threads).frame, serial.frame)
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        assert_frame_equal(run(executor=processes).frame, serial.frame)


def test_a_killed_local_worker_costs_only_time(run: Run, serial: Sweep, tmp_path: Path) -> None:
    killed: list[int] = []
    swept = run(
        executor="local:2",
        store=tmp_path / "s.sqlite",
        on_progress=partial(kill_a_worker_once, after=5, killed=killed),
    )
    assert len(killed) == 1
    assert (swept.ran, swept.found) == (12, 0)
    assert_frame_equal(swept.frame, serial.frame)


def test_workers_that_always_die_end_the_sweep(run: Run, tmp_path: Path) -> None:
    told: list[Progress] = []

    def end_all(progress: Progress) -> None:
        told.append(progress)

    dying = ProcessPoolExecutor(1, get_context("spawn"), os._exit, (1,))
    with dying, pytest.raises(ExecutorError, match="died 3 times in a row"):
        run(executor=dying, on_progress=end_all)
    assert [progress.ran for progress in told] == [0]


@contextmanager
def cluster(workers: int, **arguments: object) -> Iterator[tuple[object, str]]:
    """Give a cluster of worker processes on this machine, and what names it."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        **arguments,
    ) as local:
        yield local, local.scheduler_address.replace("tcp://", "dask://")


@pytest.mark.slow
def test_a_cluster_with_a_worker_killed_gives_the_serial_frame(
    run: Run, serial: Sweep, tmp_path: Path
) -> None:
    killed: list[str] = []
    with cluster(3) as (local, address):

        def kill(progress: Progress) -> None:
            if progress.ran == 5 and not killed:
                working = local.scheduler.workers.values()
                victim = max(working, key=lambda worker: len(worker.processing))
                assert victim.processing, "killed in the middle of a point"
                killed.append(victim.address)
                os.kill(local.workers[victim.name].pid, signal.SIGKILL)

        swept = run(executor=address, store=tmp_path / "s.sqlite", on_progress=kill)
        assert killed
        assert killed[0] not in local.scheduler.workers
    assert (swept.ran, swept.found, swept.left_out) == (12, 0, ())
    assert_frame_equal(swept.frame, serial.frame)


@pytest.mark.slow
def test_workers_with_another_gilplan_are_refused_before_work_begins(
    run: Run, tmp_path: Path
) -> None:
    """Another engine: the same but for one comment."""
    other = tmp_path / "gilplan"
    for layer in ("model", "calibration", "planner"):
        shutil.copytree(Path(gilplan.model.__file__).parents[1] / layer, other / layer)
    with (other / "model" / "gil.py").open("a") as file:
        file.write("# changed\n")
    from distributed import Client

    told: list[Progress] = []
    with cluster(0) as (local, address):
        dask = Path(sysconfig.get_path("scripts"), "dask")
        command = [dask, "worker", local.scheduler_address, "--no-nanny", "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as worker:
            with Client(local.scheduler_address, set_as_default=False) as client:
                client.wait_for_workers(1, timeout=240)
            with pytest.raises(ExecutorError, match=r"must have gilplan .*, got .*; install the"):
                run(executor=address, on_progress=told.append)
            worker.terminate()
    assert [progress.ran for progress in told] == [0]


@pytest.mark.slow
def test_a_cluster_without_workers_is_refused(run: Run) -> None:
    with cluster(0) as (_, address), pytest.raises(ExecutorError, match="has no workers"):
        run(executor=address)


def test_an_address_that_does_not_answer_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gilplan.planner.sweeps.executors.ANSWER_TIME", 1.0)
    with pytest.raises(ExecutorError, match=r"dask://127\.0\.0\.1:1 does not answer") as caught:
        run(executor="dask://127.0.0.1:1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "slurm", "local:0", "local:x", "dask://", "dask://host", "dask://host:port", "tcp://h:1"],
)
def test_an_executor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match='executor must be "local", "local:2" or "dask://'):
        opener(text)
