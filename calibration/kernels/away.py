"""What asking for, dropping and taking the GIL cost a core that did something else for a while.

All three run through the same code: CPython's take_gil and drop_gil (Python/ceval_gil.c), pthread's
condition and mutex, the kernel's futexes, timers and scheduler. Whatever else happens on a core
displaces it from the core's caches, an idle state or the host of a virtual machine all the more.
One thread, the holder, is tied to a core and keeps the GIL within one C call that touches no
memory; the other, the waiter, to the same core or to the next one. For each switch interval T, of
which the path is then used about once:

- ``"ask T"``: CPU seconds of a waiter on a core of its own each time that its wait runs out, until
  it waits again.
- ``"same T"`` and ``"other T"``: from the clock stamp right before the holder drops the GIL, which
  the waiter has asked for, until the waiter stamps the clock right after it has taken it: on the
  holder's core and on the next one.
"""

import argparse
import json
import os
import runpy
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from operator import call
from typing import Any

#: Waiting in vain, and what it costs, as on cores that are awake.
RETRY = runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "retry.py"))
#: What a timed wait takes longer than it was asked to, about: timer slack and wake-up, s.
LATE = 7e-5
#: So many waits run out while the holder keeps the GIL, and half a wait more.
WAITS = 5
#: The holder keeps the GIL for the waiter's sleep, its first wait and half of the next one.
UNTIL_ASKED = 2.5
#: A gap that long, ns, is not the hand-off's alone.
LONGEST = 1_000_000


def items_for(time_wanted: float) -> int:
    """Return how many items `sum` needs to keep the GIL that long in one call."""
    count = 100_000
    began = time.perf_counter()
    sum(repeat(1, count))
    return int(count * time_wanted / (time.perf_counter() - began))


def stamp_after(first: Callable[[], object]) -> int:
    """Call it and read the clock; the GIL can be dropped before and after, but not in between."""
    calls: tuple[Callable[[], Any], ...] = first, time.perf_counter_ns
    stamp: int = list(map(call, calls))[1]
    return stamp


def wait_in_vain(
    core: int, interval: float, log: list[tuple[int, int]], stop: threading.Event
) -> None:
    """Sleep and then wait for the GIL, often, on one core."""
    os.sched_setaffinity(0, {core})
    RETRY["wait_often"](log, stop, interval)


def asks(core: int, interval: float, samples: int) -> list[float]:
    """Return the CPU seconds of waits that ran out, each the mean of some."""
    held = items_for((WAITS + 0.5) * (interval + LATE))
    log: list[tuple[int, int]] = []
    stop = threading.Event()
    waiter = threading.Thread(target=wait_in_vain, args=(core, interval, log, stop))
    waiter.start()
    for _ in range(samples):
        sum(repeat(1, held))
        time.sleep(WAITS * interval)
    stop.set()
    waiter.join()
    waits: list[float] = RETRY["costs"](log)[0]
    return waits


def take_often(core: int, interval: float, taken: list[int], stop: threading.Event) -> None:
    """Sleep and take the GIL again, often; log when it has been taken."""
    os.sched_setaffinity(0, {core})
    sleep = partial(time.sleep, interval)
    while not stop.is_set():
        taken.append(stamp_after(sleep))


def hand_offs(core: int, interval: float, samples: int) -> Iterator[float]:
    """Yield the seconds from a drop until the one who waits for the GIL, asleep, has taken it."""
    held = items_for(UNTIL_ASKED * (interval + LATE))
    taken: list[int] = []
    dropped: list[int] = []
    stop = threading.Event()
    waiter = threading.Thread(target=take_often, args=(core, interval, taken, stop))
    waiter.start()
    for _ in range(samples):
        time.sleep(UNTIL_ASKED * interval)
        dropped.append(stamp_after(partial(sum, repeat(1, held))))
    stop.set()
    waiter.join()
    for at in dropped:
        place = bisect_right(taken, at)
        if place < len(taken) and taken[place] - at < LONGEST:
            yield (taken[place] - at) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("intervals")
    parser.add_argument("--samples", type=int, default=60)
    options = parser.parse_args()
    holder, *others = sorted(os.sched_getaffinity(0))
    other = others[0] if others else holder
    os.sched_setaffinity(0, {holder})
    series: dict[str, list[float]] = {}
    for text in options.intervals.split(","):
        interval = float(text)
        sys.setswitchinterval(interval)
        series[f"ask {text}"] = asks(other, interval, options.samples // WAITS + 1)
        series[f"same {text}"] = list(hand_offs(holder, interval, options.samples))
        series[f"other {text}"] = list(hand_offs(other, interval, options.samples))
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
