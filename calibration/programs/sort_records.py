"""A report: make records from raw rows, sort them by two keys in C, group neighbours."""

import random
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

ROWS = 2500


def setup() -> SimpleNamespace:
    draw = random.Random(14)
    rows = [(int(draw.random() * 300), draw.random(), f"name {n}") for n in range(ROWS)]
    return SimpleNamespace(rows=rows, records=None, result=None)


def build(state: SimpleNamespace) -> None:
    state.records = [(team, score * 100.0, name) for team, score, name in state.rows]


def sort(state: SimpleNamespace) -> None:
    state.records.sort(key=itemgetter(0, 1))


def group(state: SimpleNamespace) -> None:
    best: dict[Any, Any] = {}
    for team, score, name in state.records:
        if team not in best or best[team][0] < score:
            best[team] = (score, name)
    state.result = (len(best), best[0][1])


STEPS = (
    ("build", "python", "bytecode", build),
    ("sort", "held_native", "compute", sort),
    ("group", "python", "bytecode", group),
)
