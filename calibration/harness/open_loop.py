"""Run a program for real in one layout under arrivals that do not wait for it.

    python open_loop.py SCHEDULE PROGRAM --processes 1 --threads 4 ... (as run_layout.py)

SCHEDULE holds the instants of arrival, 8-byte little-endian nanoseconds since the start, in
order. Idle workers take the next arrival each and sleep until it is due; a worker that comes
late begins at once: one queue, first come first served, without a generator that would compete
for the cores. A response time counts from the instant of arrival, however late the program is:
coordinated omission cannot hide latency.

All workers read one open file description, whose offset the kernel moves under a lock
(read(2) of a regular file), so that each arrival is taken once, across processes too.

Output: as run_layout.py, but ``completions`` has pairs in each row: arrived, completed.
"""

import os
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
#: How workers learn of the schedule: sub-interpreters inherit nothing but the environment.
VARIABLE = "GILPLAN_SCHEDULE"

SERVING = '''
def loop(calls, state, deadline, _gauge):
    """Serve arrivals until the deadline; return arrived, completed, arrived, completed, ..."""
    schedule, run_time = map(int, os.environ["GILPLAN_SCHEDULE"].split(":"))
    start = deadline - run_time
    clock = time.perf_counter_ns
    record = []
    now = clock()
    while now < deadline:
        ticket = os.read(schedule, 8)
        if len(ticket) < 8:
            break
        arrived = start + int.from_bytes(ticket, "little")
        early = arrived - clock()
        if early > 0:
            time.sleep(early / 1e9)
        for call in calls:
            call(state)
        now = clock()
        record += (arrived, now)
    return record
'''


def namespace_of(path: str, name: str) -> dict[str, Any]:
    """Execute a sibling file by path: under ``-I`` its folder is not importable."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    namespace: dict[str, Any] = {"__name__": name, "__file__": path}
    exec(compile(text, path, "exec"), namespace)
    return namespace


def main(argv: list[str]) -> None:
    schedule, *rest = argv
    runner = namespace_of(os.path.join(HERE, "run_layout.py"), "run_layout")
    options = runner["arguments"](rest)
    descriptor = os.open(schedule, os.O_RDONLY)
    os.environ[VARIABLE] = f"{descriptor}:{int(options.time * 1e9)}"
    # The workers of run_layout.py with another loop; every interpreter reads them from a file.
    with open(os.path.join(HERE, "worker.py"), encoding="utf-8") as file:
        worker = file.read()
    path = schedule + ".worker.py"
    with open(path, "w", encoding="utf-8") as file:
        file.write(worker + SERVING)
    runner["WORKER"] = path
    runner["main"](rest)


if __name__ == "__main__":
    main(sys.argv[1:])
