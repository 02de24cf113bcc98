"""A sweep as people read it: its points, where its curves bend, where layouts change places."""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gilplan.model.layout import GilMode
from gilplan.model.statistics import Interval
from gilplan.planner.formatting import (
    format_interval,
    format_number,
    format_share_interval,
    format_time,
    format_time_interval,
)
from gilplan.planner.sweeps.crossings import Crossing
from gilplan.planner.sweeps.grid import LeftOut
from gilplan.planner.sweeps.knees import Knee

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "-"
#: More points than these are for a file: the text shows the fastest.
MOST_SHOWN = 60
FASTEST = 20
MOST_LEFT_OUT = 5
TIMES = ("switch_interval", "think_time", "duration", "quota_period")
SHARES = ("share", "released")
MEASURES = {"throughput": "throughput", "response_time_p99": "p99"}
COLUMNS = {
    "tasks/s": ("throughput", format_interval),
    "p50": ("response_time_p50", format_time_interval),
    "p99": ("response_time_p99", format_time_interval),
    "GIL": ("gil_utilisation", format_share_interval),
    "cores": ("core_utilisation", format_share_interval),
}


def point_table(frame: "pd.DataFrame") -> Table:
    """Return a row per point: series, axes, and the measures that people ask for first."""
    axes = frame.attrs["axes"]
    shown = frame
    title = f"{frame.attrs['workload']}: {len(frame):,} points"
    if len(frame) > MOST_SHOWN:
        shown = frame.nlargest(FASTEST, "throughput")
        title += f", the {FASTEST} of the highest throughput (all of them: -o FILE)"
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("layout", no_wrap=True)
    for heading in (*axes, *COLUMNS):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in shown.to_dict("records"):
        values = [Text(format_value(axis, row[axis])) for axis in axes]
        table.add_row(Text(row["series"]), *values, *_measures(row))
    return table


def _measures(row: dict[Any, Any]) -> list[str]:
    cells = []
    for name, form in COLUMNS.values():
        ends = (row[name], row[f"{name}_lower"], row[f"{name}_upper"])
        interval = Interval(mean=ends[0], lower=ends[1], upper=ends[2])
        if name == "gil_utilisation" and row["gil"] == GilMode.DISABLED:
            cells.append(NOTHING)
        elif isfinite(interval.mean):
            cells.append(form(interval))
        else:
            cells.append("overloaded" if row["overloaded"] else NOTHING)
    return cells


def format_value(axis: str, value: Any) -> str:
    """Return a value of an axis as people read it: ``1.2 ms``, ``30 %``, ``4``."""
    field = axis.partition(":")[0]
    if isinstance(value, str):
        return value
    if field in TIMES:
        return format_time(value)
    if field in SHARES:
        return f"{value * 100:.3g} %"
    return format_number(value) if isinstance(value, float) else str(value)


def knee_lines(knees: Sequence[Knee]) -> list[str]:
    """Return a sentence per knee; curves without one are told last, by their reason."""
    lines = [_knee_line(knee) for knee in knees if not knee.reason]
    without: dict[tuple[str, str, str], list[str]] = {}
    for knee in knees:
        if knee.reason:
            without.setdefault((MEASURES[knee.measure], knee.field, knee.reason), []).append(
                _named(knee.layout, knee.program)
            )
    return lines + [
        f"no knee of {measure} against {field}, {reason}: {'; '.join(names)}"
        for (measure, field, reason), names in without.items()
    ]


def _knee_line(knee: Knee) -> str:
    values = (knee.at, knee.lower, knee.upper)
    at, lower, upper = (format_value(knee.field, value) for value in values)
    return (
        f"knee of {MEASURES[knee.measure]} at {knee.field} {at} [{lower}, {upper}]: "
        f"{knee.below:+.1%} per doubling below, {knee.above:+.1%} above: "
        f"{_named(knee.layout, knee.program)}"
    )


def crossing_lines(crossings: Sequence[Crossing]) -> list[str]:
    """Return a sentence per crossing."""
    return [
        f"crossing of {MEASURES[crossing.measure]} at {crossing.field} "
        f"{format_value(crossing.field, crossing.at)} "
        f"[{format_value(crossing.field, crossing.lower)}, "
        f"{format_value(crossing.field, crossing.upper)}]: "
        f"{crossing.below} is better below, {_named(crossing.above, crossing.program)} above"
        for crossing in crossings
    ]


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """Return a line per point without an outcome; of many, the first and how many more."""
    lines = [f"left out {each.point}: {each.reason}" for each in left_out[:MOST_LEFT_OUT]]
    more = len(left_out) - MOST_LEFT_OUT
    return (
        [*lines, f"left out {more:,} more points (--format json lists them)"] if more > 0 else lines
    )


def _named(layout: str, program: tuple[tuple[str, Any], ...]) -> str:
    values = ", ".join(f"{axis} {format_value(axis, value)}" for axis, value in program)
    return f"{layout} ({values})" if values else layout
