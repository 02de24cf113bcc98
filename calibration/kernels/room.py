"""How busy a core may be for a thread that wakes there to stay beside an idle one.

Linux sends it to the idle core if it sees one (`select_idle_sibling` in kernel/sched/fair.c). Some
kernels made for virtual machines pack threads: one stays with others as long as its core has room
(model/packing.py).

Process A, tied to the home core, computes for a share of each millisecond and wakes process B in
the middle of it, which sleeps there, free to run on either of two cores, and does next to nothing.
Process C makes sure that the other core does not sleep too deeply: it computes there for 2 %. B
tells on which core it came to run (proc_pid_stat(5), "processor").

Prints ``"stayed SHARE"``: 1 for each time that it was the home core, 0 for the other. Empty with
one core.
"""

import argparse
import json
import os
import runpy
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep

HARDLY, FULLY = 0.02, 1.0
PERIOD = 1e-3
#: Who waited less for the event found it there and has not slept, seconds.
ASLEEP = 1e-4
#: The kernel's averages have a half-life of 32 ms.
SETTLE_TIME = 0.25
running_on = runpy.run_path(str(Path(__file__).with_name("stay.py")))["running_on"]


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


def stays(home: int, other: int, event: int, samples: int, limit: float) -> list[int]:
    """Return for each wake-up of this process whether it was on its home core."""
    stayed: list[int] = []
    end = perf_counter() + limit
    while len(stayed) < samples and perf_counter() < end:
        os.sched_setaffinity(0, {home})
        os.sched_setaffinity(0, {home, other})
        began = perf_counter()
        os.eventfd_read(event)
        if perf_counter() - began >= ASLEEP:
            stayed.append(int(running_on() == home))
    return stayed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shares")
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--limit", type=float, default=1.0, help="seconds for one share")
    options = parser.parse_args()
    home, *others = sorted(os.sched_getaffinity(0))
    event = os.eventfd(0)
    series = {}
    for text in options.shares.split(",") if others else ():
        with computing(home, float(text), event), computing(others[0], HARDLY):
            sleep(SETTLE_TIME)
            taken = stays(home, others[0], event, options.samples, options.limit)
            series[f"stayed {text}"] = taken
    print(json.dumps({"series": series, "notes": []}), flush=True)


if __name__ == "__main__":
    main()
