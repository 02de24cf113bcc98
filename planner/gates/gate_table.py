"""What a gate found, as a table for people and a document for machines."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gilplan.planner.formatting import format_number, format_time
from gilplan.planner.gates.gate import P99, Moved, Passage


def gate_table(passage: Passage) -> Table:
    """Return a row per layout and quantity: expected, band, now, and which way it moved."""
    title = "all inside their bands" if passage.passed else "what moved out of its band"
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("layout", no_wrap=True)
    table.add_column("quantity", no_wrap=True)
    for heading in ("expected", "band", "now", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in passage.rows:
        table.add_row(
            Text(row.layout),
            row.quantity if row.quantity == P99 else f"{row.quantity}, tasks/s",
            _shown(row, row.band.expected),
            f"{_shown(row, row.band.lower)} to {_shown(row, row.band.upper)}",
            "overloaded" if row.now is None else _shown(row, row.now),
            "" if row.change is None else f"{row.change:+.1%}",
            _verdict(row),
        )
    return table


def gate_document(passage: Passage) -> dict[str, Any]:
    """Return the passage as a JSON-ready document; ``now`` null means overloaded."""
    rows = [
        {
            "layout": row.layout,
            "quantity": row.quantity,
            "expected": row.band.expected,
            "lower": row.band.lower,
            "upper": row.band.upper,
            "now": row.now,
            "inside": row.is_inside,
        }
        for row in passage.rows
    ]
    return {"passed": passage.passed, "rows": rows, "notes": list(passage.notes)}


def _verdict(row: Moved) -> str:
    if row.is_inside:
        return "ok"
    rose = row.now is None or row.now > row.band.upper
    # More capacity is better, more response time worse; either is a change to be looked at.
    return "worse" if rose == (row.quantity == P99) else "better: write the gate again"


def _shown(row: Moved, value: float) -> str:
    return format_time(value) if row.quantity == P99 else format_number(value)
