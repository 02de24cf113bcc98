"""One thread beside others that compute for ever: what the benchmarks of it have in common."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
from chosen_builds import profile_and_builds

from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.profile import Profile
from gilplan.calibration.refresh import refreshed
from gilplan.calibration.runner import ProcessorClock
from gilplan.model.arrivals import Closed
from gilplan.model.durations import Deterministic
from gilplan.model.errors import GilplanError, MeasurementFailed
from gilplan.model.layout import GilMode, Layout
from gilplan.model.recorder import Timeline
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner.progress import progress

Rows = list[dict[str, object]]
T = TypeVar("T")
SPIN_TIME = 0.05
#: Every cell is measured so often, each round in the same order.
ROUNDS = 5
#: What a prediction may be off.
BAR = 0.15


@dataclass(frozen=True, slots=True)
class Seen:
    """What the rounds measured of one figure: their median, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Seen":
        values = sorted(values)
        return cls(median=median(values), least=values[0], most=values[-1])

    def error(self, predicted: float) -> float:
        """Return by what share of the median a prediction is too high."""
        return predicted / self.median - 1

    def columns(self, name: str, predicted: float) -> dict[str, object]:
        """Return the columns of a row that has this figure and what was predicted for it."""
        return {
            f"measured_{name}": self.median,
            f"least_{name}": self.least,
            f"most_{name}": self.most,
            f"predicted_{name}": predicted,
            f"error_{name}": self.error(predicted),
            # Beyond what the rounds themselves differ by.
            f"net_error_{name}": max(1 - predicted / self.least, predicted / self.most - 1, 0.0),
        }


def answer(build: Build, script: str, *arguments: float | str) -> Any:
    """Run a script's text under the build and return the JSON that it prints.

    Raises `MeasurementFailed` with the script's last words.
    """
    command = [build.path, "-I", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise MeasurementFailed(f"the script failed: {said[-1]}")
    return json.loads(done.stdout)


def in_rounds(measure: Callable[..., T], cells: Sequence[tuple[int, float]]) -> list[list[T]]:
    """Measure every cell once a round; return what each gave, and print what the host took."""
    clock = ProcessorClock()
    rounds = [[measure(*cell) for cell in cells] for _ in range(ROUNDS)]
    print(f"the host took {clock.steal_share:.0%} of the processors' time meanwhile", flush=True)
    return [list(of_cell) for of_cell in zip(*rounds, strict=True)]


def computing_threads(count: int) -> tuple[Task, ...]:
    """Return the background of a workload in which so many threads compute for ever."""
    spin = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(SPIN_TIME))
    return tuple(Task(name=f"compute {number}", segments=(spin,)) for number in range(count))


def one_interpreter(profile: Profile, build: str, interval: float, *, threads: int = 1) -> Layout:
    """Return a process with one interpreter and its workers at a switch interval in seconds."""
    runtime = profile.runtime(build)
    return Layout(
        build=runtime.build,
        threads=threads,
        gil=GilMode.OWN if runtime.gil_per_interpreter else GilMode.SHARED,
        switch_interval=interval,
    )


def timeline_of(
    profile: Profile,
    workload: Workload,
    layout: Layout,
    time: float,
    *,
    arrivals: Closed = Closed(),
) -> Timeline:
    """Simulate the workload's threads for so many seconds and return all that they did."""
    timeline = Timeline()
    simulate(
        Scenario(
            workload=workload,
            arrivals=arrivals,
            layout=layout,
            runtime=profile.runtime(layout.build),
            machine=profile.machine,
            run_time=time,
            seed=0,
        ),
        timeline,
    )
    return timeline


def measured_again(profile: Profile) -> Profile:
    """Return the profile with hand-offs and speeds measured once more, now that all cells are.

    Joined with those of before: what a host does to the cores meanwhile is told by both ends
    better than by one. A measurement that fails costs only itself.
    """
    try:
        with progress() as report:
            again = refreshed(
                profile,
                find_builds()[0],
                rng=np.random.default_rng(1),
                joined=True,
                progress=report,
            )
    except GilplanError as error:
        print(f"hand-offs and speeds are those of the beginning: {error}", file=sys.stderr)
        again = profile
    machine = again.machine
    shares = ", ".join(
        f"{machine.awake_share_at(interval):.0%} and {machine.awake_share_beside_at(interval):.0%} "
        f"at {interval * 1e3:g} ms"
        for interval in (1e-3, 5e-3, 2e-2)
    )
    print(
        "who asks for the GIL keeps the signal past an older waiter, and past one that runs at "
        f"once, in {shares}",
        flush=True,
    )
    return again


def run(
    compare: Callable[[Build, Profile, float], Rows],
    description: str,
    time: float,
    conclude: Callable[[Rows], None] = lambda rows: None,
) -> None:
    """Compare on every build that the command line asks for; keep the rows if it says where.

    What hand-offs cost depends on where a virtual machine's host has just put its cores: it is
    measured anew before each build, and by `measured_again` after its cells. A build that cannot be
    compared costs one line, Ctrl-C that build and those after it; the exit status is then 1.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--builds", default="", help="such as 3.13,3.14; default: all known")
    parser.add_argument("--time", type=float, default=time, help="seconds of each run")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.time <= 0:
        parser.error(f"--time must be more than 0 seconds, got {options.time:g}")
    if options.json is not None:
        try:
            options.json.touch()
        except OSError as error:
            parser.error(f"--json: {error}")
    profile, builds = profile_and_builds(parser, options.builds)
    here, rng = find_builds()[0], np.random.default_rng(0)
    rows: Rows = []
    failed = False
    for build in builds:
        try:
            with progress() as report:
                fresh = refreshed(profile, here, rng=rng, progress=report)
            rows += compare(build, fresh, options.time)
        except GilplanError as error:
            failed = True
            print(f"{build.name}: {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            failed = True
            print(f"{build.name}: interrupted", file=sys.stderr, flush=True)
            break
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    conclude(rows)
    if failed:
        sys.exit(1)


def print_errors(label: str, rows: Rows, name: str) -> None:
    """Print the median and the worst error of a figure, and how many are small enough."""
    errors = sorted(abs(float(str(row[f"error_{name}"]))) for row in rows)
    if not errors:
        return
    nets = [float(str(row[f"net_error_{name}"])) for row in rows]
    print(
        f"{label}: median error {median(errors):.0%}, worst {errors[-1]:.0%}; "
        f"{_small(errors)} of {len(rows)} within {BAR:.0%}, "
        f"{_small(nets)} within that of what some round measured",
        flush=True,
    )


def _small(errors: Iterable[float]) -> int:
    return sum(error <= BAR for error in errors)
