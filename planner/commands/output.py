"""Where a command's answer goes: results to stdout or a file, the rest to stderr."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from gilplan.calibration.atomic_file import write_text
from gilplan.planner.display import natural_width

INTERRUPTED = 130


def print_table(*tables: Table) -> None:
    """Print tables as wide as they are: a cropped number would be a wrong one."""
    for table in tables:
        console = Console(file=sys.stdout, highlight=False)
        console.width = max(console.width, natural_width(table))
        console.print(table)


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
