"""A whole process is observed: a script from its start, or one that runs already.

Nobody says where a task begins here. A task is taken to be one cycle of a thread: from the end of
one wait to the end of the next, or, in a thread that never waits, `CHUNK` of work.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gilplan.calibration.builds import Build, probe
from gilplan.calibration.observation.fitted_workload import TaskTraits, fitted_tasks
from gilplan.calibration.observation.gil_state import (
    DEFAULT_INTERVAL,
    from_interval,
    from_offsets,
    opened,
)
from gilplan.calibration.observation.observation import Observation, observed_from
from gilplan.calibration.observation.observed_task import (
    ObservedTask,
    ProbeCost,
    Seen,
    corrected,
    simple_task,
)
from gilplan.calibration.observation.probes import (
    MethodUnavailable,
    PythonObject,
    await_python,
    find_python,
    placed,
)
from gilplan.calibration.observation.recording import Recorder
from gilplan.calibration.observation.sampling import Samples, interval
from gilplan.calibration.observation.script import held_script
from gilplan.calibration.observation.target import started
from gilplan.calibration.observation.trace import Did, ThreadTrace, Turn, turns_in
from gilplan.model.errors import InvalidValue, MeasurementFailed
from gilplan.model.workload import Workload

#: A wait at least this long ends a cycle; a shorter one is part of it.
CYCLE_WAIT = 100e-6
#: The task of a thread that never waits.
CHUNK = 0.01
#: A thread without a single release counts when it used this share of the time.
NOTICEABLE = 0.02
START_LIMIT = 10.0
UNSEEN = "how long the GIL cannot be interrupted, allocations and payloads are not observed"


def observe_process(pid: int, *, time: float, method: str | None = None) -> Observation:
    """Observe the threads of a running process for ``time`` seconds.

    Raises `MeasurementFailed` when it is not a CPython process, belongs to another user, or ends
    meanwhile; `InvalidValue` for a method that cannot observe a process.
    """
    python = await_python(pid)
    build = _build_of(pid)

    def wait() -> None:
        _sleep_while_alive(pid, time)

    try:
        return _observed(f"process {pid}", pid, build, python, wait, method)
    except MethodUnavailable:
        _check_alive(pid)  # the better reason
        raise


def observe_script(
    arguments: Sequence[str], build: Build, *, time: float, method: str | None = None
) -> Observation:
    """Run a script with its arguments under the build, and observe its first ``time`` seconds.

    It is stopped then. Its output is thrown away. Raises `InvalidValue` when there is no such
    script, `MeasurementFailed` when it fails.
    """
    script = Path(arguments[0])
    if not script.is_file():
        raise InvalidValue("script", "a file that is there", arguments[0])
    with held_script(arguments, build) as process:
        ended = False

        def run() -> None:
            nonlocal ended
            ended = process.run(time)

        observation = _observed(
            process.name, process.pid, build, await_python(process.pid, START_LIMIT), run, method
        )
        until = "observed to its end" if ended else f"stopped after {time:g} s"
        return replace(observation, notes=(*observation.notes, f"the script was {until}"))


def _observed(
    name: str,
    pid: int,
    build: Build,
    python: PythonObject,
    run: Callable[[], None],
    method: str | None,
) -> Observation:
    if method == "clock":
        raise InvalidValue(
            "method", "exact or sampling for a process or a script", method,
            "the clock method needs a function that does one task",
        )  # fmt: skip
    notes: tuple[str, ...] = ()
    if method in (None, "exact"):
        try:
            seen = _exactly(pid, build, python, run)
            return _observation(name, build, "exact: perf uprobes", seen, ())
        except MethodUnavailable as error:
            if method:
                raise
            _check_alive(pid)
            notes = (f"exact method not used: {error}",)
    seen = _by_sampling(pid, python, run)
    return _observation(name, build, "sampling: the GIL's state read from outside", seen, notes)


def _observation(
    name: str, build: Build, how: str, seen: Seen, notes: tuple[str, ...]
) -> Observation:
    source = f"{how}, {len(seen.tasks)} cycles of threads"
    if not seen.tasks:
        raise MeasurementFailed(f"{name}: no thread did anything; observe it under load")
    workload = Workload(
        name=name,
        tasks=fitted_tasks(name, seen.tasks, TaskTraits()),
        build=build.name,
        source=source,
        observed=observed_from(
            how.partition(":")[0], [task.totals for task in seen.tasks], source, seen.held_of_busy
        ),
    )
    return Observation(workload=workload, notes=(*notes, *seen.notes, UNSEEN))


def _exactly(pid: int, build: Build, python: PythonObject, run: Callable[[], None]) -> Seen:
    cost = _probe_cost(build)
    with tempfile.TemporaryDirectory(prefix="gilplan-") as folder:
        recorder = Recorder(Path(folder))
        with placed(python, several_threads=True) as events, recorder.record(pid, events):
            begin = time.monotonic_ns()
            before = _cpu_times(pid)
            run()
            end = time.monotonic_ns()
            after = _cpu_times(pid)
        trace = recorder.trace()
    if trace.lost:
        raise MethodUnavailable(f"the kernel lost {trace.lost} events: observe it for less --time")
    threads = [number for number, thread in trace.threads.items() if thread.process == pid]
    silent = {
        thread
        for thread in after
        if after[thread][0] - before.get(thread, (0, 0))[0] > NOTICEABLE * (end - begin)
        and not _returns(trace.thread(thread), begin, end)
    }
    tasks = [
        task
        for thread in sorted({*threads, *silent})
        for task in _cycles(trace.thread(thread), (begin, end), cost, silent=thread in silent)
    ]
    notes = [
        f"{len({*threads, *silent})} threads seen; a task is one cycle of a thread, from the end "
        f"of one wait to the end of the next; a release's probes cost {cost.seconds * 1e6:.1f} us, "
        "taken off"
    ]
    if any(thread.process != pid for thread in trace.threads.values()):
        notes.append("it starts processes: their work is left out")
    return Seen(tasks=tuple(tasks), notes=tuple(notes))


def _cycles(
    thread: ThreadTrace, span: tuple[int, int], cost: ProbeCost, *, silent: bool
) -> Iterator[ObservedTask]:
    """Cut what a thread did, from its first to its last return to the GIL, into tasks."""
    if silent:  # it has had the GIL, or waited for it, all the time
        turns = turns_in(span, thread, contended=True)
        held = turns[0].held / 1e9
        count = max(round(held / CHUNK), 1)
        yield from [ObservedTask(held=(held / count,), released=(), blocked=())] * count
        return
    back = _returns(thread, *span)
    if len(back) < 2:
        return
    cycle: list[Turn] = []
    for turn in turns_in((back[0], back[-1]), thread, contended=True)[:-1]:
        cycle.append(turn)
        worked = sum(each.held + each.free for each in cycle)
        if turn.blocked >= CYCLE_WAIT * 1e9 or worked >= CHUNK * 1e9:
            yield corrected([*cycle, Turn()], cost)
            cycle = []


def _returns(thread: ThreadTrace, begin: int, end: int) -> list[int]:
    """Return the instants in the span at which the thread had the GIL again."""
    return [at for at, did in thread.events if did is Did.RESTORE and begin <= at < end]


def _probe_cost(build: Build) -> ProbeCost:
    """Measure what the probes of a release cost under the build, in a process of our own."""
    with started(build, "os:getpid", time=0.05, tasks=3) as (target, _):
        plain = target.phase("plain", limit=START_LIMIT)
        with tempfile.TemporaryDirectory(prefix="gilplan-") as folder:
            recorder = Recorder(Path(folder))
            with (
                placed(find_python(target.pid), several_threads=True) as events,
                recorder.record(target.pid, events),
            ):
                answer = target.phase("traced", limit=START_LIMIT)
            trace = recorder.trace()
        loop = turns_in(answer["loop"], trace.thread(target.pid))
        if len(loop) < 3:
            raise MethodUnavailable(
                "the probes see no release of the GIL: this build has PyEval_SaveThread inlined"
            )
        return ProbeCost.measured(loop, release_ns=plain["release_ns"], call_ns=plain["call_ns"])


def _by_sampling(pid: int, python: PythonObject, run: Callable[[], None]) -> Seen:
    with opened(pid) as memory:
        gil = from_offsets(memory, python) or from_interval(memory, python, DEFAULT_INTERVAL)
        if gil is None:
            raise MethodUnavailable(
                "no GIL is found in the process's memory (its switch interval may not be 5 ms)"
            )
        samples = Samples(gil)
        before, begin = _cpu_times(pid), time.perf_counter_ns()
        samples.start()
        try:
            run()
        finally:
            samples.stop()
        last = samples.rows[-1][0] if samples.rows else begin
        after = _cpu_times(pid) or before
    seen = samples.held_between(begin, last)
    held = float(seen.mean())
    wall = (last - begin) / 1e9
    busy, queued = (
        sum(times[k] - before.get(thread, (0, 0))[k] for thread, times in after.items())
        / (last - begin)
        for k in (0, 1)
    )
    # A holder that waits for a core holds all the same; that is no demand.
    on_core = busy / (busy + queued) if busy > 0 else 0.0
    held = min(held * on_core, busy)
    ends = [min(share * on_core / busy, 1.0) if busy > 0 else 0.0 for share in interval(seen)]
    count = max(round(busy * wall / CHUNK), 1)
    blocked = max(1 - busy - queued, 0.0) if len(after) == 1 else 0.0
    task = simple_task(*(share * wall / count for share in (held, busy - held, blocked)))
    notes = [
        f"the GIL was held {held:.1%} of the time, {busy:.2f} cores were busy; a task is "
        f"{CHUNK * 1e3:g} ms of work, one release of each kind is assumed"
    ]
    if len(after) > 1:
        notes.append(f"{len(after)} threads: what blocks is not seen by this method")
    return Seen(tasks=(task,) * count, notes=tuple(notes), held_of_busy=(ends[0], ends[1]))


def _cpu_times(pid: int) -> dict[int, tuple[int, int]]:
    """Return how long each thread ran and waited for a core, ns; nothing without the process."""
    times = {}
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            ran, waited = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[:2]
            times[int(thread)] = (int(ran), int(waited))
    except (OSError, ValueError):
        pass
    return times


def _sleep_while_alive(pid: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(0.1, left))
        _check_alive(pid)


def _check_alive(pid: int) -> None:
    """Raise `MeasurementFailed` once the process has ended, be it a zombie still."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        state = "X"
    if state in "XZ":
        raise MeasurementFailed(f"process {pid} ended while it was observed")


def _build_of(pid: int) -> Build:
    """Ask the executable of a process what it is."""
    build, note = probe(Path(os.path.realpath(f"/proc/{pid}/exe")))
    if build is None:
        raise MeasurementFailed(f"process {pid}: {note}")
    return build
