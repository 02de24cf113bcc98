"""Time each step of a program's task in a single thread and print the raw samples as JSON.

    python time_steps.py PROGRAM --time 0.5 [--warmup 0.1] [--switch-interval 0.005]

Tasks with a clock reading between steps alternate with tasks without, so that what the readings
cost is known: a step's time has the cost of reading the clock taken off, measured in the same
process, and ``whole`` is what the untouched task takes.

Output: ``{"steps": [{"name", "kind", "work", "releases", "times": [seconds, ...]}, ...],
"whole": [seconds, ...], "stamp_time": seconds, "result": text of the task's result}``, or
``{"error": "one line"}`` with exit status 1.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
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


def whole_task(calls: tuple[Any, ...], state: Any) -> int:
    """Do a task as the workers of a layout do; return its nanoseconds."""
    clock = time.perf_counter_ns
    start = clock()
    for call in calls:
        call(state)
    return clock() - start


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


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Alternate stamped and whole tasks until the time is over."""
    program = execute(WORKER)["load"](options.program)
    steps = program["STEPS"]
    calls = tuple(step[CALL] for step in steps)
    state = program["setup"]()
    stamps = [0] * (len(steps) + 1)
    cost = stamp_cost()
    rows: list[list[int]] = []
    wholes: list[int] = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < options.warmup:
        stamped_task(calls, state, stamps)
        whole_task(calls, state)
    begin = time.perf_counter()
    while time.perf_counter() - begin < options.time or len(rows) < options.tasks:
        stamped_task(calls, state, stamps)
        rows.append(stamps.copy())
        wholes.append(whole_task(calls, state))
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
        "whole": [max(whole - cost, 0.0) / 1e9 for whole in wholes],
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
    if options.switch_interval is not None:
        sys.setswitchinterval(options.switch_interval)
    status = 0
    try:
        result = measure(options)
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
        status = 1
    json.dump(result, sys.stdout)
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
