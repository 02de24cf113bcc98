"""Time until one more thread, interpreter or process runs, and the memory it keeps.

``thread``: from ``start()`` to the first instruction, and to the end of ``join()``.
``interpreter``: creation until its first code has run; with a GIL of its own from 3.12, sharing
main's in 3.11 (``_xxsubinterpreters`` to 3.12, ``_interpreters`` from 3.13).
``fork``, ``spawn``, ``forkserver``: `multiprocessing` from ``start()`` to the target's first
instruction; the first start of each (which also starts helper processes) is kept apart.

Memory is the growth of the proportional set size of the process and its children over the
instances kept alive, so that shared pages count once. Everything made here is left to
``os._exit``: CPython 3.12.1 can hang when it finalises interpreters.

Prints ``"KIND start"``, ``"KIND memory"`` and ``"bare memory"`` (this process before anything).
"""

import argparse
import importlib
import json
import multiprocessing
import os
import site
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

clock = time.perf_counter_ns


def proportional_memory(process: int) -> float:
    """Read the proportional set size of a process, in bytes."""
    with open(f"/proc/{process}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return float(line.split()[1]) * 1024
    raise OSError("no Pss in smaps_rollup")


def startup_hooks() -> list[str]:
    """Note the ``.pth`` files that run code when an interpreter of this build starts."""
    if sys.flags.no_site:
        return []
    found = []
    for folder in site.getsitepackages():
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if name.endswith(".pth"):
                with open(os.path.join(folder, name), errors="replace") as file:
                    if any(line.startswith(("import ", "import\t")) for line in file):
                        found.append(name)
    names = ", ".join(dict.fromkeys(found))
    return [f"start-up runs the code in {names}"] if found else []


def measure_threads(samples: int, alive: int) -> dict[str, list[float]]:
    """Start and join threads one by one, then keep some blocked to see their memory."""
    starts, joins, ran_at = [], [], [0]

    def body() -> None:
        ran_at[0] = clock()

    for _ in range(samples):
        began = clock()
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        joins.append((clock() - began) / 1e9)
        starts.append((ran_at[0] - began) / 1e9)
    release = threading.Event()
    before = proportional_memory(os.getpid())
    for _ in range(alive):
        threading.Thread(target=release.wait, daemon=True).start()
    grown = proportional_memory(os.getpid()) - before
    return {"thread start": starts, "thread join": joins, "thread memory": [grown / alive]}


def measure_interpreters(samples: int) -> dict[str, list[float]]:
    """Create interpreters, all kept alive, each until its first code has run."""
    try:
        interpreters = importlib.import_module("_interpreters")
    except ImportError:
        interpreters = importlib.import_module("_xxsubinterpreters")
    starts = []
    before = proportional_memory(os.getpid())
    for _ in range(samples):
        began = clock()
        interpreters.run_string(interpreters.create(), "pass")
        starts.append((clock() - began) / 1e9)
    grown = proportional_memory(os.getpid()) - before
    return {"interpreter start": starts, "interpreter memory": [grown / samples]}


def child(output: Connection) -> None:
    """Report the instant of the first instruction and stay until told to go."""
    ran_at = clock()
    output.send((ran_at, os.getpid()))
    output.recv()


def measure_processes(method: str, samples: int, alive: int) -> dict[str, list[float]]:
    """Start processes; the last ``alive`` of them stay until their memory is read."""
    context: Any = multiprocessing.get_context(method)
    starts: list[float] = []
    family: list[float] = []
    living = []
    for number in range(samples + 1):
        ours, theirs = context.Pipe()
        process = context.Process(target=child, args=(theirs,), daemon=True)
        began = clock()
        process.start()
        ran_at, process_id = ours.recv()
        starts.append((ran_at - began) / 1e9)
        if number < samples - alive:
            ours.send(None)
            process.join()
            continue
        living.append((process_id, process, ours, theirs))
        members = [os.getpid(), *(entry[0] for entry in living)]
        family.append(sum(map(proportional_memory, members)))
    grown = (family[-1] - family[0]) / (len(family) - 1)
    for _, process, _, _ in living:
        process.kill()
        process.join()
    return {
        f"{method} first": starts[:1],
        f"{method} start": starts[1:],
        f"{method} memory": [grown],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--alive", type=int, default=2)
    options = parser.parse_args()
    bare = proportional_memory(os.getpid())
    if options.kind == "thread":
        series = measure_threads(options.samples, options.alive)
    elif options.kind == "interpreter":
        series = measure_interpreters(options.samples)
    else:
        series = measure_processes(options.kind, options.samples, options.alive)
    series["bare memory"] = [bare]
    print(json.dumps({"series": series, "notes": startup_hooks()}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
