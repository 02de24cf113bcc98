"""A second thread beside the task: how late it gets the GIL, how much processor time it misses.

Executed by path in the process that is observed: standard library only.
"""

import os
import resource
import threading
import time
from collections.abc import Callable
from typing import Any

Task = Callable[[], object]


def lateness(work: Task, seconds: float) -> list[float]:
    """Return how much later than asked a sleeping thread goes on while ``work`` is done."""
    late: list[float] = []
    done = threading.Event()

    def ask() -> None:
        clock, sleep = time.perf_counter, time.sleep
        step = 1
        while not done.is_set():
            step = step * 1103515245 + 12345 & 0x7FFFFFFF
            pause = 3e-4 + 1e-3 * step / 0x7FFFFFFF
            began = clock()
            sleep(pause)
            late.append(clock() - began - pause)

    helper = threading.Thread(target=ask, daemon=True)
    helper.start()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        work()
    done.set()
    helper.join()
    return late


def short_sleep() -> None:
    time.sleep(200e-6)


def alone(work: Task, seconds: float) -> dict[str, Any]:
    """Do tasks; return their wall and processor times, and how long they waited for a core, ns."""
    wall, cpu = time.perf_counter_ns, time.thread_time_ns
    times: list[tuple[int, int]] = []
    queued = waited_for_core()
    end = wall() + int(seconds * 1e9)
    while wall() < end or not times:
        used, began = cpu(), wall()
        work()
        times.append((wall() - began, cpu() - used))
    return {"times": times, "queued": waited_for_core() - queued}


def missed(work: Task, seconds: float, cores: set[int]) -> dict[str, float]:
    """Return how much processor time a thread of bytecode on ``cores`` misses beside ``work``.

    ``missed``: nanoseconds in which it neither ran nor waited for a core, so waited for the GIL;
    ``queued``: in which it waited for a core; ``tasks`` done meanwhile, the processor time of
    their thread (``cpu``), and how often it blocked (``blocks``), for the GIL too.
    """
    done = threading.Event()
    running = threading.Event()
    found: list[tuple[int, int]] = []

    def want() -> None:
        os.sched_setaffinity(0, cores)  # of this thread only
        running.set()
        wall, cpu, queued = time.perf_counter_ns(), time.thread_time_ns(), waited_for_core()
        while not done.is_set():
            spin()
        queued, cpu = waited_for_core() - queued, time.thread_time_ns() - cpu
        wall = time.perf_counter_ns() - wall
        found.append((wall - cpu - queued, queued))

    helper = threading.Thread(target=want, daemon=True)
    helper.start()
    running.wait()
    tasks, used = 0, time.thread_time_ns()
    blocks = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or tasks < 2:
        work()
        tasks += 1
    blocks = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - blocks
    used = time.thread_time_ns() - used
    done.set()
    helper.join()
    ((lost, queued),) = found
    return {
        "missed": max(lost, 0),
        "queued": queued,
        "tasks": tasks,
        "cpu": used,
        "blocks": blocks,
    }


def spin() -> None:
    """Bytecode and nothing else, which polls the eval breaker at each turn."""
    total = 0
    for number in range(20_000):
        total += number & 7


def waited_for_core() -> int:
    """Return the nanoseconds that this thread was runnable without a core."""
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError):
        return 0
