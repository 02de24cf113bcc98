"""How long a thread that wakes up on a busy core waits for that core.

A process sleeps for 1 to 5 ms again and again, tied to one core. In turns of ten sleeps another
process spins on the same core (``busy``) or on another one (``idle``). On the busy core there is
no idle state to leave, but the spinner has to be preempted: at once when the woken thread is
eligible and has the earlier deadline, else at the end of a protected slice (EEVDF).

Prints the overshoot of the sleeps, in seconds: ``"busy"`` and ``"idle"``.
"""

import argparse
import json
import os
import signal
import time

TURN = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=60)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    spinner = os.fork()
    if spinner == 0:
        while True:
            pass
    os.sched_setaffinity(0, {cores[-1]})
    clock = time.perf_counter_ns
    turns = {"busy": cores[-1]} if len(cores) == 1 else {"busy": cores[-1], "idle": cores[0]}
    series: dict[str, list[float]] = {name: [] for name in turns}
    for turn in range(-(-options.samples // TURN)):
        for name, core in turns.items():
            os.sched_setaffinity(spinner, {core})
            for k in range(TURN):
                sleep_time = 0.001 + 0.004 * ((turn * TURN + k) * 0.6180339887 % 1)
                began = clock()
                time.sleep(sleep_time)
                series[name].append((clock() - began) / 1e9 - sleep_time)
    os.kill(spinner, signal.SIGKILL)
    os.waitpid(spinner, 0)
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
