"""Time between two polls of the eval breaker in ordinary bytecode.

A thread gives up the GIL on request only where the interpreter polls: at a function's entry, at
a loop's back edge and after a call into C (Python/bytecodes.c: RESUME, JUMP_BACKWARD, CALL).
The work is the bytecode mix of ``speed.py``; its polls are counted once by tracing every
instruction, after the timing. A call of a Python function polls at the callee's entry and not
at the call, so calls and back edges together are the polls.

Prints ``"poll"``: time per poll, a sample a batch.
"""

import argparse
import dis
import json
import os
import runpy
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_polls(unit: Callable[[], object]) -> int:
    """Count the calls and back edges that the unit executes."""
    polls = 0

    def polled(code: bytes, offset: int) -> bool:
        name = dis.opname[code[offset]]
        back_edge = "JUMP_BACKWARD" in name and "NO_INTERRUPT" not in name
        return back_edge or (name.startswith("CALL") and "INTRINSIC" not in name)

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal polls
        frame.f_trace_opcodes = True
        if event == "opcode" and polled(frame.f_code.co_code, frame.f_lasti):
            polls += 1
        return trace

    # 3.12 looks only at this moment whether any frame wants events for instructions.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        unit()
    finally:
        sys.settrace(None)
    return polls


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--units", type=int, default=12)
    options = parser.parse_args()
    speed = os.path.join(os.path.dirname(os.path.abspath(__file__)), "speed.py")
    unit = runpy.run_path(speed)["bytecode"]
    for _ in range(options.units * 20):
        unit()
    times = []
    for _ in range(options.samples):
        began = time.perf_counter_ns()
        for _ in range(options.units):
            unit()
        times.append((time.perf_counter_ns() - began) / 1e9 / options.units)
    polls = count_polls(unit)
    series = {"poll": [batch / polls for batch in times], "polls per unit": [float(polls)]}
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
