"""Sweeps in words and tables."""

from math import isfinite

from gilplan.model.statistics import Interval
from gilplan.planner.formatting import format_time
from gilplan.planner.reports.section import NOTHING, Table, number, table, time
from gilplan.planner.sweeps.knees import Knee
from gilplan.planner.sweeps.sweep import Sweep

MEASURES = {"throughput": "throughput", "response_time_p99": "p99 of the response time"}


def sweep_table(sweep: Sweep, measure: str, caption: str) -> Table:
    """Return a row per switch interval, a column per layout."""
    frame = sweep.frame
    names = list(dict.fromkeys(frame["series"]))
    cells: dict[tuple[float, str], str] = {}
    for row in frame.to_dict("records"):
        ends = [float(row[f"{measure}{end}"]) for end in ("", "_lower", "_upper")]
        shown = time if measure.startswith("response_time") else number
        if isfinite(ends[0]):
            interval = Interval(mean=ends[0], lower=ends[1], upper=ends[2])
            cells[row["switch_interval"], row["series"]] = shown(interval)
    rows = [
        (format_time(at), *(cells.get((at, name), NOTHING) for name in names))
        for at in sorted(set(frame["switch_interval"]))
    ]
    return table(("switch interval", *names), rows, caption)


def knee_text(knee: Knee) -> str:
    """Say where a curve bends, or why it is not said."""
    what = f"{MEASURES.get(knee.measure, knee.measure)} of {knee.layout}"
    if knee.at is None or knee.lower is None or knee.upper is None:
        return f"The {what} has no knee: {knee.reason}."
    return (
        f"The {what} bends at {format_time(knee.at)} "
        f"({format_time(knee.lower)} to {format_time(knee.upper)}): {_slope(knee.below)} per "
        f"doubling below, {_slope(knee.above)} above."
    )


def _slope(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.1%}".replace("%", " %")
