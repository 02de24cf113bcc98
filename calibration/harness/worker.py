"""The closed loop of a layout's workers, executed by path in whatever interpreter runs them.

Nothing here may import more than the standard library, nor anything that refuses to load in an
isolated sub-interpreter: in one, this file is executed as text, because objects and modules
cannot be handed over. Results leave through files, one per worker.
"""

import os
import sys
import threading
import time
import traceback
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

#: Where the callable is in a step (name, kind, work, callable[, releases]).
CALL = 3
#: How much processor time passes between two readings of the gauge, which take a hundredth of it.
GAUGE_SPACING_NS = 3_000_000


def load(path: str) -> dict[str, Any]:
    """Execute the program file and return its namespace."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    namespace: dict[str, Any] = {"__name__": "program", "__file__": path}
    exec(compile(text, path, "exec"), namespace)
    return namespace


def count() -> int:
    """Compute for 10 to 20 us on a few lines of cache.

    All numbers are below 257, which exist once for all: none is allocated, whose place in memory
    would depend on what the program has allocated before.
    """
    total = 0
    for _ in range(4):
        for _ in range(100):
            total = (total + 5) & 127
    return total


class SpeedGauge:
    """Times a short loop between tasks again and again: how fast this thread's core is just now.

    A core's clock, and on a virtual machine what the host runs beside it, change its speed by tens
    of per cent within milliseconds, for a task and for the loop alike. ``readings`` are pairs of
    when (perf_counter) and how long the loop took, both in nanoseconds.

    It is read every so many tasks, about every ``spacing`` ns of a thread that needs ``demand`` ns
    for one, and by the clock that the kernel keeps in user space (vDSO). To ask for a thread's
    processor time would make the scheduler account for the running thread, and a slice that is over
    ends then (update_curr in kernel/sched/fair.c): asked after each task, threads that share a core
    would change at the ends of tasks and not at the ticks in the middle of them.
    """

    def __init__(self, demand: int, spacing: int) -> None:
        self.every = max(spacing // demand, 1)
        self.left = 1
        self.readings: list[tuple[int, int]] = []

    def read(self) -> None:
        """Read, unless it was read a few tasks ago."""
        self.left -= 1
        if self.left:
            return
        self.left = self.every
        clock = time.perf_counter_ns
        # What the caches have lost is no matter of speed.
        count()
        start = clock()
        count()
        end = clock()
        self.readings.append((end, end - start))


def demand(calls: tuple[Any, ...], state: Any) -> int:
    """Do the task once more; return the processor time that it took in nanoseconds, 1 at least."""
    start = time.thread_time_ns()
    for call in calls:
        call(state)
    return max(time.thread_time_ns() - start, 1)


def usual_reading(readings: Iterable[float]) -> float:
    """Return the mean of the readings but those of twice the median and more.

    In these the thread was interrupted: to pass the GIL on and get it back takes longer than the
    loop. A core's speed differs less, and a mean is nearer than the median to what tasks had of it.
    """
    ordered = sorted(readings)
    kept = ordered[: bisect_left(ordered, 2 * ordered[len(ordered) // 2])]
    return sum(kept) / len(kept)


def loop(calls: tuple[Any, ...], state: Any, deadline: int, gauge: SpeedGauge) -> list[int]:
    """Do tasks until the deadline; return the instants of completion, perf_counter nanoseconds."""
    clock = time.perf_counter_ns
    completions: list[int] = []
    append = completions.append
    now = clock()
    while now < deadline:
        for call in calls:
            call(state)
        now = clock()
        append(now)
        gauge.read()
    return completions


class Crew:
    """The threads of one interpreter: set up, meet the others at the start, run, report."""

    def __init__(self, settings: dict[str, Any], first_worker: int) -> None:
        self.settings = settings
        self.first_worker = first_worker

    def run(self) -> None:
        """Run one worker per thread, none in the main one.

        Memory that a thread other than the main one allocates comes from another malloc arena,
        which makes some programs faster and others slower: all layouts should have the same.
        """
        interval = self.settings["switch_interval"]
        if interval is not None:
            sys.setswitchinterval(interval)
        threads = self.settings["threads"]
        config = self.settings["config"]
        if config is not None and not config["allow_threads"]:
            # The thread that runs this interpreter is not the main one either.
            self.work(self.first_worker)
            return
        team = [
            threading.Thread(target=self.work, args=(self.first_worker + number,))
            for number in range(threads)
        ]
        for thread in team:
            thread.start()
        for thread in team:
            thread.join()

    def work(self, worker: int) -> None:
        """Set up, wait for the common start, loop, write the completions."""
        try:
            program = load(self.settings["program"])
            state = program["setup"]()
            gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
            if self.settings["gil"] == "disabled" and gil_enabled():
                raise RuntimeError("an extension module of the program switched the GIL back on")
            calls = tuple(step[CALL] for step in program["STEPS"])
            for call in calls:
                call(state)
            gauge = SpeedGauge(demand(calls, state), GAUGE_SPACING_NS)
            start = self.meet()
            completions = loop(calls, state, start + self.settings["run_time_ns"], gauge)
            readings = [value for at, spent in gauge.readings for value in (at - start, spent)]
            self.leave(worker, "completions", [instant - start for instant in completions])
            self.leave(worker, "gauge", readings)
        except BaseException as error:
            self.fail(worker, error)

    def leave(self, worker: int, what: str, values: list[int]) -> None:
        with open(self.path(worker, what), "wb") as file:
            array("q", values).tofile(file)

    def meet(self) -> int:
        """Say that this worker is ready, wait until all are; return the start instant."""
        os.write(self.settings["ready"], b"r")
        start = int.from_bytes(os.read(self.settings["go"], 8), "little")
        delay = start - time.perf_counter_ns()
        if delay > 0:
            time.sleep(delay / 1e9)
        return start

    def fail(self, worker: int, error: BaseException) -> None:
        """Leave one line about the failure and end the whole process at once."""
        line = " ".join("".join(traceback.format_exception_only(type(error), error)).split())
        line = line.removeprefix("Refused: ")
        # Renamed when complete: another worker's failure may have the files read at any moment.
        unfinished = self.path(worker, "unfinished")
        with open(unfinished, "w", encoding="utf-8") as file:
            file.write(line)
        os.replace(unfinished, self.path(worker, "failure"))
        os._exit(1)

    def path(self, worker: int, what: str) -> str:
        return os.path.join(self.settings["scratch"], f"{worker}.{what}")
