"""CPU time of a thread that waits for the GIL in vain: what each timed-out wait costs it.

While one thread holds the GIL inside one C call, others wait for it. Each of their waits runs
out after the switch interval: the kernel wakes the thread, it takes the GIL's mutex, finds the
GIL locked, asks for it and goes to sleep again (Python/ceval_gil.c: take_gil). Its processor time
and its voluntary switches (`getrusage(2)` of the thread) tell what that costs.

There are several, so that most of them come to a core that is awake already. The first one on an
idle core pays for waking it up (this script with one waiter gave 24 to 28 us, with two 17 to 25,
with seven 6 to 7, the mean of each, 3.12.1), most of it after it has asked, when nobody waits for
it.

Prints ``"retry"``: seconds of CPU for each wait, less what the sleep costs from which the thread
comes, and ``"sleep"``: that.
"""

import argparse
import json
import os
import resource
import sys
import threading
import time

INTERVAL = 2e-4
WAITERS = 7
SLEEP = 2e-4
#: How many switch intervals one C call keeps the GIL.
HELD_INTERVALS = 5


def spent() -> tuple[int, int]:
    """Return the thread's CPU time in ns and its voluntary switches."""
    switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    return time.thread_time_ns(), switches


def wait_often(
    taken: list[tuple[int, int]], stop: threading.Event, sleep_time: float = SLEEP
) -> None:
    """Sleep a moment and wait for the GIL, often; log the CPU time and the switches of each."""
    while not stop.is_set():
        before, switched = spent()
        time.sleep(sleep_time)
        after, switched_then = spent()
        taken.append((after - before, switched_then - switched))


def costs(taken: list[tuple[int, int]]) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of each wait, less those of the usual sleep, and of the sleeps."""
    sleeps = sorted(cpu for cpu, switches in taken if switches == 1)
    base = sleeps[len(sleeps) // 2] if sleeps else 0
    retries = [(cpu - base) / (switches - 1) / 1e9 for cpu, switches in taken if switches > 2]
    return retries, [cpu / 1e9 for cpu in sleeps]


def numbers_for(hold: float) -> list[int]:
    """Return as many numbers as `sum` takes ``hold`` seconds for."""
    numbers = list(range(1000)) * 20
    began = time.perf_counter()
    sum(numbers)
    return numbers * max(round(hold / (time.perf_counter() - began)), 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=60)
    options = parser.parse_args()
    sys.setswitchinterval(INTERVAL)
    numbers = numbers_for(HELD_INTERVALS * INTERVAL)
    stop = threading.Event()
    logs: list[list[tuple[int, int]]] = [[] for _ in range(WAITERS)]
    waiters = [threading.Thread(target=wait_often, args=(log, stop)) for log in logs]
    for waiter in waiters:
        waiter.start()
    for _ in range(options.samples):
        sum(numbers)
        time.sleep(5 * SLEEP)
    stop.set()
    for waiter in waiters:
        waiter.join()
    retries, sleeps = costs([entry for log in logs for entry in log])
    series = {"retry": retries, "sleep": sleeps}
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
