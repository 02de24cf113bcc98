"""Charts of sweeps: a measure against a swept field, and the switch interval with its knee.

They read the tidy frame of a sweep (or the sweep itself): a row a point, ``series`` for the lines,
``X``, ``X_lower`` and ``X_upper`` for a measure.
"""

from typing import Any

import altair as alt
import pandas as pd

from gilplan.planner.charts.theme import (
    BAR_HEIGHT,
    BAR_STEP,
    SERIES,
    WIDTH,
    Chart,
    layout_axis,
    series_colour,
    series_shape,
    themed,
    time_unit,
    tooltips,
)

HEIGHT = 240
#: What an axis says of a column, and in what it is measured.
TITLES = {
    "throughput": ("throughput", "tasks/s"),
    "gil_utilisation": ("GIL utilisation", "share of time"),
    "core_utilisation": ("core utilisation", "share of time"),
    "memory": ("memory", "MiB"),
    "rate": ("arrival rate", "tasks/s"),
    "threads": ("threads", ""),
    "interpreters": ("interpreters", ""),
    "processes": ("processes", ""),
    "cores": ("cores", ""),
}
MEBIBYTE = 2.0**20
#: Short names of the response time's columns.
PERCENTILES = ("p50", "p95", "p99")


def plot_sweep(sweep: Any, x: str, y: str = "throughput", *, series: str = "series") -> Chart:
    """Draw measure ``y`` against the swept column ``x``: a line with its 90 % band per series.

    ``sweep`` is a `Sweep` or its frame. Times get a logarithmic axis where they span more than a
    factor of thirty; throughput and response times start at zero.
    """
    frame = frame_of_sweep(sweep)
    curves, x_title, y_title = _curves(frame, x, y, series)
    names = _names(frame, series)
    base = alt.Chart(curves).encode(
        x=alt.X("x:Q", title=x_title, scale=_x_scale(curves["x"], x)),
        color=series_colour("series", names, "layout"),
        tooltip=tooltips(series="layout", x=x_title, value=y_title, lower="from", upper="to"),
    )
    bands = base.mark_area(opacity=0.2).encode(y=alt.Y("lower:Q", title=y_title), y2="upper:Q")
    lines = base.mark_line(strokeWidth=2).encode(y="value:Q")
    points = base.mark_point(filled=True, size=45).encode(
        y="value:Q", shape=series_shape("series", names, "layout")
    )
    sized = (bands + lines + points).properties(width=WIDTH, height=HEIGHT)
    result: Chart = themed(sized, _sentence(y_title), "bands: 90 % intervals")
    return result


def plot_switch_interval(sweep: Any, y: str = "throughput") -> Chart:
    """Draw ``y`` ("throughput", "p99", ...) against the switch interval, with a slider over it.

    The rule follows the slider, and CPython's own 5 ms are marked.
    """
    frame = frame_of_sweep(sweep)
    curves, x_title, y_title = _curves(frame, "switch_interval", y, "series")
    names = _names(frame, "series")
    swept = sorted(set(curves["x"]))
    curves = curves.assign(index=[swept.index(at) for at in curves["x"]])
    slider = alt.param(
        name="interval_index",
        value=_nearest(swept, 5.0),
        bind=alt.binding_range(min=0, max=len(swept) - 1, step=1, name="switch interval "),
    )
    base = alt.Chart(curves).encode(
        x=alt.X("x:Q", title=x_title, scale=_x_scale(curves["x"], "switch_interval")),
        tooltip=tooltips(series="layout", x=x_title, value=y_title, lower="from", upper="to"),
    )
    colour = series_colour("series", names, "layout")
    bands = base.mark_area(opacity=0.2).encode(
        y=alt.Y("lower:Q", title=y_title), y2="upper:Q", color=colour
    )
    lines = base.mark_line(strokeWidth=2).encode(y="value:Q", color=colour)
    at = "datum.index == interval_index"
    chosen = (
        alt.Chart(pd.DataFrame({"x": swept, "index": range(len(swept))}))
        .transform_filter(at)
        .transform_calculate(label="format(datum.x, '.3~g') + ' ms'")
        .encode(x="x:Q")
    )
    rule = chosen.mark_rule(color="#000", strokeWidth=1.5)
    interval = chosen.mark_text(align="left", baseline="bottom", dx=4, fontWeight="bold").encode(
        y=alt.value(HEIGHT - 4), text="label:N"
    )
    points = (
        base.transform_filter(at)
        .mark_point(filled=True, size=90, opacity=1)
        .encode(y="value:Q", color=colour, shape=series_shape("series", names, "layout"))
    )
    labels = (
        base.transform_filter(at)
        .mark_text(align="left", dx=8, dy=-8, fontSize=12)
        .encode(y="value:Q", text=alt.Text("value:Q", format=",.4~g"), color=colour)
    )
    chart = (bands + lines + rule + interval + points + labels).add_params(slider)
    result: Chart = themed(
        chart.properties(width=WIDTH, height=HEIGHT),
        f"{_sentence(y_title)} by switch interval",
        "bands: 90 % intervals; CPython's own is 5 ms",
    )
    return result


def plot_at_interval(sweep: Any) -> Chart:
    """Draw the throughput of each series as a bar, at the switch interval that a slider chooses."""
    frame = frame_of_sweep(sweep)
    curves, _, y_title = _curves(frame, "switch_interval", "throughput", "series")
    names = _names(frame, "series")
    swept = sorted(set(curves["x"]))
    slider = alt.param(
        name="bar_interval_index",
        value=_nearest(swept, 5.0),
        bind=alt.binding_range(min=0, max=len(swept) - 1, step=1, name="switch interval "),
    )
    curves = curves.assign(index=[swept.index(at) for at in curves["x"]])
    most = float(curves[["value", "upper"]].max().max())
    base = (
        alt.Chart(curves)
        .transform_filter("datum.index == bar_interval_index")
        .encode(y=layout_axis(names, "series"))
    )
    bars = base.mark_bar(color=SERIES[0], height=BAR_HEIGHT).encode(
        x=alt.X("value:Q", title=y_title, scale=alt.Scale(domain=[0, most])),
        tooltip=tooltips(series="layout", x="switch interval (ms)", value=y_title),
    )
    rules = base.mark_rule(strokeWidth=2).encode(x="lower:Q", x2="upper:Q")
    chart = (bars + rules).add_params(slider)
    result: Chart = themed(
        chart.properties(width=WIDTH, height=BAR_STEP * len(names)), "Throughput at one interval"
    )
    return result


def frame_of_sweep(sweep: Any) -> pd.DataFrame:
    """Return the frame of a sweep, given the sweep or the frame."""
    frame: pd.DataFrame = getattr(sweep, "frame", sweep)
    return frame


def _names(frame: pd.DataFrame, series: str) -> list[str]:
    """Return the series in the order of the frame."""
    return list(dict.fromkeys(frame[series].astype(str)))


def _curves(frame: pd.DataFrame, x: str, y: str, series: str) -> tuple[pd.DataFrame, str, str]:
    """Return ``series, x, value, lower, upper`` in units for the eye, and the axes' titles."""
    if y in PERCENTILES:
        y = f"response_time_{y}"
    x_unit, x_scale = _unit(frame, x)
    y_unit, y_scale = _unit(frame, y)
    columns = {"value": y, "lower": f"{y}_lower", "upper": f"{y}_upper"}
    curves = pd.DataFrame({"series": frame[series].astype(str), "x": frame[x] / x_scale})
    for name, column in columns.items():
        values = frame[column if column in frame else y].astype(float)
        curves[name] = values.where(values.abs() < float("inf")) / y_scale
    curves = curves.dropna(subset=["value"]).sort_values(["series", "x"], kind="stable")
    return curves, _title(x, x_unit), _title(y, y_unit)


def _unit(frame: pd.DataFrame, column: str) -> tuple[str, float]:
    if column == "switch_interval":
        return "ms", 1e-3
    if column in TITLES:
        return TITLES[column][1], MEBIBYTE if column == "memory" else 1.0
    if _is_time(column):
        return time_unit(frame[column].dropna())
    return "", 1.0


def _is_time(column: str) -> bool:
    return (
        column.startswith(("response_time", "duration:"))
        or column.endswith(("_time", "_interval"))
        or column == "makespan"
    )


def _title(column: str, unit: str) -> str:
    if column in TITLES:
        name = TITLES[column][0]
    else:
        parts = column.removeprefix("duration:").split("_")
        last = parts[-1]
        named = f"{last} " if last.startswith("p") and last[1:].isdigit() else ""
        name = named + " ".join(parts[:-1] if named else parts)
    return f"{name} ({unit})" if unit else name


def _sentence(title: str) -> str:
    """Return an axis title as a chart's: without the unit, p99 as it is."""
    name = title.split(" (")[0]
    return name if name.startswith("p") and name[1:3].isdigit() else name.capitalize()


def _x_scale(values: pd.Series, column: str) -> alt.Scale:
    if column in ("threads", "interpreters", "processes", "cores"):
        return alt.Scale(type="log", base=2, nice=False)
    positive = bool((values > 0).all())
    if positive and (column == "switch_interval" or values.max() > 30 * values.min()):
        return alt.Scale(type="log", nice=False)
    return alt.Scale(zero=False)


def _nearest(swept: list[float], wanted: float) -> int:
    return min(range(len(swept)), key=lambda index: abs(swept[index] - wanted))
