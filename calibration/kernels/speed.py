"""Speed of one worker, alone and beside others, in units of work per second.

``KINDS`` (comma-separated) are what may limit a stretch of a program: ``bytecode``, a mix of
calls, attribute access, containers, arithmetic and string formatting as programs have it;
``compute``, native code that stays in the first-level caches (SHA-256, deflate); ``memory``,
native code that streams through buffers bigger than a core's share of the last-level cache.
Cores share clock budget, caches, memory channels and, as hyper-threads, execution units, so a
worker slows down when others are active, by an amount that depends on the kind.

Forked worker processes sleep on a pipe; for each window the parent wakes ``n`` of them, they
start at an agreed instant, and each counts the units it finishes. Windows of every ``n`` follow
each other closely, so that a drifting clock frequency or a noisy neighbour hits all alike: the
i-th windows of all counts are paired. The workers take turns in being the one alone, because the
cores of a machine need not be equally fast at a time. Each is pinned to a core of its own: two
that the scheduler wakes on one core share it for up to a tick, which is no matter of speed.
Prints ``"KIND n=N"``: mean units/s of a worker, a window.
"""

import argparse
import hashlib
import json
import mmap
import os
import signal
import struct
import time
import traceback
import zlib
from collections.abc import Callable

SETTLE_TIME = 0.004
WARM_UP_TIME = 0.03
STREAMED_BYTES = 32 << 20
CHUNK = 1 << 22


class Account:
    """A small class whose methods are called and attributes changed by the bytecode mix."""

    __slots__ = ("balance", "history", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.balance = 0.0
        self.history: list[float] = []

    def deposit(self, amount: float) -> float:
        self.balance += amount
        self.history.append(amount)
        return self.balance


def bytecode() -> int:
    """Run one unit of ordinary interpreted code, about 100 us."""
    accounts = {f"a{i}": Account(f"a{i}") for i in range(8)}
    words: list[str] = []
    checksum = 0
    for i in range(160):
        account = accounts[f"a{i % 8}"]
        balance = account.deposit(i * 0.5 + 1.0)
        checksum = (checksum * 31 + int(balance)) % 1_000_003
        if i % 4 == 0:
            words.append(f"{account.name}:{balance:.1f}:{checksum}")
    lengths = [len(word) for word in words]
    lengths.sort(reverse=True)
    pairs = {word: length for word, length in zip(words, lengths, strict=True) if length > 3}
    return checksum + sum(pairs.values()) + len(",".join(words).split(":"))


def compute_unit() -> Callable[[], object]:
    """Return a unit of native computing on 100 KB: hash it, then deflate a part of it."""
    block = hashlib.sha256(b"gilplan").digest() * 3200
    text = b"".join(b"%d;" % (i * i % 9973) for i in range(4000))

    def unit() -> object:
        return hashlib.sha256(block).digest(), zlib.compress(text, 1)

    return unit


def memory_unit() -> Callable[[], object]:
    """Return a unit of streaming: copy a chunk of a big buffer, scan it for a missing byte."""
    source, target = bytearray(STREAMED_BYTES), bytearray(STREAMED_BYTES)
    read, write = memoryview(source), memoryview(target)
    position = 0

    def unit() -> object:
        nonlocal position
        end = position + CHUNK
        write[position:end] = read[position:end]
        found = source.find(b"\x01", position, end)
        position = end % STREAMED_BYTES
        return found

    return unit


def unit_of(kind: str) -> Callable[[], object]:
    """Return the function that does one unit of the kind of work."""
    return {"bytecode": lambda: bytecode, "compute": compute_unit, "memory": memory_unit}[kind]()


def serve(index: int, kinds: list[str], commands: int, acks: int, shared: mmap.mmap) -> None:
    """Serve windows: read (kind, start, length), work, leave the rate in the shared page."""
    clock = time.perf_counter
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})
    units = [unit_of(kind) for kind in kinds]
    for unit in units:
        end = clock() + WARM_UP_TIME
        while clock() < end:
            unit()
    os.write(acks, b".")
    while True:
        kind, start, length = struct.unpack("idd", os.read(commands, struct.calcsize("idd")))
        unit, done = units[kind], 0
        while clock() < start:
            pass
        # The length counts from here: on a busy machine a worker may come late.
        began = now = clock()
        while now < began + length:
            unit()
            done += 1
            now = clock()
        struct.pack_into("d", shared, index * 8, done / (now - began))
        os.write(acks, b".")


def worker(index: int, kinds: list[str], commands: int, acks: int, shared: mmap.mmap) -> None:
    """Serve windows until killed; a failure is told to the parent, which would wait for ever."""
    try:
        serve(index, kinds, commands, acks, shared)
    finally:
        traceback.print_exc()
        os.write(acks, b"!")
        os._exit(1)


def gather(acks: int, count: int) -> None:
    """Wait for ``count`` acknowledgements; raise RuntimeError when a worker has failed."""
    while count:
        taken = os.read(acks, count)
        if b"!" in taken:
            raise RuntimeError("a worker failed")
        count -= len(taken)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds")
    parser.add_argument("--counts", default="1")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--window", type=float, default=0.06)
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    counts = [int(count) for count in options.counts.split(",")]

    shared = mmap.mmap(-1, max(counts) * 8)
    acks_read, acks_write = os.pipe()
    workers, pipes = [], []
    for index in range(max(counts)):
        commands_read, commands_write = os.pipe()
        child = os.fork()
        if child == 0:
            worker(index, kinds, commands_read, acks_write, shared)
        workers.append(child)
        pipes.append(commands_write)
        gather(acks_read, 1)

    series: dict[str, list[float]] = {f"{kind} n={n}": [] for kind in kinds for n in counts}
    for turn in range(options.samples):
        for number, kind in enumerate(kinds):
            for n in counts:
                chosen = [(turn + k) % len(pipes) for k in range(n)]
                start = time.perf_counter() + SETTLE_TIME
                for index in chosen:
                    os.write(pipes[index], struct.pack("idd", number, start, options.window))
                gather(acks_read, n)
                rates = struct.unpack_from(f"{len(pipes)}d", shared)
                series[f"{kind} n={n}"].append(sum(rates[index] for index in chosen) / n)
    for child in workers:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
