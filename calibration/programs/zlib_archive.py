"""An archiver: put records into one text, compress about 200 kB of it, file the index entry.

The text repeats itself, so that the compressed form fits zlib's first output block and the
compression is one call to ``deflate``, hence one release of the GIL.
"""

import random
import zlib
from types import SimpleNamespace

RECORDS = 600


def setup() -> SimpleNamespace:
    draw = random.Random(13)
    bodies = ["event " + "lorem ipsum dolor sit amet " * 12 for _ in range(5)]
    records = [(number, bodies[int(draw.random() * 5)]) for number in range(RECORDS)]
    return SimpleNamespace(records=records, text=b"", packed=b"", index={}, result=None)


def join(state: SimpleNamespace) -> None:
    state.text = "\n".join([f"{number:06} {body}" for number, body in state.records]).encode()


def compress(state: SimpleNamespace) -> None:
    state.packed = zlib.compress(state.text, 6)


def file_entry(state: SimpleNamespace) -> None:
    index = {}
    for number, body in state.records:
        index[f"record-{number}"] = (number, len(body) + 8, number % 7)
    state.index = index
    state.result = (len(state.text), len(index))


STEPS = (
    ("join", "python", "bytecode", join),
    ("compress", "released_native", "compute", compress),
    ("file_entry", "python", "bytecode", file_entry),
)
