"""The exact method: probes on the release and the return of the GIL, and the scheduler's moves."""

import tempfile
from pathlib import Path
from typing import Any

from gilplan.calibration.observation.observed_task import ObservedTask, ProbeCost, Seen, corrected
from gilplan.calibration.observation.probes import MethodUnavailable, find_python, placed
from gilplan.calibration.observation.recording import Recorder
from gilplan.calibration.observation.target import Target
from gilplan.calibration.observation.trace import Trace, turns_in
from gilplan.model.errors import MeasurementFailed

#: The probed program may take this much longer before the reader is told.
DISTURBANCE = 0.1
LEAST_SLEEPS = 5


def observe_exactly(target: Target, plain: dict[str, Any], *, limit: float) -> Seen:
    """Let the target do tasks under probes; return them without the probes' cost, and notes.

    ``plain`` is the answer of the phase without probes, ``limit`` the seconds that the phase may
    take. Raises `MethodUnavailable` where probes or perf cannot be used or show nothing.
    """
    trace, answer = _recorded(target, limit)
    thread = trace.thread(target.pid)
    _check_complete(trace, turns_in(answer["sleeps"], thread))
    loop = turns_in(answer["loop"], thread)
    cost = ProbeCost.measured(loop, release_ns=plain["release_ns"], call_ns=plain["call_ns"])
    turns = [turns_in(mark, thread) for mark in answer["marks"]]
    tasks = [corrected(each, cost) for each in turns]
    releases = sum(len(task.released) for task in tasks) / len(tasks)
    notes = [
        f"{releases:.4g} releases of the GIL per task; a release's probes cost "
        f"{cost.seconds * 1e6:.1f} us, taken off"
    ]
    notes += _disturbance(tasks, plain)
    others = set(trace.threads) - {target.pid}
    processes = {trace.threads[other].process for other in others} - {target.pid}
    if processes:
        notes.append(f"the task starts processes ({len(processes)} seen): their work is left out")
    elif others:
        notes.append(f"the task starts threads ({len(others)} seen): their work is left out")
    return Seen(tasks=tuple(tasks), notes=tuple(notes))


def _recorded(target: Target, limit: float) -> tuple[Trace, dict[str, Any]]:
    python = find_python(target.pid)
    with tempfile.TemporaryDirectory(prefix="gilplan-") as folder:
        recorder = Recorder(Path(folder))
        with (
            placed(python, several_threads=False) as events,
            recorder.record(target.pid, events),
        ):
            answer = target.phase("traced", limit=limit)
        return recorder.trace(), answer


def _check_complete(trace: Trace, sleeps: list[Any]) -> None:
    if trace.lost:
        raise MethodUnavailable(
            f"the kernel lost {trace.lost} events: the task gives the GIL up too often to record"
        )
    if sum(turn.released for turn in sleeps) < LEAST_SLEEPS:
        raise MethodUnavailable(
            "the probes see no release of the GIL: this build has PyEval_SaveThread inlined"
        )


def _disturbance(tasks: list[ObservedTask], plain: dict[str, Any]) -> list[str]:
    """Compare the processor time of a task with and without probes."""
    if not plain["times"] or not tasks:
        raise MeasurementFailed("no task was completed")
    untouched = sorted(cpu for _, cpu in plain["times"])[len(plain["times"]) // 2] / 1e9
    busy = sorted(task.totals[0] + task.totals[1] for task in tasks)[len(tasks) // 2]
    if abs(busy - untouched) <= DISTURBANCE * untouched:
        return []
    return [
        f"under probes a task took {busy * 1e3:.3g} ms of processor time (their cost taken off), "
        f"without them {untouched * 1e3:.3g} ms"
    ]
