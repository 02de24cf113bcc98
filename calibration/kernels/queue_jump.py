"""Whom the GIL's signal reaches: a waiter that slept, or the one that has just asked.

Two threads spin in bytecode and hand the GIL to each other; a third sleeps and then waits for it
beside the one who asks for the drop. The signal is posted to both. If the one who asked has not
gone to sleep yet, it finds the signal and takes the GIL before the older one has woken
(Python/ceval_gil.c: drop_gil; nptl/pthread_cond_wait.c in glibc). How often that is depends on
how long it had slept, that is, on the switch interval.

The older one must not be what it is compared with. After a switch interval it asks, too, and then
has the GIL as one who has asked. So only the first hand-off counts, after the older has joined the
waiters and before it can have asked.

It is tied to the core of one spinner. If the other one drops the GIL, the older can only run when
the one who asked has gone to sleep. If the spinner on its own core drops, it runs at once, while
the one who asked is still on its way: in the system call that frees the mutex, for glibc takes a
mutex that it has locked after a timed wait for a contended one. At 20 ms it then had the signal
in 143 of 184 hand-offs, at 1 ms in 15 of 95 (3.14.10 on an EPYC; benchmarks/RESULTS.md).

Whoever has the signal needs the GIL's mutex, which the one who drops keeps until it has woken the
older one. So the one who asked goes to sleep after all, the older one comes to their core first, in
vain, and the hand-off takes longer than between two threads alone (kernels/handoff.py).

Prints ``"lost INTERVAL"``: of each such hand-off by the spinner on the other core 1 if the one who
had asked got the GIL, 0 if the older one did; ``"beside INTERVAL"``: the same of those by the
spinner on the older one's core; ``"overtaking INTERVAL"``: seconds from the drop to the one who had
asked, of the first with 1. Empty with one core, where nobody is awake but the holder.
"""

import argparse
import json
import os
import sys
import threading
import time
from bisect import bisect
from itertools import pairwise
from typing import NamedTuple

SLEEP = 3e-3
#: A sleeper that is due has joined the waiters after this time, and who took the GIL has begun.
WAKE_TIME = 1.8e-4
LONGEST_PAUSE = 15_000
HOME, OTHER, SLEEPER = range(3)
#: Of both spinners: when each last had the GIL and when it had it again, ns.
Logs = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def tie(core: int) -> None:
    """Tie the calling thread to a core."""
    os.sched_setaffinity(threading.get_native_id(), {core})


def spin(core: int, log: list[tuple[int, int]], stop: list[bool]) -> None:
    """Spin, and log when the thread last had the GIL and when it got it back, ns."""
    tie(core)
    clock = time.perf_counter_ns
    last = clock()
    while not stop:
        now = clock()
        if now - last > LONGEST_PAUSE:
            log.append((last, now))
        last = now


def sleep_often(core: int, waits: list[tuple[int, int]], interval: float, samples: int) -> None:
    """Sleep, and log when the thread was due and when it had the GIL, ns."""
    tie(core)
    clock = time.perf_counter_ns
    for number in range(samples):
        sleep_time = SLEEP + interval * (number * 0.6180339887 % 1)
        began = clock()
        time.sleep(sleep_time)
        waits.append((began + int(sleep_time * 1e9), clock()))


class Losses(NamedTuple):
    """Of each hand-off that counts whether the older waiter lost it (1) or not (0).

    ``elsewhere`` are those by the spinner on the other core, ``times`` how long those took that it
    lost, seconds; ``beside`` are those by the spinner on its own core.
    """

    elsewhere: list[int]
    beside: list[int]
    times: list[float]


def losses(interval: float, samples: int, cores: tuple[int, int]) -> Losses:
    """Have the three threads run, and return who lost."""
    sys.setswitchinterval(interval)
    logs: Logs = ([], [])
    waits: list[tuple[int, int]] = []
    stop: list[bool] = []
    spinners = [
        threading.Thread(target=spin, args=(core, log, stop))
        for core, log in zip(cores, logs, strict=True)
    ]
    for spinner in spinners:
        spinner.start()
    sleeper = threading.Thread(target=sleep_often, args=(cores[1], waits, interval, samples))
    sleeper.start()
    sleeper.join()
    stop.append(True)
    for spinner in spinners:
        spinner.join()
    return lost_hand_offs(logs, waits, interval)


def lost_hand_offs(logs: Logs, waits: list[tuple[int, int]], interval: float) -> Losses:
    """Pick the hand-offs that count; say of each whether the older waiter lost it, and how long."""
    taken = [(got, index) for index, log in enumerate(logs) for _, got in log]
    taken = sorted([*taken, *((got, SLEEPER) for _, got in waits)])
    # Consecutive instants of one spinner are interrupts, not hand-offs.
    handoffs = [(*b, a[1]) for a, b in pairwise(taken) if a[1] != b[1]]
    back = [got for _, got in logs[HOME]]
    found = Losses([], [], [])
    for due, _ in waits:
        place = bisect(handoffs, (due, SLEEPER, SLEEPER))
        if place == len(handoffs):
            continue
        instant, taker, dropper = handoffs[place]
        if dropper == SLEEPER or not WAKE_TIME < (instant - due) / 1e9 < interval:
            continue
        (found.elsewhere if dropper == HOME else found.beside).append(int(taker != SLEEPER))
        returned = bisect(back, instant)
        if dropper == HOME and taker == OTHER and returned < len(back):
            found.times.append((instant - logs[HOME][returned][0]) / 1e9)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("intervals", help="switch intervals in seconds, comma-separated")
    parser.add_argument("--samples", type=int, default=100, help="sleeps at each interval")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    texts = options.intervals.split(",") if len(cores) > 1 else []
    series: dict[str, list[int] | list[float]] = {}
    for text in texts:
        found = losses(float(text), options.samples, (cores[0], cores[1]))
        series[f"lost {text}"], series[f"beside {text}"] = found.elsewhere, found.beside
        series[f"overtaking {text}"] = found.times
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
