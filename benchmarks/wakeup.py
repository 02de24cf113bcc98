"""How late a sleeping thread wakes up beside threads that compute: measured, and predicted.

    .venv/bin/python benchmarks/wakeup.py [--builds 3.13,3.14] [--time 2] [--json FILE]

One thread sleeps for 3 ms again and again and notes how late it is; 1, 2 or 4 threads of the same
process compute for ever under the same GIL. This is what an I/O thread pays for its neighbours:
the timer's slack, the way to a core, and a switch interval (or several) until it has the GIL.
Nothing of it is measured beforehand but the machine, and how long the sleeper has the GIL between
two sleeps: it is observed beside another process that computes, for then as here it finds little in
the caches. Each cell is measured in five rounds: lateness comes in steps (a sleep of 3 ms against
turns of 5), and from one round to the next the median jumps from one step to another. Needs an idle
machine with two cores or more, and the exact method of observing (root or CAP_PERFMON).
"""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from neighbours import (
    Rows,
    Seen,
    answer,
    computing_threads,
    in_rounds,
    measured_again,
    one_interpreter,
    print_errors,
    run,
)

from gilplan.calibration.builds import Build
from gilplan.calibration.observation.observe import Method
from gilplan.calibration.observation.process import observe_script
from gilplan.calibration.profile import Profile
from gilplan.model.durations import Deterministic, Empirical
from gilplan.model.latency import usual_latency_by_idle_time
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner import predict

INTERVALS = (1e-4, 1e-3, 5e-3, 2e-2)
COMPUTING = (1, 2, 4)
SLEEP = 0.003
PERCENTILES = (50, 99)
COMPUTE = """
total = 0
while True:
    total = (total + 1) % 1000003
"""
SLEEPER = f"""
import json, sys, threading, time
computing, interval, run_time = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
sys.setswitchinterval(interval)
late = []
def compute():
    total = 0
    while True:
        total = (total + 1) % 1000003
def sleep_often():
    end = time.perf_counter() + run_time
    while time.perf_counter() < end:
        began = time.perf_counter()
        time.sleep({SLEEP})
        late.append(time.perf_counter() - began - {SLEEP})
for _ in range(computing):
    threading.Thread(target=compute, daemon=True).start()
thread = threading.Thread(target=sleep_often)
thread.start()
thread.join()
print(json.dumps(late), flush=True)
__import__("os")._exit(0)
"""


def measured(build: Build, computing: int, interval: float, time: float) -> list[float]:
    """Return p50 and p99 of the lateness in seconds, without the first tenth of the sleeps."""
    late = answer(build, SLEEPER, computing, interval, time)
    return [float(x) for x in np.percentile(late[len(late) // 10 :], PERCENTILES)]


def held_times(build: Build, time: float) -> Empirical:
    """Observe for how long the sleeper has the GIL between two sleeps."""
    neighbour = subprocess.Popen([build.path, "-I", "-c", COMPUTE])
    try:
        with TemporaryDirectory(prefix="gilplan-") as scratch:
            script = Path(scratch) / "sleeper.py"
            script.write_text(SLEEPER, encoding="utf-8")
            arguments = [str(script), "0", str(INTERVALS[0]), str(2 * time)]
            observed = observe_script(arguments, build, time=time, method=Method.EXACT)
    finally:
        neighbour.kill()
        neighbour.wait()
    held = [
        sum(each.duration.mean for each in task.segments if each.kind is SegmentKind.PYTHON)
        for task in observed.workload.tasks
    ]
    return Empirical(samples=tuple(held))


def sleeper_workload(profile: Profile, build: str, computing: int, held: Empirical) -> Workload:
    """Return the sleeper's task, the GIL ``held`` so long between two sleeps, and its neighbours.

    In the model a wait takes the time given, all in all: in reality the timer's slack and the
    wake-up come on top.
    """
    usual = usual_latency_by_idle_time(profile.machine.wake_latency)
    wait = SLEEP + profile.machine.timer_slack.value + usual(round(SLEEP * 1e9)) / 1e9
    task = Task(
        name="sleeper",
        segments=(
            Segment(kind=SegmentKind.WAIT, duration=Deterministic(wait)),
            Segment(kind=SegmentKind.PYTHON, duration=held),
        ),
    )
    beside = computing_threads(computing)
    return Workload(name="sleeper", tasks=(task,), build=build, background=beside)


def predicted(
    profile: Profile, build: str, computing: int, interval: float, held: Empirical
) -> list[float]:
    """Return the same as the model has it."""
    workload = sleeper_workload(profile, build, computing, held)
    layout = one_interpreter(profile, build, interval)
    (prediction,) = predict(workload, [layout], profile)
    return [prediction.response_time[f"p{p}"].mean - SLEEP for p in PERCENTILES]


def compare(build: Build, profile: Profile, time: float) -> Rows:
    """Measure and predict every cell of one build."""
    rows: Rows = []
    cells = [(computing, interval) for computing in COMPUTING for interval in INTERVALS]
    held = held_times(build, time)
    rounds = in_rounds(lambda *cell: measured(build, *cell, time), cells)
    profile = measured_again(profile)
    for (computing, interval), of_cell in zip(cells, rounds, strict=True):
        row: dict[str, object] = {
            "build": build.name,
            "computing": computing,
            "switch_interval": interval,
        }
        shown = []
        model = predicted(profile, build.name, computing, interval, held)
        for percentile, real, value in zip(
            PERCENTILES, zip(*of_cell, strict=True), model, strict=True
        ):
            seen = Seen.of(real)
            row |= seen.columns(f"p{percentile}", value)
            shown.append(
                f"p{percentile} measured {seen.median * 1e3:6.2f} ms "
                f"({seen.least * 1e3:.2f} to {seen.most * 1e3:.2f}), "
                f"predicted {value * 1e3:6.2f} ms ({seen.error(value):+.0%})"
            )
        rows.append(row)
        print(
            f"{build.name:9} {computing} computing, {interval * 1e3:4g} ms: {', '.join(shown)}",
            flush=True,
        )
    return rows


def conclude(rows: Rows) -> None:
    """Print each percentile's errors."""
    for p in PERCENTILES:
        print_errors(f"p{p}", rows, f"p{p}")


if __name__ == "__main__":
    run(compare, "How late a sleeper wakes up beside a GIL.", 2.0, conclude)
