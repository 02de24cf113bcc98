"""Whether a thread that is woken on a busy core stays there beside an idle one.

Linux looks for an idle core when it wakes a thread (`select_idle_sibling` in kernel/sched/fair.c),
but not on every machine does it find one: in a virtual machine an idle core that has halted
counts as one that the host took away (`vcpu_is_preempted`), and with many cores busy it does not
look far (`SIS_UTIL`). Then the thread waits for its last core, and so do others that live there.

Process B blocks on an eventfd on the core of process A, free to run anywhere. A, tied to that core,
computes for a while, so that every other core is idle; then it writes to the eventfd and blocks. B
tells on which core it came to run (proc_pid_stat(5), "processor").

Prints ``"stayed"``: 1 for each time that it was A's core, 0 for another. Empty with one core.
"""

import argparse
import json
import mmap
import os
import signal
import time

CORE, ANSWERED = 0, 1
#: Time in which B goes to sleep, and time for which A computes then.
PAUSE = 1e-3
BUSY = 1e-3


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=60)
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    home = min(cores)
    cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    event, done = os.eventfd(0), os.eventfd(0)
    sleeper = os.fork()
    if sleeper == 0:
        answer(event, done, cells, cores, home)
    os.sched_setaffinity(0, {home})
    clock = time.perf_counter
    stayed = []
    for _ in range(options.samples if len(cores) > 1 else 0):
        time.sleep(PAUSE)
        until = clock() + BUSY
        while clock() < until:
            pass
        os.eventfd_write(event, 1)
        os.eventfd_read(done)
        stayed.append(int(cells[CORE] == home))
    os.kill(sleeper, signal.SIGKILL)
    os.waitpid(sleeper, 0)
    print(json.dumps({"series": {"stayed": stayed}, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
