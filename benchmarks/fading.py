"""How quickly the slow-down fades that a thread has after the turns of others.

    .venv/bin/python benchmarks/fading.py [--builds 3.13,3.14] [--programs sort_records]
        [--time 10]

Threads of one interpreter do the tasks of a program and take turns of 50 ms. Each task's processor
time is set beside how much the thread has computed since its turn began, and beside the same
thread's tasks after 20 to 45 ms of it. The task that the turn began in counts as work done, of
which about half was; a task is longer than the first bins in some programs. In the model the
slow-down falls as 1 / (1 + work / c) (`ColdStart`). Needs an idle machine with two cores or more.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from each_program import for_each_program
from neighbours import answer
from scipy.stats import trim_mean

from gilplan.calibration.builds import Build
from gilplan.calibration.profile import Profile

THREADS = (2, 8)
INTERVAL = 0.05
#: Milliseconds of work since the turn began.
EDGES = (0.25, 0.5, 1, 2, 4, 8, 16, 20, 45)
#: From there on nothing is cold.
WARM_FROM = 20
#: So much is left out at either end: interrupts, other tenants.
TRIMMED = 0.1
TASKS = f"""
import json, runpy, sys, threading, time
path, count, run_time = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
program = runpy.run_path(path)
calls = [step[3] for step in program["STEPS"]]
sys.setswitchinterval({INTERVAL})
ended = False
def work(add, state, cpu=time.thread_time_ns, wall=time.perf_counter_ns):
    while not ended:
        before, began = cpu(), wall()
        for call in calls:
            call(state)
        add((cpu() - before, wall() - began))
tasks = [[] for _ in range(count)]
states = [program["setup"]() for _ in tasks]
threads = [
    threading.Thread(target=work, args=(mine.append, state))
    for mine, state in zip(tasks, states)
]
for thread in threads:
    thread.start()
time.sleep(run_time)
ended = True
for thread in threads:
    thread.join()
print(json.dumps(tasks))
"""


def by_work_done(tasks: Sequence[Sequence[tuple[int, int]]]) -> list[list[int]]:
    """Return the tasks' times in ns by the work since the turn began, at their middle."""
    bins: list[list[int]] = [[] for _ in EDGES]
    for of_thread in tasks:
        done = None
        for time, elapsed in of_thread:
            if elapsed - time > INTERVAL * 1e9 / 3:
                done = time / 2
            elif done is not None:
                middle = (done + time / 2) / 1e6
                done += time
                if middle < EDGES[-1]:
                    bins[int(np.searchsorted(EDGES, middle, side="right"))].append(time)
    return bins


def show(build: Build, program: Path, _: Profile, time: float) -> None:
    """Measure one program and print its slow-down by work done."""
    for threads in THREADS:
        bins = by_work_done(answer(build, TASKS, str(program), threads, time))
        upper = [EDGES[number] for number in range(len(EDGES)) if bins[number]]
        times = [float(trim_mean(bin_, TRIMMED)) for bin_ in bins if bin_]
        warm = mean(time for edge, time in zip(upper, times, strict=True) if edge > WARM_FROM)
        shown = " ".join(
            f"<{edge:g}: {time / warm - 1:+.0%}" for edge, time in zip(upper, times, strict=True)
        )
        print(f"{build.name:9} {program.stem:16} {threads} threads, ms {shown}", flush=True)


if __name__ == "__main__":
    for_each_program(
        show,
        "How quickly cold caches warm up.",
        programs="sort_records,shortest_path,csv_statistics,xml_feed",
        time=10.0,
    )
