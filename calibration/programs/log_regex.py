"""A log analyser: find fields with a regular expression, count by status, mask addresses."""

import random
import re
from types import SimpleNamespace
from typing import Any

LINES = 250
LINE = re.compile(r'^(\d+\.\d+\.\d+\.\d+) - \[([^\]]+)\] "(\w+) ([^ "]+)" (\d{3}) (\d+)$', re.M)
ADDRESS = re.compile(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b")


def setup() -> SimpleNamespace:
    draw = random.Random(12)
    lines = []
    for number in range(LINES):
        address = ".".join(str(int(draw.random() * 255)) for _ in range(4))
        path = f"/shop/item/{int(draw.random() * 500)}"
        status = (200, 200, 200, 304, 404, 500)[int(draw.random() * 6)]
        size = int(draw.random() * 9000)
        lines.append(f'{address} - [12:{number // 60:02}] "GET {path}" {status} {size}')
    return SimpleNamespace(text="\n".join(lines), rows=None, counts=None, result=None)


def find(state: SimpleNamespace) -> None:
    state.rows = LINE.findall(state.text)


def count(state: SimpleNamespace) -> None:
    counts: dict[Any, Any] = {}
    for _address, minute, _method, path, status, size in state.rows:
        entry = counts.setdefault((status, minute), [0, 0, set()])
        entry[0] += 1
        entry[1] += int(size)
        entry[2].add(path)
    state.counts = counts


def mask(state: SimpleNamespace) -> None:
    masked = ADDRESS.sub("0.0.0.0", state.text)
    state.result = (len(masked), sorted(key for key in state.counts)[0])


STEPS = (
    ("find", "held_native", "compute", find),
    ("count", "python", "bytecode", count),
    ("mask", "held_native", "compute", mask),
)
