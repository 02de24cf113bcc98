"""A blob server: read a 1 MB blob from a memory file, check its CRC, chop it into an index.

The read copies memory and the CRC streams through it, both without the GIL.
"""

import os
import zlib
from types import SimpleNamespace

SIZE = 1_000_000
CHUNK = 1024


def setup() -> SimpleNamespace:
    descriptor = os.memfd_create("blob")
    os.write(descriptor, bytes(range(250)) * (SIZE // 250))
    return SimpleNamespace(descriptor=descriptor, blob=b"", crc=0, result=None)


def read(state: SimpleNamespace) -> None:
    state.blob = os.pread(state.descriptor, SIZE, 0)


def check(state: SimpleNamespace) -> None:
    state.crc = zlib.crc32(state.blob)


def index(state: SimpleNamespace) -> None:
    blob = state.blob
    chunks = {}
    for offset in range(0, SIZE, CHUNK):
        chunks[offset] = (blob[offset], blob[offset : offset + 16])
    state.result = (state.crc, len(chunks), sum(first for first, _head in chunks.values()))


STEPS = (
    ("read", "released_native", "memory", read),
    ("check", "released_native", "compute", check),
    ("index", "python", "bytecode", index),
)
