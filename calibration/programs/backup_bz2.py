"""A backup job: compress a small file with bz2, unpack an LZMA archive, compare them.

Each (de)compressor call that computes releases the GIL once (LZMA's a second time to see the end
of the stream); outputs fit the first block.
"""

import bz2
import lzma
import random
from types import SimpleNamespace
from typing import Any

SIZE = 12_000


def setup() -> SimpleNamespace:
    draw = random.Random(17)
    words = [f"word{int(draw.random() * 400)}" for _ in range(SIZE // 6)]
    plain = " ".join(words).encode()[:SIZE]
    return SimpleNamespace(
        plain=plain,
        archive=lzma.compress(plain, preset=0),
        job=None,
        unpacked=b"",
        result=None,
    )


def start(state: SimpleNamespace) -> None:
    state.job = bz2.BZ2Compressor(1)


def feed(state: SimpleNamespace) -> None:
    state.job.compress(state.plain)


def pack(state: SimpleNamespace) -> None:
    state.job.flush()


def unpack(state: SimpleNamespace) -> None:
    state.unpacked = lzma.LZMADecompressor().decompress(state.archive)


def compare(state: SimpleNamespace) -> None:
    counts: dict[Any, Any] = {}
    for word in state.unpacked.decode().split(" "):
        counts[word] = counts.get(word, 0) + 1
    state.result = (state.unpacked == state.plain, len(counts), max(counts.values()))


STEPS = (
    ("start", "held_native", "compute", start),
    ("feed", "released_native", "compute", feed),
    ("pack", "released_native", "compute", pack),
    ("unpack", "released_native", "compute", unpack, 2),
    ("compare", "python", "bytecode", compare),
)
