"""Real runs of a program under one CPython build: its steps one by one, or a whole layout."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.builds import Build
from gilplan.calibration.child import Child
from gilplan.calibration.cpu_quota import joining, limited_group
from gilplan.calibration.steps import StepSamples, StepTimes
from gilplan.model.layout import GilMode, Layout
from gilplan.model.quota import DEFAULT_PERIOD, Quota
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
    machine during the run, in seconds over all cores. ``gauge`` says when its workers read how fast
    their cores were and what they read (`SpeedGauge`), in seconds.
    """

    layout: Layout
    completed_at: tuple[tuple[float, ...], ...]
    window: tuple[float, float]
    steal_time: float = 0.0
    gauge: tuple[tuple[float, float], ...] = ()

    @property
    def throughput(self) -> float:
        """Tasks per second in the window over all workers, parts of tasks included."""
        return self.throughput_in(*self.window)

    def throughput_in(self, begin: float, end: float) -> float:
        """Tasks per second in ``[begin, end)``.

        A task that crosses an edge counts by the share of its response time that lies inside;
        counting only whole tasks would be off by one per worker.
        """
        done = sum(_progress(row, end) - _progress(row, begin) for row in self.completed_at)
        return done / (end - begin)

    @property
    def response_times(self) -> NDArray[np.float64]:
        """Response times of the tasks that completed in the window: ``(n,)`` seconds.

        The loop is closed without think time, so a task starts when the one before completes.
        """
        return self.response_times_in(*self.window)

    def response_times_in(self, begin: float, end: float) -> NDArray[np.float64]:
        """Return those of the tasks that completed in ``[begin, end)``."""
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


def steps_child(build: Build, program: Path, *, time: float, warmup: float) -> Child:
    """Start timing the program's steps in a single thread."""
    arguments = [str(program), "--time", str(time), "--warmup", str(warmup)]
    return harness_child(
        build, "time_steps.py", arguments, what=f"{program.stem} under {build.name}"
    )


@contextmanager
def layout_child(build: Build, program: Path, layout: Layout, *, time: float) -> Iterator[Child]:
    """Start the program in the layout; its workers stop ``time`` seconds after their start."""
    options = {
        "--processes": layout.processes,
        "--interpreters": layout.interpreters,
        "--threads": layout.threads,
        "--gil": layout.gil.value,
        # The build cuts off parts of a microsecond, which this float may fall short of.
        "--switch-interval": layout.effective_switch_interval + 0.5e-6,
        "--cores": layout.cores,
        "--config": None if layout.config is None else json.dumps(asdict(layout.config)),
        "--time": time,
    }
    given = [text for key, value in options.items() if value is not None for text in (key, value)]
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="gilplan-"))
        arguments = [str(program), *map(str, given), "--scratch", scratch]
        command = _command(build, "run_layout.py", arguments)
        if build.free_threaded and layout.gil is GilMode.SHARED:
            command[1:1] = ["-X", "gil=1"]
        if layout.quota is not None:
            period = layout.quota_period or DEFAULT_PERIOD
            group = stack.enter_context(limited_group(Quota(cores=layout.quota, period=period)))
            command = joining(group, command)
        yield stack.enter_context(Child(command, what=f"{program.stem} as {layout}"))


def measure_steps(build: Build, program: Path, *, time: float, warmup: float = 0.05) -> StepSamples:
    """Time the program's steps in a single thread for ``time`` seconds.

    Raises `MeasurementFailed` when the program cannot run under the build.
    """
    with steps_child(build, program, time=time, warmup=warmup) as child:
        child.answer(warmup + SET_UP_LIMIT)
        return step_samples(program.stem, child.answer(time + SET_UP_LIMIT))


def run_for_real(
    build: Build,
    program: Path,
    layout: Layout,
    *,
    warmup: float,
    time: float,
    time_limit: float = SET_UP_LIMIT,
) -> RealRun:
    """Run the program in the layout: ``warmup`` seconds, then ``time`` seconds that count.

    Raises `MeasurementFailed` when it cannot run, crashes, or is not set up or not done
    ``time_limit`` seconds after it should be.
    """
    with layout_child(build, program, layout, time=warmup + time) as child:
        child.answer(time_limit)
        answer = child.answer(warmup + time + time_limit)
    return RealRun(
        layout=layout,
        completed_at=completions(answer),
        window=(warmup, warmup + time),
        steal_time=answer["steal_time"],
        gauge=tuple(map(tuple, (gauge_of(answer) / 1e9).tolist())),
    )


def gauge_of(answer: dict[str, Any]) -> NDArray[np.float64]:
    """Return the gauge's readings of all of a layout's workers: when and what, ``(n, 2)`` ns."""
    return np.concatenate([np.reshape(row, (-1, 2)) for row in answer["gauge"]]).astype(np.float64)


def completions(answer: dict[str, Any]) -> tuple[tuple[float, ...], ...]:
    """Return a layout's completions per worker in seconds since the start."""
    return tuple(
        tuple((np.asarray(row, dtype=np.float64) / 1e9).tolist()) for row in answer["completions"]
    )


def step_samples(program: str, answer: dict[str, Any]) -> StepSamples:
    """Return the step times that a child measured."""
    return StepSamples(
        program=program,
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


def harness_child(build: Build, script: str, arguments: Sequence[str], *, what: str) -> Child:
    """Start a script of the harness under the build; ``what`` is it for messages."""
    return Child(_command(build, script, arguments), what=what)


def _command(build: Build, script: str, arguments: Sequence[str]) -> list[str]:
    return [build.path, *FLAGS, str(HERE / "harness" / script), *arguments]
