"""Real programs with known answers, observed under the builds of this machine."""

import mmap
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gilplan.calibration.builds import Build, find_builds, probe
from gilplan.calibration.observation.clock import observe_by_clock
from gilplan.calibration.observation.exact import observe_exactly
from gilplan.calibration.observation.observe import Method, observe
from gilplan.calibration.observation.probes import (
    MethodUnavailable,
    tracing_folder,
)
from gilplan.calibration.observation.process import observe_process, observe_script
from gilplan.calibration.observation.recording import perf_path
from gilplan.calibration.observation.sampling import observe_by_sampling
from gilplan.calibration.observation.target import started
from gilplan.calibration.workload_file import parse_workload
from gilplan.model.errors import GilplanError, InvalidValue, MeasurementFailed
from gilplan.planner.cli import main

pytestmark = pytest.mark.interpreters
BUILDS = find_builds()[0]
WITH_GIL = [build for build in BUILDS if not build.free_threaded]
OWN = probe(Path(sys.executable))[0]
NAME = Build.name.fget

#: Each task adds a row to a shared map: processor time of each part, the sleep's wall time, and
#: the whole task's. What the program does between two tasks, the row included, is held time of
#: the next; zlib.crc32 gives up the GIL at once and takes it back last, unlike the constructors of
#: hashlib, which do some 100 us with it first.
KNOWN = """
import mmap, struct, time, zlib
BLOCK = bytes({block})
FILE = open({path!r}, "r+b")
ROWS = mmap.mmap(FILE.fileno(), 0)
ENDED = [time.thread_time_ns(), time.perf_counter_ns()]

def task():
    cpu, wall = time.thread_time_ns, time.perf_counter_ns
    first, whole = ENDED
    total = 0
    for number in range({turns}):
        total += number & 3
    second = cpu()
    zlib.crc32(BLOCK)
    third, began = cpu(), wall()
    if {sleep}:
        time.sleep({sleep})
    ended, fourth = wall(), cpu()
    ENDED[:] = cpu(), wall()
    (row,) = struct.unpack_from("<q", ROWS, 0)
    struct.pack_into("<5q", ROWS, 8 + 40 * row, second - first, third - second, fourth - third,
                     ended - began, ENDED[1] - whole)
    struct.pack_into("<q", ROWS, 0, (row + 1) % 20000)
"""


def permitted() -> str:
    """Return why the exact method cannot be used here, nothing when it can."""
    try:
        tracing_folder()
        perf_path()
    except MethodUnavailable as error:
        return str(error)
    return ""


exact = pytest.mark.skipif(bool(permitted()), reason=permitted() or "can be used")


#: Share of the time without a core above which clocks tell nothing of the program.
DISTURBED = 0.05


class KnownProgram:
    """A program that measures its own parts."""

    def __init__(self, folder: Path, *, turns: int, block: int, sleep: float) -> None:
        # In memory: writing to a mapped file blocks now and then.
        self._memory = os.memfd_create("rows")
        os.ftruncate(self._memory, 8 + 40 * 20_000)
        self._rows = Path(f"/proc/{os.getpid()}/fd/{self._memory}")
        self.path = folder / "known.py"
        text = KNOWN.format(turns=turns, block=block, sleep=sleep, path=str(self._rows))
        self.path.write_text(text)

    def rows(self) -> int:
        return int(struct.unpack_from("<q", self._rows.read_bytes())[0])

    def parts(self, first: int, count: int, *, quiet: bool = True) -> np.ndarray:
        """Held, released and blocked time of tasks in order, seconds: ``(count, 3)``."""
        with open(self._rows, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            table = np.frombuffer(content, dtype=np.int64, offset=8).reshape(-1, 5)
            python, digest, sleeping, slept, whole = table[first : first + count].T / 1e9
        away = 1 - (python + digest + slept).sum() / whole.sum()
        if quiet and away > DISTURBED:
            pytest.skip(f"the program was kept from its core for {away:.0%} of the time")
        return np.array([python, digest + sleeping, np.maximum(slept - sleeping, 0)]).T


#: Parts of a millisecond and more: probes cost some ten microseconds a release, which gilplan
#: takes off and the program's own clocks do not.
PROGRAMS = [
    pytest.param({"turns": 300_000, "block": 3_000_000, "sleep": 0.0}, id="mostly held"),
    pytest.param({"turns": 60_000, "block": 24_000_000, "sleep": 0.0}, id="mostly released"),
    pytest.param({"turns": 150_000, "block": 12_000_000, "sleep": 0.01}, id="a third of each"),
]
SHORT = {"turns": 10_000, "block": 600_000, "sleep": 0.0}


def shares(parts: np.ndarray) -> np.ndarray:
    return parts / parts.sum(axis=-1, keepdims=True)


def average(parts: np.ndarray, delayed: float = 0.5) -> np.ndarray:
    """Mean processor times; the sleep's wall time where less than ``delayed`` end late.

    A sleeper may wait for a core then, or for the GIL.
    """
    return np.append(parts[:, :2].mean(axis=0), np.quantile(parts[:, 2], 1 - delayed))


@pytest.mark.measurement
@exact
@pytest.mark.parametrize("shape", PROGRAMS)
@pytest.mark.parametrize("build", BUILDS, ids=NAME)
def test_exact_shares_are_within_a_point_of_the_program_s_own(build, shape, tmp_path):
    program = KnownProgram(tmp_path, **shape)
    with started(build, f"{program.path}:task", time=1.0, tasks=None) as (target, _):
        plain = target.phase("plain", limit=60)
        row = program.rows()
        seen = observe_exactly(target, plain, limit=60)
    found = np.array([task.totals for task in seen.tasks])
    own = program.parts(row + 1, len(found), quiet=False)  # the first one warms up
    errors = shares(found) - shares(own)
    assert np.median(errors, axis=0) == pytest.approx([0, 0, 0], abs=0.01)


@pytest.mark.measurement
@pytest.mark.parametrize("shape", PROGRAMS)
@pytest.mark.parametrize("build", WITH_GIL, ids=NAME)
def test_sampled_shares_are_within_three_points_of_the_program_s_own(build, shape, tmp_path):
    program = KnownProgram(tmp_path, **shape)
    with started(build, f"{program.path}:task", time=1.5, tasks=None) as (target, _):
        row = program.rows()
        seen = observe_by_sampling(target, limit=60)
    found = np.mean([task.totals for task in seen.tasks], axis=0)
    own = program.parts(row + 1, len(seen.tasks))
    assert shares(found) == pytest.approx(shares(average(own)), abs=0.03)


@pytest.mark.measurement
@pytest.mark.parametrize("shape", PROGRAMS)
@pytest.mark.parametrize("build", WITH_GIL, ids=NAME)
def test_shares_by_clock_are_within_five_points_of_the_program_s_own(build, shape, tmp_path):
    program = KnownProgram(tmp_path, **shape)
    with started(build, f"{program.path}:task", time=2.0, tasks=None) as (target, _):
        row = program.rows()
        try:
            seen = observe_by_clock(target, build, limit=60)
        except MethodUnavailable as error:
            pytest.skip(str(error))
        rows = program.rows() - row
    found = np.mean([task.totals for task in seen.tasks], axis=0)
    own = average(program.parts(row + 1, rows - 1, quiet=False), delayed=0.8)
    assert shares(found) == pytest.approx(shares(own), abs=0.05)


@pytest.mark.measurement
@pytest.mark.parametrize("build", WITH_GIL, ids=NAME)
def test_the_clock_method_says_how_sure_it_is_of_short_tasks(build, tmp_path):
    program = KnownProgram(tmp_path, **SHORT)
    with started(build, f"{program.path}:task", time=2.0, tasks=None) as (target, _):
        row = program.rows()
        try:
            seen = observe_by_clock(target, build, limit=60)
        except MethodUnavailable as error:
            pytest.skip(str(error))
        held, released, _ = program.parts(row + 1, program.rows() - row - 1, quiet=False).sum(
            axis=0
        )
    low, high = seen.held_of_busy
    assert low - 0.02 <= held / (held + released) <= high + 0.02


@exact
def test_a_callable_becomes_a_file_that_reads_back(tmp_path, capsys):
    program = KnownProgram(tmp_path, turns=5000, block=100_000, sleep=0.0)
    output = tmp_path / "known.toml"
    target = f"{program.path}:task"
    assert main(["observe", target, "--time", "0.2s", "-o", str(output)]) == 0
    workload, _ = parse_workload(output.read_text(), output)
    assert workload.build == OWN.name
    assert workload.source.startswith("exact: perf uprobes, ")
    assert "held share" in capsys.readouterr().err


def test_sampling_is_used_where_probes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    program = KnownProgram(tmp_path, turns=5000, block=100_000, sleep=0.0)
    observation = observe(f"{program.path}:task", WITH_GIL[-1], time=0.5)
    assert observation.method == "sampling"
    assert observation.notes[0].startswith("exact method not used: ")
    assert observation.workload.source.startswith("sampling: ")
    with pytest.raises(MethodUnavailable):
        observe(f"{program.path}:task", WITH_GIL[-1], time=0.2, method=Method.EXACT)


SCRIPT = """
import hashlib, sys, threading, time
BLOCK = bytes(1_000_000)
COUNT = int(sys.argv[1])
def work():
    for _ in range(COUNT):
        sum(number & 3 for number in range(10_000))
        hashlib.sha256(BLOCK).digest()
        time.sleep(0.002)
team = [threading.Thread(target=work) for _ in range(2)]
for thread in team: thread.start()
for thread in team: thread.join()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "job.py"
    path.write_text(SCRIPT)
    return path


@exact
@pytest.mark.parametrize("build", BUILDS, ids=NAME)
def test_a_script_is_observed_from_its_start_to_its_end(build, script):
    observation = observe_script([str(script), "30"], build, time=20)
    assert observation.notes[-1] == "the script was observed to its end"
    assert observation.tasks >= 50  # 2 threads x 30 waits, but for the first and the last
    assert observation.workload.build == build.name
    assert all(share.value > 0 for share in observation.shares.values())


@exact
def test_a_script_that_does_not_end_is_stopped(script):
    observation = observe_script([str(script), "1000000"], OWN, time=0.5)
    assert observation.notes[-1] == "the script was stopped after 0.5 s"


def test_a_script_that_fails_is_no_workload(script):
    with pytest.raises(MeasurementFailed, match="job: it raises ValueError"):
        observe_script([str(script), "many"], OWN, time=5)
    with pytest.raises(InvalidValue, match="script must be a file that is there"):
        observe_script(["absent.py"], OWN, time=5)


@pytest.fixture
def running(script):
    """A process of the build that runs the tests, at work."""
    process = subprocess.Popen([OWN.path, str(script), "1000000"])
    yield process
    process.kill()
    process.wait()


METHODS = [pytest.param("exact", marks=exact), "sampling"]


@pytest.mark.parametrize("method", METHODS)
def test_a_running_process_is_observed_and_goes_on(method, running):
    observation = observe_process(running.pid, time=0.7, method=method)
    assert observation.method == method
    assert 0 < observation.shares["held"].value < 1
    assert running.poll() is None
    assert parse_workload(observation.to_toml())[0] == observation.workload


def test_what_is_no_python_process_of_ours_is_refused(running):
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        with pytest.raises(GilplanError, match="which is not CPython"):
            observe_process(sleeper.pid, time=0.1)
    finally:
        sleeper.kill()
        sleeper.wait()
    with pytest.raises(MeasurementFailed, match="is not there"):
        observe_process(sleeper.pid, time=0.1)
    with pytest.raises(InvalidValue, match="method must be exact or sampling"):
        observe_process(running.pid, time=0.1, method="clock")


@pytest.mark.parametrize("method", METHODS)
def test_a_process_that_ends_meanwhile_is_no_workload(method, script):
    process = subprocess.Popen([OWN.path, str(script), "1000"])
    try:
        with pytest.raises(MeasurementFailed, match=r"ended|is not there"):
            observe_process(process.pid, time=30, method=method)
    finally:
        process.wait()


@exact
def test_no_probe_is_left_behind_by_an_interrupted_observation(script):
    command = "import sys; from gilplan.planner.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "observe", "--time", "30s", "--", str(script), "100000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    mine = re.compile(rf"gilplan_{process.pid}_")
    events = tracing_folder() / "uprobe_events"
    while not mine.search(events.read_text()):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not mine.search(events.read_text())
    assert b"Traceback" not in told


@pytest.mark.parametrize("build", BUILDS, ids=NAME)
def test_the_containers_that_a_program_keeps_are_counted(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "keeper.py"
    path.write_text("KEPT = [[] for _ in range(50_000)]\ndef task(): return sum(range(2000))\n")
    with started(build, f"{path}:task", time=0.2, tasks=None) as (child, _):
        live = child.phase("sizes", limit=20)["live"]
    assert 50_000 <= live < 100_000
