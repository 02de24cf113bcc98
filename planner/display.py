"""Tables as text and as HTML: what results look like in files and in notebooks."""

from collections.abc import Iterable
from html import escape
from io import StringIO

from rich.console import Console
from rich.table import Table

BLOCK = '<pre style="line-height:1.25">{code}</pre>'


def natural_width(table: Table) -> int:
    """Return the columns that the table takes when nothing is cropped."""
    console = Console(width=10_000)
    return console.measure(table).maximum


def table_text(table: Table) -> str:
    """Return a table as plain text."""
    console = Console(width=natural_width(table), color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def html_of(tables: Iterable[Table], *, heading: str = "", lines: Iterable[str] = ()) -> str:
    """Return a heading, tables and lines as HTML; what they say is text and never markup."""
    parts = [f"<p><b>{escape(heading)}</b></p>"] if heading else []
    for table in tables:
        console = Console(record=True, file=StringIO(), width=natural_width(table), highlight=False)
        console.print(table)
        parts.append(console.export_html(inline_styles=True, code_format=BLOCK))
    parts += [f"<p>{escape(line)}</p>" for line in lines]
    return "\n".join(parts)
