"""Where a thread goes that wakes on a busy core: does this kernel place it as the model does?

    .venv/bin/python benchmarks/placement.py [--time 1] [--json FILE]

Two processes compute for a share of each millisecond, each tied to a core. The one on the home core
wakes a third, now and then, which sleeps there and is free to run on either. It does next to
nothing. Linux 6.18 sends it to the other core if that is idle just then, and the two together are
not too busy (`select_idle_sibling`, as `gilplan.model.placement` has it): never to a busy one, and
always to an idle one beside a home core with room. A kernel that packs threads goes by how much
room there is (`gilplan.model.packing`). Needs an idle machine with two cores or more.
"""

import argparse
import json
import os
from pathlib import Path
from time import sleep

from gilplan.calibration.kernels.room import FULLY, HARDLY, PERIOD, computing, stays

SHARES = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, FULLY)
#: The busy shares of the home core and of the other.
PAIRS = (*((share, HARDLY) for share in SHARES), *((FULLY, share) for share in SHARES))
LEAST_TIME = 100 * PERIOD
MOST = 100_000
#: The kernel's averages have a half-life of 32 ms.
SETTLE_TIME = 0.3


def left(home: int, other: int, event: int, time: float) -> float:
    """Return in what share of its wake-ups this process was not on its home core."""
    stayed = stays(home, other, event, samples=MOST, limit=time)
    return 1 - sum(stayed) / len(stayed)


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
