"""Whom the GIL's signal reaches: a waiter that slept, or the one that has just asked.

Two threads spin in bytecode and hand the GIL to each other; a third sleeps and then waits for it,
longer than the one who asks for the drop. The signal is posted to both. If the one who asked has
not gone to sleep yet, it finds the signal and takes the GIL before the older one has woken
(Python/ceval_gil.c: drop_gil; nptl/pthread_cond_wait.c in glibc). How often that is depends on
how long it had slept, that is, on the switch interval.

Prints ``"lost INTERVAL"``: how many hand-offs the sleeper lost before it got the GIL, each time
that it was among the waiters for certain.
"""

import argparse
import json
import os
import sys
import threading
import time
from itertools import pairwise

SLEEP = 3e-3
#: A sleeper that is due has joined the waiters after this time.
WAKE_TIME = 2e-4
LONGEST_PAUSE = 15_000


def spin(log: list[int], stop: list[bool]) -> None:
    """Spin, and log the instants at which the thread got the GIL back, ns."""
    clock = time.perf_counter_ns
    last = clock()
    while not stop:
        now = clock()
        if now - last > LONGEST_PAUSE:
            log.append(now)
        last = now


def sleep_often(waits: list[tuple[int, int]], interval: float, samples: int) -> None:
    """Sleep, and log when the thread was due and when it had the GIL, ns."""
    clock = time.perf_counter_ns
    for number in range(samples):
        sleep_time = SLEEP + interval * (number * 0.6180339887 % 1)
        began = clock()
        time.sleep(sleep_time)
        waits.append((began + int((sleep_time + WAKE_TIME) * 1e9), clock()))


def losses(interval: float, samples: int) -> list[int]:
    """Count the hand-offs that each wait lost at a switch interval."""
    sys.setswitchinterval(interval)
    logs: list[list[int]] = [[], []]
    stop: list[bool] = []
    waits: list[tuple[int, int]] = []
    spinners = [threading.Thread(target=spin, args=(log, stop)) for log in logs]
    for spinner in spinners:
        spinner.start()
    sleeper = threading.Thread(target=sleep_often, args=(waits, interval, samples))
    sleeper.start()
    sleeper.join()
    stop.append(True)
    for spinner in spinners:
        spinner.join()
    taken = sorted((instant, index) for index, log in enumerate(logs) for instant in log)
    # Consecutive instants of one spinner are interrupts, not hand-offs.
    handoffs = [b for a, b in pairwise(taken) if a[1] != b[1]]
    return [sum(due < instant < got for instant, _ in handoffs) for due, got in waits if due < got]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("intervals", help="switch intervals in seconds, comma-separated")
    parser.add_argument("--samples", type=int, default=40)
    options = parser.parse_args()
    series = {
        f"lost {text}": losses(float(text), options.samples)
        for text in options.intervals.split(",")
    }
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
