"""Real runs of a program under one CPython build: its steps one by one, or a whole layout.

A run is a child process in a session of its own, so that a build that hangs or crashes costs one
line of explanation; nothing of it survives its time limit.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.builds import Build
from gilplan.calibration.steps import StepSamples, StepTimes
from gilplan.model.errors import MeasurementFailed
from gilplan.model.layout import Layout
from gilplan.model.workload import SegmentKind, Work

HERE = Path(__file__).parent
#: Isolated, without site-packages and their start-up hooks, writing no bytecode.
FLAGS = ("-I", "-S", "-B")
#: What a run may take beyond the time it measures: start-up and set-up of all its workers.
SET_UP_LIMIT = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRun:
    """What one run of a layout did: per worker, the completions in seconds since the start.

    ``window`` is the half-open span that counts. ``steal_time`` is what the host took from the
    machine during the run, in seconds over all cores.
    """

    layout: Layout
    completed_at: tuple[tuple[float, ...], ...]
    window: tuple[float, float]
    steal_time: float = 0.0

    @property
    def throughput(self) -> float:
        """Tasks per second in the window over all workers, parts of tasks included.

        A task that crosses an edge of the window counts by the share of its response time that
        lies inside; counting only whole tasks would be off by one per worker.
        """
        begin, end = self.window
        return sum(_progress(row, end) - _progress(row, begin) for row in self.completed_at) / (
            end - begin
        )

    @property
    def response_times(self) -> NDArray[np.float64]:
        """Response times of the tasks that completed in the window: ``(n,)`` seconds.

        The loop is closed without think time, so a task starts when the one before completes.
        """
        begin, end = self.window
        parts = []
        for row in self.completed_at:
            completed = np.asarray(row)
            inside = (completed >= begin) & (completed < end)
            parts.append(np.diff(completed, prepend=0.0)[inside])
        return np.concatenate(parts)


def _progress(completed_at: Sequence[float], instant: float) -> float:
    """Return how many tasks a worker has done by ``instant``, linear between completions."""
    if not completed_at:
        return 0.0
    return float(
        np.interp(instant, [0.0, *completed_at], np.arange(len(completed_at) + 1, dtype=float))
    )


def shipped_programs() -> dict[str, Path]:
    """Return the programs that come with gilplan, by name."""
    return {path.stem: path for path in sorted((HERE / "programs").glob("[a-z]*.py"))}


def measure_steps(build: Build, program: Path, *, time: float, warmup: float = 0.05) -> StepSamples:
    """Time the program's steps in a single thread for ``time`` seconds.

    Raises `MeasurementFailed` when the program cannot run under the build.
    """
    answer = _answer(
        build,
        "time_steps.py",
        [str(program), "--time", str(time), "--warmup", str(warmup)],
        what=f"{program.stem} under {build.name}",
        time_limit=time + warmup + SET_UP_LIMIT,
    )
    return StepSamples(
        program=program.stem,
        steps=tuple(
            StepTimes(
                name=step["name"],
                kind=SegmentKind(step["kind"]),
                work=Work(step["work"]) if step["work"] else None,
                times=tuple(step["times"]),
                releases=step["releases"],
            )
            for step in answer["steps"]
        ),
        whole=tuple(answer["whole"]),
    )


def run_for_real(
    build: Build,
    program: Path,
    layout: Layout,
    *,
    warmup: float,
    time: float,
    time_limit: float | None = None,
) -> RealRun:
    """Run the program in the layout: ``warmup`` seconds, then ``time`` seconds that count.

    Raises `MeasurementFailed` when it cannot run, crashes, or is not done after ``time_limit``
    (by default the time it measures and 20 s).
    """
    options = {
        "--processes": layout.processes,
        "--interpreters": layout.interpreters,
        "--threads": layout.threads,
        "--gil": layout.gil.value,
        "--switch-interval": layout.effective_switch_interval,
        "--cores": layout.cores,
        "--warmup": warmup,
        "--time": time,
    }
    given = [text for key, value in options.items() if value is not None for text in (key, value)]
    with tempfile.TemporaryDirectory(prefix="gilplan-") as scratch:
        answer = _answer(
            build,
            "run_layout.py",
            [str(program), *map(str, given), "--scratch", scratch],
            what=f"{program.stem} as {layout}",
            time_limit=time_limit or warmup + time + SET_UP_LIMIT,
        )
    return RealRun(
        layout=layout,
        completed_at=tuple(
            tuple((np.asarray(row, dtype=np.float64) / 1e9).tolist())
            for row in answer["completions"]
        ),
        window=(answer["window"][0], answer["window"][1]),
        steal_time=answer["steal_time"],
    )


def _answer(
    build: Build, script: str, arguments: list[str], *, what: str, time_limit: float
) -> dict[str, Any]:
    """Run a harness script under the build and return its JSON."""
    command = [build.path, *FLAGS, str(HERE / "harness" / script), *arguments]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise MeasurementFailed(f"{what}: {build.path} does not start: {error}") from None
    try:
        output, complaints = child.communicate(timeout=time_limit)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"{what}: no end after {time_limit:g} s, stopped") from None
    finally:
        _end(child)
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        last = (complaints.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
        raise MeasurementFailed(f"{what}: {last}") from None
    if "error" in answer:
        raise MeasurementFailed(f"{what}: {answer['error']}")
    return answer


def _end(child: subprocess.Popen[str]) -> None:
    """Kill the process group of a child that still runs; one that ended has ended its own."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
