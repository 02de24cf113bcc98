"""How long a thread runs before another runnable one gets its core, and what the switch costs.

Two processes tied to one core spin and log the clock's pauses. While one logs the other is off
the core, so their logs merge into alternating run lengths: the scheduler's time slice, in EEVDF
the base slice rounded up to the tick unless the high-resolution tick is on. The gap between one
process's last stamp and the other's first is a forced switch, with the timer interrupt that
forces it (which can cost a virtual machine far more than the switch).

Then the two hand a turn to each other through eventfds: each wakes the other and blocks. Half a
round trip, less the calls, is a voluntary switch (of address spaces: dearer than between
threads of one process, by part of a microsecond).

Prints ``"slice"``, ``"forced switch"``, ``"turn"`` (half a round trip) and ``"call"`` (a write
and a read of an eventfd that nobody waits for), in seconds.
"""

import argparse
import json
import os
import runpy
import signal
import time


def spin(core: int, until: int, output: int, log_gaps) -> None:  # type: ignore[no-untyped-def]
    """Log pauses on the core until the instant and write them to the pipe as JSON."""
    os.sched_setaffinity(0, {core})
    log: list[tuple[int, int]] = []
    log_gaps(log, until)
    with os.fdopen(output, "w") as file:
        json.dump(log, file)
    os._exit(0)


def echo(core: int, asked: int, answered: int) -> None:
    """Answer every turn on the core, for ever."""
    os.sched_setaffinity(0, {core})
    while True:
        os.eventfd_read(asked)
        os.eventfd_write(answered, 1)


def take_turns(core: int, samples: int, turns: int = 10) -> tuple[list[float], list[float]]:
    """Time turns between two processes on one core, and the calls that they make."""
    clock = time.perf_counter_ns
    asked, answered = os.eventfd(0), os.eventfd(0)
    partner = os.fork()
    if partner == 0:
        echo(core, asked, answered)
    os.sched_setaffinity(0, {core})
    quiet, taken, calls = os.eventfd(0), [], []
    for _ in range(samples):
        began = clock()
        for _ in range(turns):
            os.eventfd_write(asked, 1)
            os.eventfd_read(answered)
        turned_at = clock()
        for _ in range(turns):
            os.eventfd_write(quiet, 1)
            os.eventfd_read(quiet)
        taken.append((turned_at - began) / 1e9 / turns / 2)
        calls.append((clock() - turned_at) / 1e9 / turns)
    os.kill(partner, signal.SIGKILL)
    os.waitpid(partner, 0)
    return taken, calls


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
    turns, calls = take_turns(core, options.samples)
    series = {"slice": runs, "forced switch": gaps, "turn": turns, "call": calls}
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
