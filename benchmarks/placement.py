"""Where a thread goes that wakes on a busy core: does this kernel place it as the model does?

    .venv/bin/python benchmarks/placement.py [--time 1] [--json FILE]

Two processes compute for a share of each millisecond, each tied to a core. The one on the home core
wakes a third, now and then, which sleeps there and is free to run on either. It does next to
nothing. Linux 6.18 sends it to the other core if that is idle just then, and the two together are
not too busy (`select_idle_sibling`, as `gilplan.model.placement` has it): never to a busy one, and
always to an idle one beside a home core with room. Kernels made for virtual machines may know
another rule. Needs an idle machine with two cores or more.
"""

import argparse
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep

from gilplan.calibration.kernels.stay import running_on

HARDLY, FULLY = 0.02, 1.0
SHARES = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, FULLY)
#: The busy shares of the home core and of the other.
PAIRS = (*((share, HARDLY) for share in SHARES), *((FULLY, share) for share in SHARES))
PERIOD = 1e-3
LEAST_TIME = 100 * PERIOD
#: Who waited less for the event found it there and has not slept, seconds.
ASLEEP = 1e-4
#: The kernel's averages have a half-life of 32 ms.
SETTLE_TIME = 0.3


def compute(core: int, share: float, event: int | None, parent: int) -> None:
    """Compute for a share of each period on one core, and wake who reads the event meanwhile.

    Ends when the parent does, who also gets an interrupt from the keyboard.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setaffinity(0, {core})
    while os.getppid() == parent:
        start = perf_counter()
        while perf_counter() < start + share * PERIOD / 2:
            pass
        if event is not None:
            os.eventfd_write(event, 1)
        while perf_counter() < start + share * PERIOD:
            pass
        if share < FULLY:
            sleep((1 - share) * PERIOD)


@contextmanager
def computing(core: int, share: float, event: int | None = None) -> Iterator[None]:
    """Have a process compute beside this one."""
    parent, child = os.getpid(), os.fork()
    if child == 0:
        compute(core, share, event, parent)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def left(home: int, other: int, event: int, time: float) -> float:
    """Return in what share of its wake-ups this process was not on its home core."""
    wakes = moved = 0
    end = perf_counter() + time
    while perf_counter() < end:
        os.sched_setaffinity(0, {home})
        os.sched_setaffinity(0, {home, other})
        began = perf_counter()
        os.eventfd_read(event)
        if perf_counter() - began >= ASLEEP:
            moved += running_on() != home
            wakes += 1
    return moved / wakes


def main() -> None:
    parser = argparse.ArgumentParser(description="Where a thread goes that wakes on a busy core.")
    parser.add_argument("--time", type=float, default=1.0, help="seconds of each row")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.time < LEAST_TIME:
        parser.error(f"--time must be at least {LEAST_TIME:g} seconds, got {options.time:g}")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        parser.error("it takes two cores, and this process may use one")
    home, other = cores[:2]
    rows = []
    for at_home, beside in PAIRS:
        event = os.eventfd(0)
        with computing(home, at_home, event), computing(other, beside):
            sleep(SETTLE_TIME)
            found = left(home, other, event, options.time)
        os.close(event)
        rows.append({"home_busy": at_home, "other_busy": beside, "left_home": found})
        print(
            f"home core busy {at_home:4.0%}, the other {beside:4.0%}: left in {found:4.0%} of the "
            f"wake-ups (the other was idle at most {1 - beside:.0%} of the time)",
            flush=True,
        )
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
