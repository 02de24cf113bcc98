"""A real schedule above a simulated one: a sleeper beside threads that compute, thread by thread.

    .venv/bin/python benchmarks/schedules.py [--builds 3.14] [--computing 4] [--interval 0.02]

Errors of averages say that something is missing; what it is shows where the two timelines part. The
real one is recorded by the kernel (perf: switches, and probes where the GIL is given up and taken
back), the simulated one by the model's recorder. A line is a thread: ``#`` where it ran for half of
a column's time or more, ``+`` where it ran for less, such as to find the GIL still locked, ``.``
where it waited for the GIL or a core, blank where it slept. The model pays for a look in vain, but
has it in no state of its own. Needs an idle machine with two cores or more, and the exact method of
observing (root or CAP_PERFMON).
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from chosen_builds import profile_and_builds
from neighbours import one_interpreter
from wakeup import SLEEPER, held_times, sleeper_workload

from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.observation.probes import await_python, placed
from gilplan.calibration.observation.recording import Recorder
from gilplan.calibration.observation.trace import Did, ThreadTrace
from gilplan.calibration.profile import Profile
from gilplan.calibration.refresh import refreshed
from gilplan.model.arrivals import Closed
from gilplan.model.durations import Empirical
from gilplan.model.errors import GilplanError
from gilplan.model.recorder import State
from gilplan.model.scenario import Scenario
from gilplan.planner.progress import progress
from gilplan.planner.timelines.schedule import StateSpan, cut, simulate_schedule

#: Seconds before what is shown: until then the kernel takes the machine for a busy one.
SETTLING = 1.0
#: The sleeper goes on for longer than setting up the record takes, seconds.
RUN_TIME = 30.0
COLUMNS = 96
#: For how long the sleeper is observed, seconds.
OBSERVED = 2.0
#: Who was not heard of in all the time waited.
MARKS = {State.WAITING_GIL: ".", State.WAITING_CORE: ".", State.BLOCKED: " "}
NOT_HEARD_OF = "."


#: The threads' spans from 0 on, by name.
Lanes = dict[str, list[StateSpan]]


def measured(build: Build, computing: int, interval: float, span: float) -> Lanes:
    """Record the threads of a real run. Raises `MeasurementFailed`."""
    arguments = [str(computing), str(interval), str(RUN_TIME + span)]
    process = subprocess.Popen(
        [build.path, "-I", "-c", SLEEPER, *arguments], stdout=subprocess.DEVNULL
    )
    try:
        python = await_python(process.pid)
        time.sleep(SETTLING)
        # The main thread waits for the sleeper, which was started after those that compute.
        _, *others, sleeper = sorted(int(name) for name in os.listdir(f"/proc/{process.pid}/task"))
        with TemporaryDirectory(prefix="gilplan-") as scratch:
            recorder = Recorder(Path(scratch))
            with (
                placed(python, several_threads=True) as events,
                recorder.record(process.pid, events),
            ):
                time.sleep(span)
            trace = recorder.trace()
    finally:
        process.kill()
        process.wait()
    begin = min(thread.events[0][0] for thread in trace.threads.values() if thread.events)
    return {
        name: list(states(number, trace.thread(number), begin))
        for name, number in zip(_names(computing), [sleeper, *others], strict=True)
    }


def states(number: int, thread: ThreadTrace, begin: int) -> Iterator[StateSpan]:
    """Yield what a recorded thread did, seconds since ``begin``, ns.

    Who blocks with the GIL waits for it: a drop that others ask for goes through no function that
    can be probed.
    """
    passed = (did for _, did in thread.events if did in (Did.SAVE, Did.ASKED, Did.RESTORE))
    first = next(passed, Did.SAVE)
    attached, asking = first is Did.SAVE, first is Did.RESTORE
    for (at, did), (until, _) in pairwise(thread.events):
        if did is Did.SAVE:
            attached = False
        elif did is Did.ASKED:
            asking = True
        elif did is Did.RESTORE:
            attached, asking = True, False
        if did is Did.PREEMPTED:
            state = State.WAITING_CORE
        elif did is Did.OUT:
            state = State.WAITING_GIL if attached or asking else State.BLOCKED
        else:
            state = State.RUNNING
        yield StateSpan(
            start_at=(at - begin) / 1e9,
            end_at=(until - begin) / 1e9,
            thread=number,
            state=state,
            core=None,
        )


def simulated(
    profile: Profile, build: str, computing: int, interval: float, span: float, held: Empirical
) -> Lanes:
    """Record the same threads in the model."""
    scenario = Scenario(
        workload=sleeper_workload(profile, build, computing, held),
        arrivals=Closed(),
        layout=one_interpreter(profile, build, interval),
        runtime=profile.runtime(build),
        machine=profile.machine,
        run_time=SETTLING + span,
        seed=0,
    )
    schedule = simulate_schedule(scenario, time=SETTLING + span)
    return {
        name: [
            replace(each, start_at=each.start_at - SETTLING, end_at=each.end_at - SETTLING)
            for each in schedule.states
            if each.thread == number
        ]
        for name, number in zip(_names(computing), schedule.threads, strict=True)
    }


def _names(computing: int) -> list[str]:
    return ["sleeper", *(f"compute {number}" for number in range(computing))]


def line(spans: Sequence[StateSpan], span: float) -> str:
    """Return a thread's line: a mark for each of `COLUMNS` equal parts of the time."""
    marks = []
    width = span / COLUMNS
    for column in range(COLUMNS):
        here = cut(spans, column * width, (column + 1) * width)
        ran = sum(each.end_at - each.start_at for each in here if each.state is State.RUNNING)
        if ran:
            marks.append("#" if ran >= width / 2 else "+")
        else:
            longest = max(here, key=lambda each: each.end_at - each.start_at, default=None)
            marks.append(NOT_HEARD_OF if longest is None else MARKS[longest.state])
    return "".join(marks)


def show(title: str, lanes: Lanes, span: float) -> None:
    """Print a schedule."""
    print(title)
    for name, spans in lanes.items():
        print(f"  {name:10} |{line(spans, span)}|", flush=True)


def main() -> None:
    """Show both schedules of every build that the command line asks for."""
    parser = argparse.ArgumentParser(description="A real schedule above a simulated one.")
    parser.add_argument("--builds", default="", help="such as 3.13,3.14; default: all known")
    parser.add_argument("--computing", type=int, default=4, help="threads beside the sleeper")
    parser.add_argument("--interval", type=float, default=0.02, help="switch interval, seconds")
    parser.add_argument("--span", type=float, default=0.4, help="seconds that are shown")
    options = parser.parse_args()
    if options.computing < 0 or options.interval <= 0 or options.span <= 0:
        parser.error("--computing must not be negative, --interval and --span be more than 0")
    profile, builds = profile_and_builds(parser, options.builds)
    cell = options.computing, options.interval, options.span
    rng = np.random.default_rng(0)
    for build in builds:
        try:
            with progress() as report:
                fresh = refreshed(profile, find_builds()[0], rng=rng, progress=report)
            held = held_times(build, OBSERVED)
            real = measured(build, *cell)
            model = simulated(fresh, build.name, *cell, held)
        except (GilplanError, KeyboardInterrupt) as error:
            print(f"{build.name}: {error or 'interrupted'}", file=sys.stderr)
            sys.exit(1)
        print(
            f"{build.name}: {options.computing} beside a sleeper at {options.interval * 1e3:g} ms, "
            f"a column is {options.span / COLUMNS * 1e3:.2g} ms"
        )
        show("measured", real, options.span)
        show("simulated", model, options.span)


if __name__ == "__main__":
    main()
