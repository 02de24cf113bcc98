"""Recordings of other tools become a workload, as far as they know.

A sampling profiler counts threads in a state. Which part of a task's time holds the GIL, runs
without it, and is blocked takes three recordings (`Counted`), or one that tells the states
(Tachyon's Gecko). How long a task is, only pyperf knows; else a task is `CHUNK` of work. What
none of them knows (the order of stretches, how long one cannot be interrupted, allocations,
payloads) is left out, and said.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path

from gilplan.calibration.imports.gecko import read_gecko
from gilplan.calibration.imports.profiler_files import (
    read_jsonl,
    read_speedscope,
    read_stacks,
    says_nothing,
)
from gilplan.calibration.imports.pyperf_file import TaskTimes, read_pyperf
from gilplan.calibration.imports.recording import HOW, Counted, Recording, StateTimes, read_text
from gilplan.calibration.observation.fitted_workload import TaskTraits, fitted_tasks
from gilplan.calibration.observation.observation import Observation, mean_estimate
from gilplan.calibration.observation.observed_task import simple_task
from gilplan.model.errors import InvalidFile, InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.observed import Observed
from gilplan.model.workload import Workload

#: The task of a recording that knows no tasks.
CHUNK = 0.01
#: By so much two recordings of one program may contradict each other, in standard errors.
CONTRADICTION = 5.0
Z90 = 1.6448536269514722
UNSEEN = (
    "the order of stretches, how long the GIL cannot be interrupted, allocations and payloads "
    "are not in these files"
)


def observe_imports(
    given: Sequence[str], *, benchmark: str | None = None, build: str = ""
) -> Observation:
    """Return the workload of recordings given as FILE or COUNTED:FILE.

    ``build`` names the CPython build where the files do not. Raises `InvalidFile` for a file that
    cannot be read, `InvalidValue` where they are not enough for a workload or contradict.
    """
    times: TaskTimes | None = None
    states: StateTimes | None = None
    recordings: dict[Counted, Recording] = {}
    for text in given:
        found = _read(text, benchmark)
        if isinstance(found, TaskTimes):
            times = found
        elif isinstance(found, StateTimes):
            states = found
        elif found.counted is None:
            raise says_nothing(found)
        elif found.counted in recordings:
            raise InvalidValue("--import", f"given once for {found.counted}", text)
        else:
            recordings[found.counted] = found
    if states is None:
        states = _combined(recordings, times)
    name = times.name if times else Path(given[0].rpartition(":")[2]).name.partition(".")[0]
    return _observation(name, states, times, build)


def _read(text: str, benchmark: str | None) -> TaskTimes | StateTimes | Recording:
    """Read a file by what is in it."""
    prefix, colon, rest = text.partition(":")
    counted = Counted(prefix) if colon and prefix in list(Counted) else None
    path = Path(rest if counted else text)
    content = read_text(path)
    recording: Recording
    if not content.lstrip().startswith("{"):
        recording = read_stacks(content, path)
    elif '"type":"meta"' in content.partition("\n")[0].replace(" ", ""):
        recording = read_jsonl(content, path)
    else:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise InvalidFile(str(path), 1, "the file", "whole JSON", "text that ends") from None
        if "benchmarks" in document:
            return read_pyperf(path, benchmark)
        if "stringArray" in document.get("shared", {}):
            return read_gecko(document, path)
        if "profiles" not in document:
            raise InvalidFile(
                str(path), 1, "the file", "of pyperf, py-spy or Tachyon", sorted(document)[:5]
            )
        recording = read_speedscope(document, path)
    if counted and recording.counted not in (None, counted):
        raise InvalidValue("--import", f"{recording.counted}:{path}, as the file says", text)
    return replace(recording, counted=counted or recording.counted)


def _combined(recordings: dict[Counted, Recording], times: TaskTimes | None) -> StateTimes:
    """Return the states' times of three recordings of the same program, made alike."""
    missing = [counted for counted in Counted if counted not in recordings]
    if missing:
        what = "how long whole tasks take" if times and not recordings else "part of it"
        raise InvalidValue(
            "--import", f"enough to tell held, released and blocked time: {HOW}", what,
            f"{', '.join(missing)} is missing; or give one file of Tachyon's --gecko",
        )  # fmt: skip
    seconds = {recording.seconds for recording in recordings.values()}
    if len(seconds) > 1:
        raise InvalidValue("--import", "recordings with the same sampling rate", "different ones")
    gil, cpu, wall = (recordings[counted] for counted in Counted)
    for few, many in ((gil, cpu), (cpu, wall)):
        if few.samples > many.samples + CONTRADICTION * sqrt(many.samples):
            raise InvalidValue(
                f"{few.path} with {many.path}", "recorded alike: no more samples in the first",
                f"{few.samples:g} and {many.samples:g}",
                "record the same program for as long, at the same rate",
            )  # fmt: skip
    if max(len(recording.threads) for recording in (gil, cpu)) > 1:
        raise InvalidValue(
            cpu.path, "of one thread at work, for waiting for the GIL looks like blocking in it",
            f"{len(cpu.threads)} threads", "use Tachyon's --gecko, or gilplan observe --pid",
        )  # fmt: skip
    whole = max(wall.threads.values())
    held = min(gil.samples, whole)
    busy = min(max(cpu.samples, held), whole)
    period = seconds.pop() or 1.0
    return StateTimes(
        source=f"import: {gil.tool}, {gil.samples:g} samples with the GIL, {cpu.samples:g} on a "
        f"core, {whole:g} in all",
        held=held * period,
        released=(busy - held) * period,
        blocked=(whole - busy) * period,
        samples=whole,
        notes=(
            "the recordings are taken to be equally long, at the same rate and load, and of one "
            "thread at work",
        ),
    )


def _observation(name: str, states: StateTimes, times: TaskTimes | None, build: str) -> Observation:
    shares = [part / states.total for part in (states.held, states.released, states.blocked)]
    busy = max(shares[0] + shares[1], 1e-9)
    lengths = times.times if times else (CHUNK / busy,) * 2
    tasks = [simple_task(*(share * length for share in shares)) for length in lengths]
    source = f"{states.source}; {times.source if times else 'no task times'}"
    estimates = [_share(share, states) for share in shares]
    notes = [*states.notes, UNSEEN]
    if times is None:
        notes.append(f"the files know no tasks: one is taken to be {CHUNK * 1e3:g} ms of work")
    task_time = mean_estimate(lengths, times.source if times else "assumed")
    workload = Workload(
        name=name,
        tasks=fitted_tasks(name, tasks, TaskTraits()),
        build=(times.build if times else "") or build,
        source=source,
        observed=Observed(
            method="import",
            tasks=len(times.times) if times else 0,
            held_share=estimates[0],
            released_share=estimates[1],
            blocked_share=estimates[2],
            task_time=task_time if times else _assumed(task_time),
        ),
    )
    if not workload.build:
        notes.append("no file names the CPython build: give it with --interpreter")
    return Observation(workload=workload, notes=tuple(notes))


def _share(value: float, states: StateTimes) -> Estimate:
    """Return a share with its interval, the samples taken as independent."""
    half = Z90 * sqrt(max(value * (1 - value), 1 / states.samples) / states.samples)
    return Estimate(
        value=value, lower=max(value - half, 0.0), upper=min(value + half, 1.0),
        source=states.source,
    )  # fmt: skip


def _assumed(time: Estimate) -> Estimate:
    return Estimate(
        value=time.value, lower=time.lower, upper=time.upper, source=time.source, flags=("assumed",)
    )
