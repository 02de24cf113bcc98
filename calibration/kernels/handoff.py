"""Time from the release of a contended GIL until the waiter that asked for it runs.

Two threads spin in bytecode and read the clock. Only the holder of the GIL can log, so a gap in
one thread's log during which the other logs is time without the GIL. The waiter's timed wait
runs out after the switch interval, it sets the drop request and waits again; the holder sees
the request at its next eval-breaker poll, releases, signals, and the waiter runs: it has slept
for almost no time, and its core is hardly idle (Python/ceval_gil.c: take_gil, drop_gil).

Prints, for each interval, ``"gap INTERVAL"``: end of one thread's last stamp to the other's
first; ``"hold INTERVAL"``: how long a thread kept the GIL.
"""

import argparse
import json
import os
import sys
import threading
import time
from itertools import pairwise

Stretch = tuple[int, int, int]


def log_gaps(log: list[tuple[int, int]], until: int, shortest: int = 15_000) -> None:
    """Spin until the instant and log every pause of the clock longer than ``shortest`` ns."""
    clock = time.perf_counter_ns
    last = clock()
    while last < until:
        now = clock()
        if now - last > shortest:
            log.append((last, now))
        last = now


def stretches(logs: list[list[tuple[int, int]]]) -> list[Stretch]:
    """Merge the logs into alternating stretches (start, end, index of who ran).

    Consecutive stretches of one thread are one: what interrupted it was not the other thread
    but an interrupt or the hypervisor.
    """
    found: list[Stretch] = []
    for index, log in enumerate(logs):
        for (_, start), (end, _) in pairwise(log):
            found.append((start, end, index))
    found.sort()
    merged: list[Stretch] = []
    for stretch in found:
        if merged and merged[-1][2] == stretch[2]:
            merged[-1] = (merged[-1][0], stretch[1], stretch[2])
        else:
            merged.append(stretch)
    return merged


def switches(logs: list[list[tuple[int, int]]]) -> tuple[list[float], list[float]]:
    """Return the gaps between stretches and the lengths of the stretches, in seconds."""
    merged = stretches(logs)
    gaps = [(b[0] - a[1]) / 1e9 for a, b in pairwise(merged) if b[0] > a[1]]
    return gaps, [(end - start) / 1e9 for start, end, _ in merged if end > start]


def contend(interval: float, run_time: float) -> tuple[list[float], list[float]]:
    """Let two threads fight for the GIL; return gaps and holds in seconds."""
    sys.setswitchinterval(interval)
    logs: list[list[tuple[int, int]]] = [[], []]
    until = time.perf_counter_ns() + int(run_time * 1e9)
    threads = [threading.Thread(target=log_gaps, args=(log, until)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return switches(logs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("intervals")
    parser.add_argument("--samples", type=int, default=150)
    options = parser.parse_args()
    series = {}
    for text in options.intervals.split(","):
        interval = float(text)
        gaps, holds = contend(interval, options.samples * (interval + 1e-4))
        series[f"gap {text}"], series[f"hold {text}"] = gaps, holds
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
