"""Time a program's tasks alone and among other threads, and print the raw times as JSON.

    python crowd.py PROGRAM --time 3

Threads that take turns under one GIL find their caches, and the memory that the interpreter
hands out, as the others left them; in the middle of a task too, where each still holds what it
has allocated. What that costs is processor time, so each thread reads its own processor clock
around each task. Waiting for the GIL costs processor time as well (timers, system calls): a
control that touches next to no memory is run under the same conditions and pays for that alone.

A machine changes its speed, and that of each core, within a second. So phases are short and
follow each other closely: one thread alone on one core, all of a point's threads, the thread
alone on the next core, all again. Every third time the same is done with the control. Without a
GIL a thread on every core stands for the one: what threads that run at the same time cost each
other comes not from turns.

Output: ``{"points": [{"threads", "interval", "cycles": [[alone, crowded], ...], "controls":
[[alone, crowded], ...]}, ...]}``, each the mean processor time of a task in seconds; or
``{"error": "one line"}`` with exit status 1. Points in which no task could be completed have no
cycles.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
CALL = 3
MOST_THREADS = 8
#: Threads and switch interval, the latter in seconds.
POINTS = ((2, 0.0001), (2, 0.001), (4, 0.0001), (8, 0.0003), (8, 0.003))
#: Without a GIL turns come only from the scheduler, and only with more threads than cores.
POINTS_WITHOUT_GIL = ((8, 0.003),)
#: How long a thread is alone and among others; at least so many tasks of each thread, and so many
#: turns. Alone the first task does not count: it begins with the caches that a pause has left.
ALONE, CROWDED = 0.01, 0.04
LEAST_TASKS = 3
LEAST_TURNS = 4
LONGEST = 1.0
SETTLE_TIME = 0.0005
#: The control is the same for every program: it takes its turn every so many cycles.
CONTROL_EVERY = 3


def control(_state: object) -> None:
    """Compute for about 100 us on what fits into registers and a few lines of cache."""
    total = 0
    for number in range(2000):
        total += number & 3


def execute(path: str) -> dict[str, Any]:
    """Execute a sibling file by path: under ``-I`` its folder is not importable."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    namespace: dict[str, Any] = {"__name__": "worker", "__file__": path}
    exec(compile(text, path, "exec"), namespace)
    return namespace


def with_gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Crowd:
    """Threads that do tasks while a phase lasts, and sleep between phases."""

    def __init__(self, program: dict[str, Any], threads: int) -> None:
        self.setup = program["setup"]
        self.calls = tuple(step[CALL] for step in program["STEPS"])
        # A thread that is late for its phase must find it open still, hence no events.
        self.gates = [threading.Semaphore(0) for _ in range(threads)]
        self.ready = threading.Barrier(threads + 1)
        self.phase = 0
        self.over = False
        self.todo: tuple[Callable[[Any], object], ...] = self.calls
        self.alone = True
        self.spent: list[tuple[int, int]] = []
        self.failures: list[BaseException] = []
        self.task_time = 0.0
        self.cores = sorted(os.sched_getaffinity(0))
        self.ids = [0] * threads
        for number in range(threads):
            threading.Thread(target=self.work, args=(number,), daemon=True).start()
        self.ready.wait()

    def work(self, number: int) -> None:
        """Set up in this thread, to which some states belong, then serve phases."""
        self.ids[number] = threading.get_native_id()
        try:
            state = self.setup()
            for call in self.calls:
                call(state)
            start = time.perf_counter()
            for call in self.calls:
                call(state)
            self.task_time = time.perf_counter() - start
        except BaseException as error:
            self.failures.append(error)
        self.ready.wait()
        while not self.failures and self.gates[number].acquire() and not self.over:
            try:
                self.serve(state)
            except BaseException as error:
                self.failures.append(error)

    def serve(self, state: Any) -> None:
        """Do tasks until the phase is over; count those that ended in it.

        Phases have odd numbers, the pauses between them even ones: a thread that woke too late
        finds a pause.
        """
        clock, phase, calls = time.thread_time_ns, self.phase, self.todo
        spent, done = 0, -1 if self.alone else 0
        while phase % 2:
            start = clock()
            for call in calls:
                call(state)
            if self.phase != phase:
                break
            spent += clock() - start if done >= 0 else 0
            done += 1
        self.spent.append((spent, max(done, 0)))

    def run(self, threads: list[int], todo: tuple[Callable[[Any], object], ...], length: float,
            *, alone: bool) -> float:  # fmt: skip
        """Run a phase; return the mean processor time of a task in seconds, NaN without one."""
        self.todo, self.spent, self.alone = todo, [], alone
        self.phase += 1
        for number in threads:
            self.gates[number].release()
        time.sleep(length)
        self.phase += 1
        while len(self.spent) < len(threads) and not self.failures:
            time.sleep(SETTLE_TIME)
        if self.failures:
            raise self.failures[0]
        done = sum(count for _, count in self.spent)
        return sum(spent for spent, _ in self.spent) / done / 1e9 if done else float("nan")

    def compared(
        self, threads: int, interval: float, turn: int, todo: tuple[Callable[[Any], object], ...]
    ) -> list[float]:
        """Return the processor time of a task alone, on two cores in turn, and in the crowd."""
        everyone = list(range(threads))
        running = 1 if with_gil() else min(len(self.cores), threads)
        ones = [(turn + number) % threads for number in range(running)]
        # The control's tasks are short: any phase holds many of them.
        tasks = LEAST_TASKS * self.task_time if todo is self.calls else 0.0
        lone, crowded = [], []
        for place in (2 * turn, 2 * turn + 1):
            for number, one in enumerate(ones):
                core = self.cores[(place + number) % len(self.cores)]
                os.sched_setaffinity(self.ids[one], {core})
            length = min(max(ALONE, tasks), LONGEST)
            lone.append(self.run(ones, todo, length, alone=True))
            for one in ones:
                os.sched_setaffinity(self.ids[one], self.cores)
            length = max(CROWDED, tasks * threads, LEAST_TURNS * interval * threads)
            crowded.append(self.run(everyone, todo, min(length, LONGEST), alone=False))
        return [sum(lone) / len(lone), sum(crowded) / len(crowded)]


def measure(crowd: Crowd, points: tuple[tuple[int, float], ...], until: float) -> list[Any]:
    """Go round the points until the time is over, each at least once."""
    found: list[dict[str, Any]] = [
        {"threads": threads, "interval": interval, "cycles": [], "controls": []}
        for threads, interval in points
    ]
    turn = 0
    while turn == 0 or time.perf_counter() < until:
        for point in found:
            sys.setswitchinterval(point["interval"])
            kinds = {"cycles": crowd.calls}
            if turn % CONTROL_EVERY == 0:
                kinds["controls"] = (control,)
            for kind, todo in kinds.items():
                cycle = crowd.compared(point["threads"], point["interval"], turn, todo)
                if all(value > 0 for value in cycle):
                    point[kind].append(cycle)
        turn += 1
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Time a program's tasks alone and in a crowd.")
    parser.add_argument("program")
    parser.add_argument("--time", type=float, default=3.0)
    options = parser.parse_args(argv)
    answers = os.fdopen(os.dup(1), "w")
    # What the program prints must not get between the answers, nor fill a pipe.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        program = execute(WORKER)["load"](options.program)
        crowd = Crowd(program, MOST_THREADS)
        if crowd.failures:
            raise crowd.failures[0]
        points = POINTS if with_gil() else POINTS_WITHOUT_GIL
        answer: dict[str, Any] = {
            "points": measure(crowd, points, time.perf_counter() + options.time)
        }
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
    return int("error" in answer)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    # The threads still sleep at their gates; some states must be left to the thread that has them.
    os._exit(status)
