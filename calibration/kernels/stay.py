"""Whether a thread that is woken on a busy core stays there beside an idle one.

Linux looks for an idle core when it wakes a thread (`select_idle_sibling` in kernel/sched/fair.c),
but not on every machine does it take one that it sees: in a virtual machine an idle core may count
as one that the host took away (`vcpu_is_preempted`). Then the thread waits for its last core, and
so do others that live there.

Process B blocks on an eventfd on the core of process A, free to run anywhere. On another core C
computes for a moment and sleeps. A, tied to its core, computes on, writes to the eventfd and
blocks. B tells on which core it came to run (proc_pid_stat(5), "processor"). A computes for so
long, and C so little, that of two cores about 0.9 are in use: with more than 1.2 the kernel would
not look at all (model/placement.py), which needs no measuring. How many are in use the kernel
finds out now and then, as an average: when something has kept both busy, if only the start of these
processes, it does not look for a while: up to a quarter of a second, as far as seen. Until that is
over nothing counts.

Prints ``"stayed"``: 1 for each time that it was A's core, 0 for another. Empty with one core.
"""

import argparse
import json
import mmap
import os
import signal
import time

CORE, ANSWERED, COMPUTING, SLEPT_AT = range(4)
#: Time in which B goes to sleep, and for which C computes then.
PAUSE, BUSY = 1e-3, 5e-4
#: How long C has slept, and A computed alone, when A wakes B.
ALONE = 5e-3
#: For how long the kernel may still go by what ran before.
SETTLING = 0.5


def running_on(path: str = "/proc/self/stat") -> int:
    """Return the core on which the process runs or ran last."""
    with open(path, "rb") as stat:
        return int(stat.read().rpartition(b")")[2].split()[36])


def answer(event: int, done: int, cells: memoryview, cores: set[int], home: int) -> None:
    """Go to the home core, block there free to run anywhere, tell where it woke up; for ever."""
    while True:
        os.sched_setaffinity(0, {home})
        os.sched_setaffinity(0, cores)
        os.eventfd_read(event)
        cells[CORE] = running_on()
        cells[ANSWERED] += 1
        os.eventfd_write(done, 1)


def compute_when_told(start: int, cells: memoryview, core: int) -> None:
    """Compute on the core while the cell says so, and sleep; for ever."""
    os.sched_setaffinity(0, {core})
    while True:
        os.eventfd_read(start)
        while cells[COMPUTING]:
            pass
        cells[SLEPT_AT] = time.perf_counter_ns()


def sample(event: int, done: int, start: int, cells: memoryview) -> None:
    """Let C compute and sleep, compute alone, wake B, and wait for its answer."""
    clock = time.perf_counter_ns
    cells[COMPUTING] = 1
    os.eventfd_write(start, 1)
    until = clock() + int(BUSY * 1e9)
    while clock() < until:
        pass
    cells[SLEPT_AT] = cells[COMPUTING] = 0
    while not cells[SLEPT_AT]:
        pass
    until = cells[SLEPT_AT] + int(ALONE * 1e9)
    while clock() < until:
        pass
    os.eventfd_write(event, 1)
    os.eventfd_read(done)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=60)
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    if len(cores) == 1:
        print(json.dumps({"series": {"stayed": []}, "notes": []}))
        return
    home = min(cores)
    cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    event, done, start = os.eventfd(0), os.eventfd(0), os.eventfd(0)
    sleeper = os.fork()
    if sleeper == 0:
        answer(event, done, cells, cores, home)
    neighbour = os.fork()
    if neighbour == 0:
        compute_when_told(start, cells, max(cores))
    os.sched_setaffinity(0, {home})
    stayed: list[int] = []
    settled_at = time.perf_counter() + SETTLING
    while len(stayed) < options.samples:
        time.sleep(PAUSE)
        sample(event, done, start, cells)
        if time.perf_counter() > settled_at:
            stayed.append(int(cells[CORE] == home))
    for child in (sleeper, neighbour):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(json.dumps({"series": {"stayed": stayed}, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
