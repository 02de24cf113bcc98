"""What a report is made of, whichever file it becomes: sections of text, tables and figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from gilplan.model.statistics import Interval
from gilplan.planner.formatting import (
    format_interval,
    format_number,
    format_size,
    format_size_interval,
    format_time,
    format_time_interval,
)

NOTHING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of texts; the first column is a row's name."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """An Altair chart under a short name; ``says`` tells in words what there is to see."""

    name: str
    chart: Any
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a report. Everything in it is text, never markup."""

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    items: tuple[str, ...] = ()


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> Table:
    """Return a table of any sequences."""
    return Table(head=tuple(head), rows=tuple(tuple(row) for row in rows), caption=caption)


def number(interval: Interval | None) -> str:
    """Return a number with its interval, or that there is none."""
    return _known(interval, format_interval, format_number)


def time(interval: Interval | None) -> str:
    """Return a time with its interval, or that there is none."""
    return _known(interval, format_time_interval, format_time)


def size(interval: Interval | None) -> str:
    """Return bytes with their interval, or that there are none."""
    return _known(interval, format_size_interval, format_size)


def _known(
    interval: Interval | None,
    whole: Callable[[Interval], str],
    alone: Callable[[float], str],
) -> str:
    """Return an interval in words; after a single run nothing is known of its width."""
    if interval is None or interval.upper <= 0:
        return NOTHING
    if not (isfinite(interval.lower) and isfinite(interval.upper)):
        return f"about {alone(interval.mean)} (one run)"
    return whole(interval)


def share(value: float, digits: int = 0) -> str:
    """Return a share in per cent."""
    return f"{value:.{digits}%}".replace("%", " %")


def change(interval: Interval | None) -> str:
    """Return a ratio as the change that it is, with its interval: ``+12 ± 2 %``."""
    if interval is None:
        return NOTHING
    below, above = (100 * (interval.mean - interval.lower), 100 * (interval.upper - interval.mean))
    spread = f"± {above:.1f}" if abs(below - above) < 0.05 else f"-{below:.1f}/+{above:.1f}"
    return f"{100 * (interval.mean - 1):+.1f} {spread} %"
