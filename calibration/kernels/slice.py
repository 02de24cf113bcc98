"""How long a thread runs before another runnable one gets its core, and what the switch costs.

Two processes tied to one core spin and log the clock's pauses. While one logs the other is off
the core, so their logs merge into alternating run lengths: the scheduler's time slice, in EEVDF
the base slice rounded up to the tick unless the high-resolution tick is on. The gap between one
process's last stamp and the other's first is a forced switch, with the timer interrupt that
forces it (which can cost a virtual machine far more than the switch).

Then one process computes for a while and wakes the other, which waits for the core until the first
blocks. Both steps cost what they do with caches that other work has used. The second process is a
batch job (sched(7), SCHED_BATCH), which never goes ahead of the one that wakes it.

Prints ``"slice"``, ``"forced switch"``, ``"wake"`` (the write to an eventfd that wakes the other),
``"turn"`` (from then until the other stamps the clock), and ``"quiet write"`` and ``"quiet read"``
of an eventfd that nobody waits for, in seconds.
"""

import argparse
import json
import mmap
import os
import runpy
import signal
import time
from contextlib import suppress

#: What is computed between two turns, ns.
WORK_TIME = 300_000
#: So many turns until the partner is surely blocked when it is woken.
UNTIL_IT_WAITS = 3
#: So many turns for each sample that is wanted, should the partner go ahead in most of them.
MOST_TURNS = 20


def spin(core: int, until: int, output: int, log_gaps) -> None:  # type: ignore[no-untyped-def]
    """Log pauses on the core until the instant and write them to the pipe as JSON."""
    os.sched_setaffinity(0, {core})
    log: list[tuple[int, int]] = []
    log_gaps(log, until)
    with os.fdopen(output, "w") as file:
        json.dump(log, file)
    os._exit(0)


def follow(core: int, asked: int, answered: int, ran_at: memoryview) -> None:
    """Stamp the clock each time that the core is this process's, for ever."""
    os.sched_setaffinity(0, {core})
    # Where it is forbidden, turns in which this one goes ahead do not count.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    clock = time.perf_counter_ns
    while True:
        os.eventfd_read(asked)
        ran_at[0] = clock()
        os.eventfd_write(answered, 1)


def take_turns(core: int, samples: int) -> dict[str, list[float]]:
    """Time how one process wakes another on its core, and how that one then gets the core."""
    clock = time.perf_counter_ns
    ran_at = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    asked, answered, quiet = (os.eventfd(0) for _ in range(3))
    partner = os.fork()
    if partner == 0:
        follow(core, asked, answered, ran_at)
    os.sched_setaffinity(0, {core})
    series: dict[str, list[float]] = {
        name: [] for name in ("wake", "turn", "quiet write", "quiet read")
    }
    for turn in range(UNTIL_IT_WAITS + MOST_TURNS * samples):
        if len(series["turn"]) == samples:
            break
        until = clock() + WORK_TIME
        while clock() < until:
            pass
        stamps = [clock()]
        os.eventfd_write(asked, 1)
        stamps.append(clock())
        os.eventfd_read(answered)
        stamps += [ran_at[0], clock()]
        os.eventfd_write(quiet, 1)
        stamps.append(clock())
        os.eventfd_read(quiet)
        stamps.append(clock())
        # The waker's slice may end before it blocks.
        if turn >= UNTIL_IT_WAITS and stamps[2] > stamps[1]:
            for name, step in zip(series, (0, 1, 3, 4), strict=True):
                series[name].append((stamps[step + 1] - stamps[step]) / 1e9)
    os.kill(partner, signal.SIGKILL)
    os.waitpid(partner, 0)
    return series


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-time", type=float, default=0.6)
    parser.add_argument("--samples", type=int, default=100)
    options = parser.parse_args()
    handoff = runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "handoff.py"))
    core = max(os.sched_getaffinity(0))
    until = time.perf_counter_ns() + int(options.run_time * 1e9)
    outputs = []
    for _ in range(2):
        read, write = os.pipe()
        if os.fork() == 0:
            os.close(read)
            spin(core, until, write, handoff["log_gaps"])
        os.close(write)
        outputs.append(read)
    logs = []
    for output in outputs:
        with os.fdopen(output) as file:
            logs.append([tuple(pause) for pause in json.load(file)])
    for _ in outputs:
        os.wait()
    gaps, runs = handoff["switches"](logs)
    series = {"slice": runs, "forced switch": gaps, **take_turns(core, options.samples)}
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
