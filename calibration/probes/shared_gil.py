"""Whether a thread of one interpreter can make a thread of another one drop the GIL they share.

The main interpreter and a sub-interpreter with main's GIL each use 0.1 s of processor time in
bytecode. With preemption they alternate every switch interval; without, one runs to its end
before the other gets a turn, however long that takes.

Output: ``{"switches": how often the GIL went from one to the other}``.
"""

import importlib
import json
import os
import threading

SPIN = """
import os, time
def spin(processor_time):
    # Stretches of running, [begin, end] in nanoseconds: a gap of 0.5 ms ends one.
    clock, used = time.perf_counter_ns, time.thread_time
    until = used() + processor_time
    stretches = [[clock(), clock()]]
    while used() < until:
        now = clock()
        if now - stretches[-1][1] > 500_000:
            stretches.append([now, now])
        stretches[-1][1] = now
    return stretches
"""
TIME = 0.1


def new_interpreter(text: str) -> None:
    """Run text in a new interpreter that shares main's GIL."""
    try:
        interpreters = importlib.import_module("_interpreters")
    except ImportError:
        interpreters = importlib.import_module("_xxsubinterpreters")
        interpreters.run_string(interpreters.create(isolated=False), text)
    else:
        failure = interpreters.exec(interpreters.create("legacy"), text)
        if failure is not None:
            raise RuntimeError(str(failure))


def switches(one: list[list[int]], other: list[list[int]]) -> int:
    """Count how often the running interpreter changes along the stretches of both."""
    order = sorted([(begin, 0) for begin, _ in one] + [(begin, 1) for begin, _ in other])
    return sum(order[n][1] != order[n - 1][1] for n in range(1, len(order)))


def main() -> None:
    reading, writing = os.pipe()
    ready, tell_ready = os.pipe()
    text = (
        f"{SPIN}\nos.write({tell_ready}, b'.')\n"
        f"os.write({writing}, repr(spin({TIME})).encode())\nos.close({writing})"
    )
    namespace: dict[str, object] = {}
    exec(SPIN, namespace)
    thread = threading.Thread(target=new_interpreter, args=(text,))
    thread.start()
    # Making an interpreter takes long beside a thread that spins: it could find that one done.
    os.read(ready, 1)
    mine = namespace["spin"](TIME)  # type: ignore[operator]
    thread.join()
    theirs = json.loads(os.read(reading, 1 << 16))
    print(json.dumps({"switches": switches(mine, theirs)}), flush=True)
    os._exit(0)  # 3.12.1 can hang when it ends an interpreter


if __name__ == "__main__":
    main()
