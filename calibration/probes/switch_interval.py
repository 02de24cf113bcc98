"""What ``sys.setswitchinterval`` takes, stores, and reaches.

Main sets 2 ms, then makes a sub-interpreter, which says what it reads and sets 3 ms; main says
what it reads then.

Output: ``{"stored": [[asked, read back or null where refused], ...], "shared": {"reads":
seconds, "main_reads": seconds}, "own": the same or null}``: the sub-interpreter with main's GIL
and with its own.
"""

import importlib
import json
import os
import sys
from typing import Any

ASKED = (0.0003, 0.0011, 0.005, 1.9999e-6, 1e-7, 86400.0, 1.8e13, 1.9e13, 5e14, 0.0, -1.0)
INSIDE = """
import os, sys
os.write(%d, repr(sys.getswitchinterval()).encode())
sys.setswitchinterval(0.003)
"""


def stored(asked: float) -> float | None:
    try:
        sys.setswitchinterval(asked)
    except ValueError:
        return None
    return sys.getswitchinterval()


def run(text: str, own_gil: bool) -> None:
    """Run text in a new interpreter; both are kept, for 3.12.1 can hang when it ends one."""
    try:
        interpreters = importlib.import_module("_interpreters")
    except ImportError:
        interpreters = importlib.import_module("_xxsubinterpreters")
        KEPT.append(interpreters.create(isolated=own_gil))
        interpreters.run_string(KEPT[-1], text)
    else:
        KEPT.append(interpreters.create("isolated" if own_gil else "legacy"))
        failure = interpreters.exec(KEPT[-1], text)
        if failure is not None:
            raise RuntimeError(str(failure))


KEPT: list[Any] = []


def seen(own_gil: bool) -> dict[str, float]:
    """Return what a sub-interpreter reads after main set 2 ms, and main after that one's 3 ms."""
    sys.setswitchinterval(0.002)
    reading, writing = os.pipe()
    run(INSIDE % writing, own_gil)
    return {"reads": float(os.read(reading, 99)), "main_reads": sys.getswitchinterval()}


def main() -> None:
    answer = {
        "stored": [[asked, stored(asked)] for asked in ASKED],
        "shared": seen(False),
        "own": seen(True) if sys.version_info >= (3, 12) else None,
    }
    print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
