"""A deduplicating store: hash a 1 MB block, then keep the ledger of blocks in Python."""

import hashlib
from types import SimpleNamespace
from typing import Any

BLOCK = 1_000_000
ENTRIES = 1500


def setup() -> SimpleNamespace:
    block = bytes(range(256)) * (BLOCK // 256)
    return SimpleNamespace(block=block, digest=b"", result=None)


def digest(state: SimpleNamespace) -> None:
    state.digest = hashlib.sha256(state.block).digest()


def book(state: SimpleNamespace) -> None:
    ledger: dict[Any, Any] = {}
    check = int.from_bytes(state.digest[:4], "big")
    for entry in range(ENTRIES):
        check = (check * 1103515245 + entry) & 0x7FFFFFFF
        shelf = ledger.setdefault(check % 61, [])
        shelf.append(check)
    state.result = (state.digest.hex(), max(map(len, ledger.values())))


STEPS = (
    ("digest", "released_native", "compute", digest),
    ("book", "python", "bytecode", book),
)
