"""A data check: read CSV with the C reader, convert columns, summarise them in Python."""

import csv
import random
import statistics
from types import SimpleNamespace
from typing import Any

ROWS = 700


def setup() -> SimpleNamespace:
    draw = random.Random(16)
    lines = [
        f'{n},"sensor {int(draw.random() * 9)}",{draw.random() * 40 - 10:.3f},{draw.random():.5f}'
        for n in range(ROWS)
    ]
    return SimpleNamespace(lines=lines, rows=None, columns=None, result=None)


def read(state: SimpleNamespace) -> None:
    state.rows = list(csv.reader(state.lines))


def convert(state: SimpleNamespace) -> None:
    columns: dict[Any, Any] = {}
    for _number, sensor, temperature, humidity in state.rows:
        columns.setdefault(sensor, []).append(float(temperature) * (1 + float(humidity)))
    state.columns = columns


def summarise(state: SimpleNamespace) -> None:
    summary = {}
    for sensor, values in sorted(state.columns.items()):
        summary[sensor] = (statistics.fmean(values), statistics.median(values), max(values))
    state.result = tuple(round(number, 6) for row in summary.values() for number in row)


STEPS = (
    ("read", "held_native", "compute", read),
    ("convert", "python", "bytecode", convert),
    ("summarise", "python", "bytecode", summarise),
)
