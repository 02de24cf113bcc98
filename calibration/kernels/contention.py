"""What an operation on a shared object costs beside other threads, on a build without a GIL.

Two things make it dearer than on an object of one's own: the object's lock and its reference
count travel between the cores' caches, and what one thread stored, another one has to free (its
owner is asked to, through a queue). In a tight loop a thread does many operations before another
one gets the object, so that little shows; among other work each operation meets an object that
another core has used last. So each operation is measured alone and among more and more work.

For each operation and number of threads, short windows with one object for all threads alternate
with windows in which each has its own. Prints times per turn of the loop, an operation and ``G``
steps of other work: ``"OPERATION gap=G own n=N"`` and ``"OPERATION gap=G shared n=N"``, paired, and
for one thread ``"OPERATION alone"`` and ``"empty"``, the loop with and without the operation.
"""

import argparse
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

#: How each operation is written; ``i`` is a number that no other turn has.
OPERATIONS = {
    "counter": "box.count += 1",
    "dict_write": "table[3] = i",
    "list_write": "row[3] = i",
    "read": "row[5]",
    "call": "box.method()",
    "critical_section": "members.add(1)",
}
TURNS = 50


class Box:
    """A shared object: an attribute that changes and a method."""

    def __init__(self) -> None:
        self.count = 0

    def method(self) -> int:
        return 1


Objects = tuple[Box, dict[int, object], list[object], set[int]]
Loop = Callable[[Objects, float, Callable[[], float]], int]


def new_objects() -> Objects:
    return Box(), {n: None for n in range(64)}, [Box() for _ in range(64)], set(range(8))


def loop_of(operation: str, gap: int) -> Loop:
    """Return a loop of the operation and ``gap`` steps of other work; it returns its turns."""
    body = f"   {operation}\n" + "   x = x * 3 & 1023\n" * gap
    source = (
        "def loop(objects, end, clock):\n"
        " box, table, row, members = objects\n"
        " i, x = 1000, 1\n"
        " while clock() < end:\n"
        f"  for _ in range({TURNS}):\n"
        f"{body}"
        "   i += 1\n"
        " return i - 1000\n"
    )
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    loop: Loop = namespace["loop"]
    return loop


def turn_time(loop: Loop, objects: list[Objects], window: float) -> float:
    """Run a thread for each of the objects at once; return a thread's time per turn.

    Of their turns together: the locks are unfair, and one thread may starve beside another.
    """
    times = [0.0] * len(objects)
    cores = sorted(os.sched_getaffinity(0))
    barrier = threading.Barrier(len(objects))

    def body(number: int) -> None:
        # A window is over before the scheduler has spread its threads over the cores by itself.
        os.sched_setaffinity(0, {cores[number % len(cores)]})
        barrier.wait()
        began = time.perf_counter()
        turns = loop(objects[number], began + window, time.perf_counter)
        times[number] = (time.perf_counter() - began) / turns

    threads = [threading.Thread(target=body, args=(n,)) for n in range(len(objects))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) / sum(1 / taken for taken in times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", help="numbers of threads, such as 2,4")
    parser.add_argument("--gaps", default="0,8,40")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--window", type=float, default=0.005)
    options = parser.parse_args()
    counts = [int(count) for count in options.counts.split(",")]
    gaps = [int(gap) for gap in options.gaps.split(",")]
    loops = {(name, gap): loop_of(text, gap) for name, text in OPERATIONS.items() for gap in gaps}
    empty, alone = loop_of("pass", 0), {n: loop_of(t, 0) for n, t in OPERATIONS.items()}
    series: dict[str, list[float]] = {}

    def take(label: str, loop: Loop, objects: list[Objects]) -> None:
        series.setdefault(label, []).append(turn_time(loop, objects, options.window))

    for _ in range(options.samples):
        for name in OPERATIONS:
            take("empty", empty, [new_objects()])
            take(f"{name} alone", alone[name], [new_objects()])
            for gap in gaps:
                for count in counts:
                    loop, label = loops[name, gap], f"{name} gap={gap}"
                    take(f"{label} own n={count}", loop, [new_objects() for _ in range(count)])
                    take(f"{label} shared n={count}", loop, [new_objects()] * count)
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
