"""Time of a garbage collection per object that it looks at.

A collection traverses every container of the generations that it collects, so its time grows with
their number: few in a young collection, the whole live heap in a full one. How long one object
takes depends on what it refers to and on whether it is in the caches, so three kinds of heap are
measured: dicts, lists, and instances, each referring to a few others; and each full collection
right after another one, and after other memory went through the core's caches, as it does when a
program works in between. Without a GIL a collection also visits containers that it does not
track, so tuples and dicts of numbers are measured there. What is measured is the build's own
``gc.collect``, called as the interpreter would.

Prints, in seconds, ``"young"``: per live object in a collection of the youngest generation (none
on a free-threaded build, which has only full ones); ``"full"``: per live object in a full one;
``"untracked"``: per container that is not tracked in a full one (without a GIL only);
``"garbage"``: per object found in cycles, beyond what a live one takes; ``"young base"`` and
``"full base"``: what a collection takes besides (a full one: of the bare interpreter's heap);
and the settings ``"threshold 0"``, ``"threshold 1"``, ``"threshold 2"``, ``"bare objects"``.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable

YOUNG_OBJECTS = 2000
#: More than the caches of one core hold, less than the one that cores share.
OTHER_MEMORY = 8 << 20


class Node:
    """An instance with a few attributes, as programs have them."""

    def __init__(self, number: int, other: object) -> None:
        self.number = number
        self.other = other


def dicts(count: int) -> list[object]:
    first: dict[str, object] = {}
    return [{"number": number, "other": first} for number in range(count)]


def lists(count: int) -> list[object]:
    first: list[object] = []
    return [[number, first, None] for number in range(count)]


def instances(count: int) -> list[object]:
    first = Node(0, None)
    return [Node(number, first) for number in range(count)]


def tuples_of_numbers(count: int) -> list[object]:
    return [(number, None) for number in range(count)]


def dicts_of_numbers(count: int) -> list[object]:
    return [{"number": number, "other": None} for number in range(count)]


def cycles(count: int) -> list[object]:
    made: list[object] = []
    for number in range(count):
        node = Node(number, None)
        node.other = node
        made.append(node)
    return made


def collection_time(generation: int) -> float:
    began = time.perf_counter_ns()
    gc.collect(generation)
    return (time.perf_counter_ns() - began) / 1e9


def fastest(generation: int, times: int = 3) -> float:
    return min(collection_time(generation) for _ in range(times))


def full_times(other: bytearray) -> tuple[float, float]:
    """Time a full collection of a heap that was just looked at, and of one that was not."""
    warm = fastest(2)
    cold = []
    for _ in range(2):
        other[::64] = bytes(len(other) // 64)
        cold.append(collection_time(2))
    return warm, min(cold)


def young_time(make: Callable[[int], list[object]], count: int) -> float:
    """Time a collection of the youngest generation with ``count`` new objects in it."""
    gc.collect(0)
    objects = make(count)
    taken = collection_time(0)
    objects.clear()
    return taken


def garbage_time(count: int) -> float:
    """Time a collection that finds ``count`` objects in cycles."""
    gc.collect(0)
    cycles(count).clear()
    return collection_time(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--objects", type=int, default=60_000)
    options = parser.parse_args()
    gc.disable()
    # Of the main heap only what is made here: the bare interpreter's is a few thousand objects.
    is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    generational = is_gil_enabled()
    kinds = (dicts, lists, instances)
    names = ("young", "young base", "full", "full base", "garbage", "untracked")
    series: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    series["bare objects"] = [float(len(gc.get_objects()))]
    for number, threshold in enumerate(gc.get_threshold()):
        series[f"threshold {number}"] = [float(threshold)]
    other = bytearray(OTHER_MEMORY)

    def full_series(name: str, make: Callable[[int], list[object]]) -> None:
        bases = full_times(other)
        heap = make(options.objects)
        gc.collect()
        if gc.is_tracked(heap[-1]) is (name == "full"):  # versions differ in what they track
            for taken, base in zip(full_times(other), bases, strict=True):
                series[name].append(max(taken - base, 0.0) / options.objects)
                series["full base"].append(base)
        heap.clear()

    for _ in range(options.samples):
        if not generational:
            full_series("untracked", tuples_of_numbers)
            full_series("untracked", dicts_of_numbers)
        for make in kinds:
            full_series("full", make)
            if generational:
                empty = fastest(0)
                young = max(young_time(make, YOUNG_OBJECTS) - empty, 0.0) / YOUNG_OBJECTS
                series["young"].append(young)
                series["young base"].append(empty)
        base = fastest(0)
        live = series["young" if generational else "full"][-1]
        garbage = (garbage_time(YOUNG_OBJECTS) - base) / YOUNG_OBJECTS
        series["garbage"].append(max(garbage - live, 0.0))
    print(
        json.dumps({"series": {name: s for name, s in series.items() if s}, "notes": []}),
        flush=True,
    )
    os._exit(0)


if __name__ == "__main__":
    main()
