"""Progress on stderr: a bar where a person looks on, a line per step where none does."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

#: Called with what is being done now and the share of all that is done, 0 to 1.
Report = Callable[[str, float], None]


@contextmanager
def progress() -> Iterator[Report]:
    """Give a function that shows how far the work is, until the block ends."""
    console = Console(file=sys.stderr, highlight=False)
    if not console.is_terminal:
        yield _line_by_line()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda text, share: bar.update(task, description=text, completed=share)


def counted(report: Report, text: str, total: int) -> Callable[[object], None]:
    """Return what to call with each result: it reports ``text`` with how many of how many."""
    done: list[object] = []

    def count(result: object) -> None:
        done.append(result)
        report(text.format(len(done), total), len(done) / total)

    return count


def _line_by_line() -> Report:
    """Print each new text once."""
    last = ""

    def report(text: str, share: float) -> None:
        nonlocal last
        if text != last:
            print(f"[{share:4.0%}] {text}", file=sys.stderr, flush=True)
        last = text

    return report
