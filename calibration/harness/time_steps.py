"""Time each step of a program's task in a single thread and print the raw samples as JSON.

    python time_steps.py PROGRAM --time 0.5 [--warmup 0.1] [--switch-interval 0.005]

SIGTERM ends it early, with what it has timed so far.

Tasks with a clock reading between steps alternate with tasks without, so that what the readings
cost is known: a step's time has the cost of reading the clock taken off, measured in the same
process, and ``whole`` is what the untouched task takes.

Output: ``{"steps": [{"name", "kind", "work", "releases", "times": [seconds, ...]}, ...],
"whole": [seconds, ...], "stamped_at" and "whole_at": when each began (perf_counter_ns),
"gauge": [[when, ns], ...] (see `SpeedGauge`), "stamp_time": seconds, "result": text of the task's
result}``, or ``{"error": "one line"}`` with exit status 1. A line
``{"started_at": perf_counter_ns}`` comes first, when the warm-up is over.

The task runs in a thread other than the main one, as the workers of a layout do: memory then
comes from the same kind of malloc arena.
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import sys
import threading
import time
from typing import Any

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
CALL = 3


def execute(path: str) -> dict[str, Any]:
    """Execute a sibling file by path: under ``-I`` its folder is not importable."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    namespace: dict[str, Any] = {"__name__": "worker", "__file__": path}
    exec(compile(text, path, "exec"), namespace)
    return namespace


def stamped_task(calls: tuple[Any, ...], state: Any, stamps: list[int]) -> None:
    """Do a task; leave the instants before the first step and after each one in ``stamps``."""
    clock = time.perf_counter_ns
    stamps[0] = clock()
    for number, call in enumerate(calls, 1):
        call(state)
        stamps[number] = clock()


def whole_task(calls: tuple[Any, ...], state: Any) -> tuple[int, int]:
    """Do a task as the workers of a layout do; return when it began and ended."""
    clock = time.perf_counter_ns
    start = clock()
    for call in calls:
        call(state)
    return start, clock()


def stamp_cost() -> float:
    """Return the nanoseconds that one reading of the clock adds to a step."""
    clock = time.perf_counter_ns
    stamps = [0] * 2001

    def stamp_only() -> None:
        for number, _call in enumerate(stamps[1:], 1):
            stamps[number] = clock()

    for _ in range(20):
        stamp_only()
    gaps = [b - a for a, b in itertools.pairwise(stamps[1:])]
    return statistics.median(gaps)


def measure(options: argparse.Namespace, told_to_end: list[int]) -> dict[str, Any]:
    """Alternate stamped and whole tasks until the time is over or a signal says so."""
    worker = execute(WORKER)
    program = worker["load"](options.program)
    steps = program["STEPS"]
    calls = tuple(step[CALL] for step in steps)
    state = program["setup"]()
    stamps = [0] * (len(steps) + 1)
    cost = stamp_cost()
    rows: list[list[int]] = []
    wholes: list[tuple[int, int]] = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < options.warmup:
        stamped_task(calls, state, stamps)
        whole_task(calls, state)
    gauge = worker["SpeedGauge"](worker["demand"](calls, state), worker["GAUGE_SPACING_NS"])
    print(json.dumps({"started_at": time.perf_counter_ns()}), file=options.answers, flush=True)
    begin = time.perf_counter()
    while len(rows) < options.tasks or (
        time.perf_counter() - begin < options.time and not told_to_end
    ):
        stamped_task(calls, state, stamps)
        rows.append(stamps.copy())
        gauge.read()
        wholes.append(whole_task(calls, state))
        gauge.read()
    return {
        "steps": [
            {
                "name": step[0],
                "kind": step[1],
                "work": step[2],
                "releases": step[4] if len(step) > 4 else 1,
                "times": [max(row[n + 1] - row[n] - cost, 0.0) / 1e9 for row in rows],
            }
            for n, step in enumerate(steps)
        ],
        "stamped_at": [row[0] for row in rows],
        "whole": [max(end - start - cost, 0.0) / 1e9 for start, end in wholes],
        "whole_at": [start for start, _end in wholes],
        "gauge": gauge.readings,
        "stamp_time": cost / 1e9,
        "result": repr(state.result),
    }


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Time a program's steps in a single thread.")
    parser.add_argument("program")
    parser.add_argument("--time", type=float, default=0.5)
    parser.add_argument("--warmup", type=float, default=0.1)
    parser.add_argument("--tasks", type=int, default=5, help="least number of timed tasks")
    parser.add_argument("--switch-interval", type=float)
    options = parser.parse_args(argv)
    options.answers = os.fdopen(os.dup(1), "w")
    # What the program prints must not get between the answers, nor fill a pipe.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    if options.switch_interval is not None:
        sys.setswitchinterval(options.switch_interval)
    answers: list[dict[str, Any]] = []
    told_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: told_to_end.append(number))

    def work() -> None:
        # A signal that this thread received would not wake the main one, which handles it.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            answers.append(measure(options, told_to_end))
        except BaseException as error:
            answers.append({"error": f"{type(error).__name__}: {error}"})

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    print(json.dumps(answers[0]), file=options.answers, flush=True)
    os._exit("error" in answers[0])


if __name__ == "__main__":
    main(sys.argv[1:])
