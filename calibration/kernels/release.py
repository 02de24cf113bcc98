"""Cost of releasing and re-taking a GIL that nobody else wants.

``zlib.crc32`` releases the GIL around the checksum when the buffer is longer than 5 * 1024 bytes
(Modules/zlibmodule.c, zlib_crc32_impl, 3.11 to 3.14); one byte decides whether a call pays for
drop_gil and take_gil. A longer buffer also costs checksum time, hence a control: the same step
just below the threshold. All lengths are multiples of the checksum's inner block (zlib's braid
of 40 bytes, up to 512 with vector instructions), so that none has a slow tail, and views of one
buffer, so that all have one alignment: both are worth as much as the GIL. On a free-threaded
build without a GIL the same call detaches and attaches the thread state, and the figure is the
cost of that.

Prints time per call, the three interleaved, each the median of a few short batches: ``"released"``
(7680 bytes), ``"held"`` (5120), ``"control"`` (2560). Cost = (released - held) - (held - control).
"""

import argparse
import json
import os
import time
import zlib
from itertools import repeat

THRESHOLD = 5 * 1024
STEP = 2560


def batch_time(payload: memoryview, calls: int) -> float:
    """Time one call of crc32 on the payload: the mean of a batch."""
    crc32 = zlib.crc32
    began = time.perf_counter_ns()
    for _ in repeat(None, calls):
        crc32(payload)
    return (time.perf_counter_ns() - began) / 1e9 / calls


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--batches", type=int, default=5)
    options = parser.parse_args()
    buffer = memoryview(bytes(THRESHOLD + STEP))
    payloads = {
        "released": buffer[: THRESHOLD + STEP],
        "held": buffer[:THRESHOLD],
        "control": buffer[: THRESHOLD - STEP],
    }
    series: dict[str, list[float]] = {name: [] for name in payloads}
    for payload in payloads.values():
        batch_time(payload, options.calls)
    for _ in range(options.samples):
        batches: dict[str, list[float]] = {name: [] for name in payloads}
        for _ in range(options.batches):
            for name, payload in payloads.items():
                batches[name].append(batch_time(payload, options.calls))
        for name, times in batches.items():
            series[name].append(sorted(times)[len(times) // 2])
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
