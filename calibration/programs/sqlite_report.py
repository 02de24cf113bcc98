"""A dashboard query: aggregate an in-memory SQLite table and turn the row into a report."""

import random
import sqlite3
from types import SimpleNamespace

ROWS = 8000
QUERY = "SELECT count(*), sum(amount), max(amount * 3 % 997), avg(amount) FROM sale WHERE shop < ?"


def setup() -> SimpleNamespace:
    draw = random.Random(15)
    # A connection per worker; threads of one interpreter make it in the thread that uses it.
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE sale (shop INTEGER, amount INTEGER)")
    rows = [(int(draw.random() * 50), int(draw.random() * 10_000)) for _ in range(ROWS)]
    connection.executemany("INSERT INTO sale VALUES (?, ?)", rows)
    connection.commit()
    return SimpleNamespace(cursor=connection.cursor(), row=None, result=None)


def query(state: SimpleNamespace) -> None:
    state.cursor.execute(QUERY, (37,))


def fetch(state: SimpleNamespace) -> None:
    state.row = state.cursor.fetchone()


def report(state: SimpleNamespace) -> None:
    count, total, largest, mean = state.row
    lines = []
    for month in range(1, 400):
        share = total * month // 78
        lines.append(f"{month:3} {share:10} {share % largest:6}")
    state.result = (count, total, round(mean, 6), len("\n".join(lines)))


STEPS = (
    # 5 (3.11) or 6 releases each, counted with perf on PyEval_SaveThread; one of the query's is
    # the query, the others surround calls that only read a field.
    ("query", "released_native", "compute", query, 6),
    ("fetch", "released_native", "compute", fetch, 6),
    ("report", "python", "bytecode", report),
)
