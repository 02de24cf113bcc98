"""How late a timed wait returns on an otherwise idle core.

A thread waits for a held lock with a timeout, as a waiter for the GIL waits on its condition
variable: a futex with an absolute monotonic deadline. The kernel may add the thread's timer
slack (prctl(2), PR_SET_TIMERSLACK; 50 us by default) and then has to wake a core that has been
idle for the whole wait. Another process keeps another core busy, as the holder of a GIL would.
All samples of one timeout come in a row: how fast a core wakes goes by how long it slept of late,
too (kernels/wake.py).

At the end the thread asks for no slack and waits for so short a time that the instant has passed
when the kernel comes to set the timer: it does so all the same, and the interrupt comes when the
hardware gets to it. A waiter for the GIL does that which is due, is woken in vain, and waits again.

Prints ``"overshoot TIMEOUT"``: time beyond the timeout; ``"call"``: what an attempt costs that
does not wait; ``"slack setting"``: the kernel's figure, where it can be read; ``"overdue"``: CPU
time of a wait for an instant that has passed, where the slack can be set.
"""

import argparse
import json
import os
import signal
import threading
import time

#: So long after the timeouts have changed a core still wakes as it did before, seconds.
SETTLE_TIME = 0.1
SLACK_FILE = "/proc/self/timerslack_ns"
#: So short a wait is over before it has begun, seconds.
NO_TIME = 1e-6


def busy_neighbour(index: int) -> int:
    """Fork a process that spins on the index-th allowed core; return its id."""
    cores = sorted(os.sched_getaffinity(0))
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {cores[index % len(cores)]})
        while True:
            pass
    return child


def slack_setting() -> list[float]:
    """Read the timer slack of this process, in seconds: one figure or none."""
    try:
        with open(SLACK_FILE) as file:
            return [int(file.read()) / 1e9]
    except (OSError, ValueError):
        return []


def overdue_waits(lock: threading.Lock, samples: int) -> list[float]:
    """Return the CPU time of each wait for the held lock until an instant that has passed."""
    try:
        with open(SLACK_FILE, "w") as file:
            file.write("1")
    except OSError:
        return []
    taken = []
    for _ in range(samples):
        began = time.thread_time_ns()
        lock.acquire(timeout=NO_TIME)
        taken.append((time.thread_time_ns() - began) / 1e9)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("timeouts")
    parser.add_argument("--samples", type=int, default=16)
    options = parser.parse_args()
    texts = options.timeouts.split(",")
    cores = sorted(os.sched_getaffinity(0))
    neighbour = busy_neighbour(0) if len(cores) > 1 else None
    os.sched_setaffinity(0, {cores[-1]})
    clock = time.perf_counter
    lock = threading.Lock()
    lock.acquire()
    series: dict[str, list[float]] = {f"overshoot {text}": [] for text in texts}
    series["call"] = []
    for text in texts:
        timeout = float(text)
        settled = clock() + SETTLE_TIME
        while len(series[f"overshoot {text}"]) < options.samples:
            began = clock()
            lock.acquire(timeout=timeout)
            ended = clock()
            if began >= settled:
                series[f"overshoot {text}"].append(ended - began - timeout)
            began = clock()
            lock.acquire(blocking=False)
            series["call"].append(clock() - began)
    series["slack setting"] = slack_setting()
    series["overdue"] = overdue_waits(lock, 10 * options.samples)
    if neighbour is not None:
        os.kill(neighbour, signal.SIGKILL)
        os.waitpid(neighbour, 0)
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
