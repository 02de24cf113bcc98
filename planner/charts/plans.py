"""Charts of a plan: rate against latency, candidates against the target, gains, sensitivities."""

from typing import Any

import altair as alt

from gilplan.model.statistics import Interval
from gilplan.planner.charts.theme import (
    BAR_HEIGHT,
    BAR_STEP,
    SERIES,
    TARGET,
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
from gilplan.planner.plans.findings import Evaluation, Gain, Plan

MEASURES = ("p50", "p95", "p99")
MEBIBYTE = 2.0**20
#: The inputs that matter most; what is below hardly moves anything.
MOST_INPUTS = 10


def plot_rate_latency(plan: Plan) -> Chart:
    """Draw the chosen layout's response time against the arrival rate, with the target.

    Dashed: the rate that is asked for and each limit; the grey area is beyond the highest rate
    that the layout sustains within the limits.
    """
    limits = [slo.limit for slo in plan.target.slos]
    means = [i.mean for point in plan.curve for i in point.response_time.values()]
    unit, scale = time_unit([*means, *limits])
    rows = frame_of(
        {"rate": point.rate, "measure": measure, **columns(point.response_time[measure], scale)}
        for point in plan.curve
        for measure in MEASURES
        if measure in point.response_time
    )
    if rows.empty:
        rows = frame_of([{"rate": 0.0, "measure": "p99", **columns(None)}])
    base = alt.Chart(rows).encode(
        x=alt.X("rate:Q", title="arrival rate (tasks/s)", scale=alt.Scale(zero=True)),
        color=series_colour("measure", MEASURES, "percentile", per_row=3),
        tooltip=tooltips(
            rate="tasks/s", measure="percentile", value=unit, lower="from", upper="to"
        ),
    )
    title = f"response time ({unit})"
    bands = base.mark_area(opacity=0.2).encode(y=alt.Y("lower:Q", title=title), y2="upper:Q")
    lines = base.mark_line(strokeWidth=2).encode(y="value:Q")
    points = base.mark_point(filled=True, size=45).encode(
        y="value:Q", shape=series_shape("measure", MEASURES, "percentile", per_row=3)
    )
    chart = bands + lines + points + _target_rules(plan, scale, unit)
    layout = plan.subject.layout if plan.subject else ""
    shown: Chart = themed(
        chart.properties(width=WIDTH, height=260),
        "Response time against rate",
        [str(layout), "bands: 90 % intervals; dashed: the target"],
    )
    return shown


def _target_rules(plan: Plan, scale: float, unit: str) -> Any:
    limits = frame_of(
        {
            "limit": slo.limit / scale,
            "label": f"target {slo.measure} < {slo.limit / scale:g} {unit}",
        }
        for slo in plan.target.slos
    )
    rates = [(plan.target.peak_rate, "asked for", TARGET)]
    if plan.sustainable_rate is not None:
        rates.append((plan.sustainable_rate.mean, "sustainable", "#555555"))
    layers: list[alt.Chart] = []
    if not limits.empty:
        base = alt.Chart(limits).encode(y="limit:Q")
        layers.append(base.mark_rule(color=TARGET, strokeDash=[6, 4]))
        layers.append(
            base.mark_text(align="left", baseline="bottom", color=TARGET, dy=-2).encode(
                x=alt.value(4), text="label:N"
            )
        )
    for rate, label, colour in rates:
        if rate is None:
            continue
        base = alt.Chart(frame_of([{"rate": rate, "label": f"{label}: {rate:,.4g}/s"}])).encode(
            x="rate:Q"
        )
        layers.append(base.mark_rule(color=colour, strokeDash=[6, 4]))
        layers.append(
            base.mark_text(
                align="right", baseline="top", color=colour, angle=270, dx=0, dy=3
            ).encode(y=alt.value(0), text="label:N")
        )
    return alt.layer(*layers) if layers else alt.layer(alt.Chart(frame_of([{}])).mark_point())


def plot_candidates(plan: Plan) -> Chart:
    """Draw what each simulated layout sustains when saturated, with the rate that is asked for."""
    evaluations = plan.evaluations
    names = [str(evaluation.layout) for evaluation in evaluations]
    kinds = ("chosen", "meets the target", "misses it")
    rows = frame_of(
        {
            "layout": str(e.layout),
            "kind": _kind(plan, e),
            "why": "; ".join(e.misses) or "meets the target",
            **columns(e.capacity),
        }
        for e in evaluations
    )
    base = alt.Chart(rows).encode(
        y=layout_axis(names),
        tooltip=[*tooltips(layout="layout", value="tasks/s", lower="from", upper="to"),
                 alt.Tooltip("why:N", title="target")],
    )  # fmt: skip
    bars = base.mark_bar(height=BAR_HEIGHT).encode(
        x=alt.X("value:Q", title="capacity when saturated (tasks/s)", scale=alt.Scale(zero=True)),
        color=alt.Color(
            "kind:N",
            title=None,
            scale=alt.Scale(domain=list(kinds), range=[SERIES[0], "#7FB2D6", "#C8C8C8"]),
            legend=alt.Legend(orient="bottom", columns=3),
        ),
    )
    chart = bars + base.mark_rule(strokeWidth=2).encode(x="lower:Q", x2="upper:Q")
    if plan.target.peak_rate is not None:
        asked = alt.Chart(frame_of([{"rate": plan.target.peak_rate}]))
        chart += asked.mark_rule(color=TARGET, strokeDash=[6, 4]).encode(x="rate:Q")
    return _rows_of(chart, len(names), "Layouts that were simulated", "dashed: the rate asked for")


def plot_pareto(plan: Plan) -> Chart:
    """Draw capacity against memory; the layouts that nothing else beats are marked."""
    best = {str(evaluation.layout) for evaluation in plan.pareto}
    rows = frame_of(
        {
            "layout": str(e.layout),
            "kind": "on the Pareto front" if str(e.layout) in best else "beaten by another",
            "memory": e.memory.mean / MEBIBYTE if e.memory else None,
            "cores": e.cores,
            **columns(e.capacity),
        }
        for e in plan.evaluations
        if e.memory is not None
    )
    if rows.empty:
        rows = frame_of([{"layout": "", "kind": "", "memory": None, "cores": 1, **columns(None)}])
    kinds = ("on the Pareto front", "beaten by another")
    base = alt.Chart(rows).encode(
        x=alt.X("memory:Q", title="memory (MiB)", scale=alt.Scale(zero=True)),
        color=series_colour("kind", kinds, "", per_row=2),
        tooltip=tooltips(layout="layout", value="tasks/s", memory="MiB", cores="cores"),
    )
    rules = base.mark_rule(strokeWidth=2, opacity=0.6).encode(y="lower:Q", y2="upper:Q")
    points = base.mark_point(filled=True, size=80).encode(
        y=alt.Y("value:Q", title="capacity (tasks/s)", scale=alt.Scale(zero=True)),
        shape=series_shape("kind", kinds, "", per_row=2),
    )
    shown: Chart = themed(
        (rules + points).properties(width=WIDTH, height=260), "Capacity against memory"
    )
    return shown


def plot_gains(gains: tuple[Gain, ...]) -> Chart:
    """Draw what each change brings in throughput and p99, as ratios around one."""
    names = [gain.change for gain in gains]
    kinds = ("throughput", "p99")
    pairs: list[tuple[str, str, Interval | None]] = [
        (gain.change, kind, interval)
        for gain in gains
        for kind, interval in zip(kinds, (gain.throughput, gain.p99), strict=True)
    ]
    rows = frame_of(
        {"change": change, "measure": kind, **columns(interval)}
        for change, kind, interval in pairs
        if interval is not None
    )
    base = alt.Chart(rows).encode(
        y=layout_axis(names, "change"),
        color=series_colour("measure", kinds, "", per_row=2),
        tooltip=tooltips(
            change="change", measure="measure", value="ratio", lower="from", upper="to"
        ),
    )
    rules = base.mark_rule(strokeWidth=3, opacity=0.5).encode(x="lower:Q", x2="upper:Q")
    points = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=alt.X("value:Q", title="ratio to today", scale=alt.Scale(zero=False)),
        shape=series_shape("measure", kinds, "", per_row=2),
    )
    one = alt.Chart(frame_of([{"one": 1.0}])).mark_rule(color="#888").encode(x="one:Q")
    return _rows_of(
        one + rules + points, len(names), "What a change would bring", "paired, 90 % intervals"
    )


def plot_sensitivity(plan: Plan) -> Chart:
    """Draw how far each measured input moves the capacity within its own interval (a tornado)."""
    ordered = sorted(plan.sensitivities, key=lambda each: -each.effect)[:MOST_INPUTS]
    rows = frame_of(
        {
            "quantity": each.name,
            "low": each.capacity_low - 1,
            "high": each.capacity_high - 1,
            "kind": "flips the verdict" if each.flips else "the verdict stays",
        }
        for each in ordered
    )
    bars = (
        alt.Chart(rows)
        .mark_bar(height=BAR_HEIGHT)
        .encode(
            y=layout_axis([each.name for each in ordered], "quantity"),
            x=alt.X("low:Q", title="change of capacity", axis=alt.Axis(format="+.1%")),
            x2="high:Q",
            color=series_colour("kind", ("the verdict stays", "flips the verdict"), "", per_row=2),
            tooltip=tooltips(quantity="input", low="at its low end", high="at its high end"),
        )
    )
    return _rows_of(
        alt.layer(bars),
        len(ordered),
        "What the verdict rests on",
        "each input from end to end of its interval",
    )


def _kind(plan: Plan, evaluation: Evaluation) -> str:
    if plan.choice is not None and evaluation.layout == plan.choice.layout:
        return "chosen"
    return "meets the target" if evaluation.meets else "misses it"


def _rows_of(chart: Any, rows: int, title: str, subtitle: str) -> Chart:
    shown: Chart = themed(chart.properties(width=WIDTH, height=BAR_STEP * rows), title, subtitle)
    return shown
