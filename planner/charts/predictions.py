"""Charts of predictions side by side: throughput, response times, utilisation, where time goes."""

from collections.abc import Sequence

import altair as alt

from gilplan.model.layout import GilMode
from gilplan.model.prediction import Prediction
from gilplan.planner.charts.theme import (
    BAR_HEIGHT,
    BAR_STEP,
    SERIES,
    STATES,
    WIDTH,
    Chart,
    columns,
    frame_of,
    layout_axis,
    series_colour,
    series_shape,
    themed,
    time_unit,
    tooltips,
)

#: The parts of a prediction's breakdown, in words.
PARTS = {
    "running": "running",
    "waiting_gil": "waiting for a GIL",
    "waiting_core": "waiting for a core",
    "queued": "queued",
    "blocked": "blocked",
}
INTERVALS = "90 % intervals"


def plot_throughput(predictions: Sequence[Prediction]) -> Chart:
    """Draw each layout's throughput as a bar from zero, with its interval."""
    names = _names(predictions)
    base = alt.Chart(
        frame_of({"layout": str(p.layout), **columns(p.throughput)} for p in predictions)
    ).encode(
        y=layout_axis(names),
        tooltip=tooltips(layout="layout", value="tasks/s", lower="at least", upper="at most"),
    )
    bars = base.mark_bar(color=SERIES[0], height=BAR_HEIGHT).encode(
        x=alt.X("value:Q", title="throughput (tasks/s)", scale=alt.Scale(zero=True))
    )
    rules = base.mark_rule(strokeWidth=2).encode(x="lower:Q", x2="upper:Q")
    return _sized(bars + rules, len(names), "Throughput", INTERVALS)


def plot_response_time(predictions: Sequence[Prediction]) -> Chart:
    """Draw p50, p95 and p99 of each layout with their intervals; overloaded ones have none."""
    names = _names(predictions)
    unit, scale = time_unit(
        interval.mean for p in predictions for interval in p.response_time.values()
    )
    measures = ("p50", "p95", "p99")
    rows = frame_of(
        {
            "layout": str(p.layout),
            "measure": measure,
            **columns(p.response_time.get(measure), scale),
        }
        for p in predictions
        for measure in measures
    )
    base = alt.Chart(rows).encode(
        y=layout_axis(names),
        color=series_colour("measure", measures, "percentile", per_row=3),
        tooltip=tooltips(
            layout="layout", measure="percentile", value=unit, lower="at least", upper="at most"
        ),
    )
    rules = base.mark_rule(strokeWidth=3, opacity=0.5).encode(x="lower:Q", x2="upper:Q")
    points = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=alt.X("value:Q", title=f"response time ({unit})", scale=alt.Scale(zero=True)),
        shape=series_shape("measure", measures, "percentile", per_row=3),
    )
    return _sized(rules + points, len(names), "Response time", INTERVALS)


def plot_utilisation(predictions: Sequence[Prediction]) -> Chart:
    """Draw how busy the GILs and the cores of each layout are; no GIL where there is none."""
    names, kinds = _names(predictions), ("GILs", "cores")
    rows = frame_of(
        {"layout": str(p.layout), "resource": resource, **columns(interval)}
        for p in predictions
        for resource, interval in (("GILs", p.gil_utilisation), ("cores", p.core_utilisation))
        if resource == "cores" or p.layout.gil is not GilMode.DISABLED
    )
    base = alt.Chart(rows).encode(
        y=layout_axis(names),
        color=series_colour("resource", kinds, "busy", per_row=2),
        tooltip=tooltips(layout="layout", resource="resource", value="share of time"),
    )
    axis = alt.X(
        "value:Q",
        title="utilisation (share of time)",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%"),
    )
    rules = base.mark_rule(strokeWidth=3, opacity=0.5).encode(x="lower:Q", x2="upper:Q")
    points = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=axis, shape=series_shape("resource", kinds, "busy", per_row=2)
    )
    return _sized(rules + points, len(names), "Utilisation", INTERVALS)


def plot_breakdown(predictions: Sequence[Prediction]) -> Chart:
    """Draw where the time of a task goes in each layout, as stacked means."""
    names = _names(predictions)
    unit, scale = time_unit(
        sum(interval.mean for interval in p.breakdown.values()) for p in predictions
    )
    parts = shown_parts(predictions)
    shown = [PARTS[part] for part in parts]
    rows = frame_of(
        {
            "layout": str(p.layout),
            "state": PARTS[part],
            "order": parts.index(part),
            **columns(p.breakdown.get(part), scale),
        }
        for p in predictions
        for part in parts
    )
    bars = (
        alt.Chart(rows)
        .mark_bar(height=BAR_HEIGHT)
        .encode(
            x=alt.X("value:Q", title=f"mean time of a task ({unit})", stack="zero"),
            y=layout_axis(names),
            color=alt.Color(
                "state:N",
                title=None,
                scale=alt.Scale(domain=shown, range=[STATES[state] for state in shown]),
                legend=alt.Legend(orient="bottom", columns=2),
            ),
            order=alt.Order("order:Q"),
            tooltip=tooltips(
                layout="layout", state="state", value=unit, lower="at least", upper="at most"
            ),
        )
    )
    return _sized(bars, len(names), "Where the time of a task goes", "means; intervals on hover")


def shown_parts(predictions: Sequence[Prediction]) -> list[str]:
    """Return the parts of a task's time that any of the layouts has, in the order of `PARTS`."""
    return [
        part
        for part in PARTS
        if any(p.breakdown[part].upper > 0 for p in predictions if part in p.breakdown)
    ]


def _names(predictions: Sequence[Prediction]) -> list[str]:
    return list(dict.fromkeys(str(prediction.layout) for prediction in predictions))


def _sized(chart: alt.Chart | alt.LayerChart, rows: int, title: str, subtitle: str) -> Chart:
    shown: Chart = themed(chart.properties(width=WIDTH, height=BAR_STEP * rows), title, subtitle)
    return shown
