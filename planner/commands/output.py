"""Where a command's answer goes: results to stdout or a file, the rest to stderr."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from gilplan.calibration.atomic_file import write_text

INTERRUPTED = 130


def print_table(*tables: Table) -> None:
    """Print tables as wide as they are: a cropped number would be a wrong one."""
    for table in tables:
        console = Console(file=sys.stdout, highlight=False)
        console.width = max(console.width, natural_width(table))
        console.print(table)


def table_text(table: Table) -> str:
    """Return a table as plain text."""
    console = Console(width=natural_width(table), color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def natural_width(table: Table) -> int:
    """Return the columns that the table takes when nothing is cropped."""
    console = Console(width=10_000)
    return console.measure(table).maximum


def print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=1, allow_nan=False))


def write_or_print(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)


def tell(lines: Iterable[str]) -> None:
    """Print lines to stderr."""
    for line in lines:
        click.echo(line, err=True)
