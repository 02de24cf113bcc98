"""What threads that only compute get done behind one GIL, measured and simulated.

    .venv/bin/python benchmarks/spin.py [--builds 3.13,3.14] [--time 3] [--json FILE]

Two, four and eight threads run a loop in registers at several switch intervals, by turns with a
single thread of it (see `gilplan.calibration.pairing`), brought to one speed of the cores by the
gauge that both read. The loop leaves nothing in the caches: what is missing from the single
thread's rate is the time in which nobody has the GIL, and that in which waiters keep its holder
off its core. Needs an idle machine with two cores or more.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from neighbours import (
    Rows,
    Seen,
    in_rounds,
    measured_again,
    one_interpreter,
    print_errors,
    run,
    timeline_of,
)

from gilplan.calibration.builds import Build
from gilplan.calibration.pairing import PairedRun, Turns, measure_paired
from gilplan.calibration.profile import Profile
from gilplan.model.durations import Deterministic
from gilplan.model.workload import Segment, SegmentKind, Task, Workload

THREADS = (2, 4, 8)
INTERVALS = (1e-4, 3e-4, 1e-3)
#: What a task takes in the model; the real one is about as long.
TASK_TIME = 1e-4
TURNS = Turns(count=24, window=0.1, reference_window=0.05, warmup=0.15, uninterrupted=0.05)
LOOP = """
from types import SimpleNamespace
def setup():
    return SimpleNamespace(result=None)
def compute(state):
    total = 0
    for number in range(2000):
        total += number & 3
    state.result = total
STEPS = (("compute", "python", "bytecode", compute),)
"""


def relative_rate(paired: PairedRun) -> float:
    """Return the rate over the single thread's, at the same speed of their cores."""
    slowness = np.nan_to_num(paired.slowness)
    even = np.asarray(paired.reference_rates) * np.exp(-slowness)
    return float(np.mean(paired.rates) / even.mean())


def simulated(profile: Profile, build: str, threads: int, interval: float, time: float) -> float:
    """Return the rate over that of a thread that is never disturbed, in the model."""
    loop = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(TASK_TIME))
    workload = Workload(name="spin", tasks=(Task(name="spin", segments=(loop,)),))
    layout = one_interpreter(profile, build, interval, threads=threads)
    timeline = timeline_of(profile, workload, layout, time)
    settled = TURNS.warmup * 1e9
    done = sum(at > settled for at, *_ in timeline.completions)
    return done * TASK_TIME / (time - TURNS.warmup)


def compare(build: Build, profile: Profile, time: float) -> Rows:
    """Measure and simulate every cell of one build."""
    turns = replace(TURNS, count=max(round(time / (TURNS.window + TURNS.reference_window)), 3))
    cells = [(threads, interval) for interval in INTERVALS for threads in THREADS]
    with TemporaryDirectory() as directory:
        program = Path(directory) / "spin.py"
        program.write_text(LOOP, encoding="utf-8")

        def measure(threads: int, interval: float) -> float:
            layout = one_interpreter(profile, build.name, interval, threads=threads)
            return relative_rate(measure_paired(build, program, layout, turns))

        found = in_rounds(measure, cells)
    fresh = measured_again(profile)
    rows: Rows = []
    for (threads, interval), rates in zip(cells, found, strict=True):
        seen, model = Seen.of(rates), simulated(fresh, build.name, threads, interval, time)
        rows.append(
            {"build": build.name, "threads": threads, "switch_interval": interval}
            | seen.columns("rate", model)
        )
        print(
            f"{build.name:9} {threads} at {interval * 1e3:3g} ms: {seen.median:.3f} of one "
            f"thread's rate ({seen.least:.3f} to {seen.most:.3f}), simulated {model:.3f}, "
            f"{seen.error(model):+.1%}",
            flush=True,
        )
    print_errors(build.name, rows, "rate")
    return rows


if __name__ == "__main__":
    run(compare, "What threads that compute get done behind one GIL.", time=3.0)
