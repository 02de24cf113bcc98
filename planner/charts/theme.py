"""What all charts share: colours, sizes, units, and intervals as columns."""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

import altair as alt
import pandas as pd

from gilplan.model.statistics import Interval
from gilplan.planner.formatting import TIME_UNITS

#: Okabe and Ito, "Color Universal Design" (2008): told apart by people who see few colours.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
#: Where time goes, in order of appearance; of different lightness, so that grey print shows it.
STATES = {
    "running": "#00568A",
    "waiting for a GIL": "#D55E00",
    "waiting for a core": "#F0B93A",
    "queued": "#B9A6CF",
    "blocked": "#DCDCDC",
}
TARGET = "#B00020"
WIDTH = 560
#: A row of layouts: the name above its bar, so that the chart fits on a phone.
BAR_STEP = 40
BAR_HEIGHT = 14
LABEL_OFFSET = -17
LABEL_LIMIT = 340

#: Any of Altair's charts that can stand alone.
Chart = alt.Chart | alt.LayerChart | alt.VConcatChart


def columns(interval: Interval | None, scale: float = 1.0) -> dict[str, float | None]:
    """Return an interval as ``value``, ``lower``, ``upper``; an unbounded end is missing."""
    if interval is None:
        return {"value": None, "lower": None, "upper": None}
    ends = {"value": interval.mean, "lower": interval.lower, "upper": interval.upper}
    return {name: end / scale if isfinite(end) else None for name, end in ends.items()}


def time_unit(seconds: Iterable[float | None]) -> tuple[str, float]:
    """Return the unit in which the largest of the times is at least one, and its seconds."""
    largest = max((abs(time) for time in seconds if time is not None and isfinite(time)), default=0)
    return next((unit for unit in TIME_UNITS if largest >= unit[1]), TIME_UNITS[-1])


def series_colour(field: str, names: Sequence[str], title: str, per_row: int = 1) -> alt.Color:
    """Return the encoding of series by colour, in the order of ``names``."""
    palette = [SERIES[index % len(SERIES)] for index in range(len(names))]
    return alt.Color(
        field,
        type="nominal",
        title=title,
        scale=alt.Scale(domain=list(names), range=palette),
        legend=bottom_legend(per_row),
    )


def bottom_legend(per_row: int) -> alt.Legend:
    """Return a legend below the chart, where a phone has room for it."""
    return alt.Legend(orient="bottom", columns=per_row, labelLimit=LABEL_LIMIT, symbolOpacity=1)


def layout_axis(names: Sequence[str], field: str = "layout") -> alt.Y:
    """Return the vertical axis of layouts, in the order given; long names stay readable."""
    return alt.Y(
        field,
        type="nominal",
        sort=list(names),
        title=None,
        axis=alt.Axis(
            labelLimit=LABEL_LIMIT,
            labelAlign="left",
            labelPadding=-2,
            labelOffset=LABEL_OFFSET,
            domain=False,
            ticks=False,
            zindex=1,
        ),
    )


def series_shape(field: str, names: Sequence[str], title: str, per_row: int = 1) -> alt.Shape:
    """Return the encoding of series by shape, whose legend is one with that of the colours."""
    return alt.Shape(
        field,
        type="nominal",
        title=title,
        scale=alt.Scale(domain=list(names)),
        legend=bottom_legend(per_row),
    )


def tooltips(**titles: str) -> list[alt.Tooltip]:
    """Return tooltips by field: ``value="tasks/s"``; numbers with three significant digits."""
    return [
        alt.Tooltip(field, type="nominal", title=title)
        if field in NAMES
        else alt.Tooltip(field, type="quantitative", title=title, format=",.4~g")
        for field, title in titles.items()
    ]


NAMES = {
    "change", "kind", "layout", "measure", "program", "quantity", "resource", "series", "state",
    "track", "who",
}  # fmt: skip


def frame_of(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame whose missing numbers are NaN, which charts leave out."""
    return pd.DataFrame(list(rows))


def themed(chart: Any, title: str = "", subtitle: str | Sequence[str] = "") -> Any:
    """Return the chart with title, quiet axes and legible text."""
    if title:
        lines = [subtitle] if isinstance(subtitle, str) else list(subtitle)
        text = alt.TitleParams(
            text=title,
            subtitle=[line for line in lines if line] or alt.Undefined,
            anchor="start",
            frame="bounds",
            subtitleColor="#555",
        )
        chart = chart.properties(title=text)
    return (
        chart.configure_view(stroke=None)
        .configure_axis(gridColor="#E6E6E6", domainColor="#888", tickColor="#888", labelFontSize=12)
        .configure_title(fontSize=14, subtitleFontSize=12, offset=8)
        .configure_legend(labelFontSize=12)
    )
