"""Wake-up latency of a blocked thread against how long its core had been idle.

An idle core sleeps the deeper the longer nothing happens (idle states; in a virtual machine the
host stops running the virtual core), so a thread's wake-up takes the longer the longer its core
had been idle. Process A keeps its own core busy for the idle time, stamps the clock and writes
to an eventfd on which process B, alone on another core, is blocked; B stamps when it returns.
An eventfd, because a pipe's wake-up tells the scheduler that the writer is about to sleep,
which a GIL's release does not. A sees B's answer in shared memory, so that A's own wake-ups do
not lengthen B's idle time. All samples of one idle time come in a row: where the host has learnt
that the core sleeps for long, it takes some 80 ms of short idle times until it wakes faster.

Prints ``"idle TIME"``: latencies in seconds; ``"signal TIME"``: how long A's writes took, part of
which is the work of waking (an idle core that sleeps needs an interrupt, one that does not yet
notices by itself); ``"running TIME"``: B's processor time from before it blocked to its stamp,
since the kernel switches to it before it can go on; ``"call"`` and ``"quiet write"``: what a write
and a read, and a write alone, cost when nobody blocks, to be subtracted.
"""

import argparse
import json
import mmap
import os
import signal
import time

ASKED_AT, RAN_AT, ANSWERED, RUNNING = range(4)
#: So long after its idle times have changed a core still wakes as it did before, seconds.
SETTLE_TIME = 0.1
LEAST_SAMPLES = 2


def pin(index: int) -> None:
    """Tie the process to the index-th core it may use (counted round)."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})


def answer(event: int, cells: memoryview) -> None:
    """Block on the event, stamp, acknowledge, for ever."""
    clock, processor_clock = time.perf_counter_ns, time.thread_time_ns
    while True:
        blocked_at = processor_clock()
        os.eventfd_read(event)
        cells[RAN_AT] = clock()
        cells[RUNNING] = processor_clock() - blocked_at
        cells[ANSWERED] += 1


def call_times(samples: int) -> tuple[list[float], list[float]]:
    """Time writes, and writes with reads, of an eventfd on which nobody blocks."""
    clock = time.perf_counter_ns
    event = os.eventfd(0)
    writes, calls = [], []
    for _ in range(samples):
        began = clock()
        os.eventfd_write(event, 1)
        written_at = clock()
        os.eventfd_read(event)
        calls.append((clock() - began) / 1e9)
        writes.append((written_at - began) / 1e9)
    return writes, calls


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("idle_times")
    parser.add_argument("--samples", type=int, default=70)
    parser.add_argument("--longest", type=float, default=0.4, help="seconds for one idle time")
    parser.add_argument("--limit", type=float, default=8.0, help="seconds for all samples")
    options = parser.parse_args()
    texts = options.idle_times.split(",")
    counts = {
        text: max(2, min(options.samples, int(options.longest / float(text)))) for text in texts
    }
    cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    event = os.eventfd(0)
    alone = len(os.sched_getaffinity(0)) == 1
    sleeper = os.fork()
    if sleeper == 0:
        pin(1)
        answer(event, cells)
    pin(0)
    clock = time.perf_counter_ns
    series: dict[str, list[float]] = {f"idle {text}": [] for text in texts}
    series["quiet write"], series["call"] = call_times(options.samples)
    series |= {f"{name} {text}": [] for name in ("signal", "running") for text in texts}
    notes = ["one core only: the woken thread shares it with the waker"] if alone else []
    asked = 0
    for text in texts:
        settled = clock() + int(SETTLE_TIME * 1e9)
        limit = settled + int(options.limit / len(texts) * 1e9)
        while len(series[f"idle {text}"]) < counts[text]:
            if clock() > limit and len(series[f"idle {text}"]) >= LEAST_SAMPLES:
                break
            asked += 1
            until = clock() + int(float(text) * 1e9)
            while clock() < until:
                pass
            cells[ASKED_AT] = clock()
            os.eventfd_write(event, 1)
            signalled_at = clock()
            while cells[ANSWERED] != asked:
                if alone:
                    os.sched_yield()
            if cells[ASKED_AT] > settled:
                series[f"signal {text}"].append((signalled_at - cells[ASKED_AT]) / 1e9)
                series[f"running {text}"].append(cells[RUNNING] / 1e9)
                series[f"idle {text}"].append((cells[RAN_AT] - cells[ASKED_AT]) / 1e9)
    if any(len(series[f"idle {text}"]) < count for text, count in counts.items()):
        # On a busy machine every answer may take some time slices.
        notes.append("wake: stopped early, other processes keep the cores busy")
    os.kill(sleeper, signal.SIGKILL)
    os.waitpid(sleeper, 0)
    print(json.dumps({"series": series, "notes": notes}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
