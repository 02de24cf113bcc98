"""Have small tasks done by an executor and by the submitting thread itself, by turns.

    python run_pool.py KIND --workers 2 --population 4 --rounds 400

``KIND`` as in the kernel ``boundary``; the folders of this file and of that kernel have to be on
the path (PYTHONPATH, which new interpreters and processes heed). In the executor's turns the
submitting thread keeps ``--population`` tasks under way, in the others it does them itself.

Output: ``{"pool": [tasks/s per turn], "single": [tasks/s per turn]}``.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import sys
import time
import warnings
from typing import Any

import boundary
import pool_task


def open_pools(kind: str, workers: int) -> Any:
    """Return what submits to so many workers; the kernel's own pools have one."""
    if kind == "thread":
        return boundary.Executor(concurrent.futures.ThreadPoolExecutor(workers))
    if kind == "process":
        context = multiprocessing.get_context("fork")
        return boundary.Executor(concurrent.futures.ProcessPoolExecutor(workers, context))
    if sys.version_info >= (3, 14):
        executor: Any = concurrent.futures.InterpreterPoolExecutor(workers)
        return boundary.Executor(executor)
    return boundary.Channel(workers)


def pool_rate(pool: Any, population: int, rounds: int, time_ns: int) -> float:
    """Return the tasks per second of the pool with so many tasks under way."""
    clock = time.perf_counter_ns
    for _ in range(population):
        pool.submit(pool_task.spin, rounds)
    began, done = clock(), 0
    while clock() - began < time_ns:
        pool.collect()
        done += 1
        pool.submit(pool_task.spin, rounds)
    taken = clock() - began
    for _ in range(population):
        pool.collect()
    return done / taken * 1e9


def single_rate(rounds: int, time_ns: int) -> float:
    """Return the tasks per second of the submitting thread alone."""
    clock = time.perf_counter_ns
    began, done = clock(), 0
    while clock() - began < time_ns:
        pool_task.spin(rounds)
        done += 1
    return done / (clock() - began) * 1e9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("thread", "interpreter", "process"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--population", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--window", type=float, default=0.06)
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    pool = open_pools(options.kind, options.workers)
    # Long enough that what is under way at the ends is little beside what is done.
    window = max(int(options.window * 1e9), int(150e9 / single_rate(options.rounds, 20_000_000)))
    rates: dict[str, list[float]] = {"pool": [], "single": []}
    for turn in range(options.turns + 2):
        single = single_rate(options.rounds, window // 2)
        together = pool_rate(pool, options.population, options.rounds, window)
        if turn >= 2:
            rates["single"].append(single)
            rates["pool"].append(together)
    for worker in multiprocessing.active_children():
        worker.kill()
    print(json.dumps(rates), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
