"""Charts of a calibration: estimates with their intervals, curves beside raw samples."""

from collections.abc import Iterator

import altair as alt
import numpy as np

from gilplan.calibration.profile import Profile
from gilplan.model.estimate import Estimate
from gilplan.planner.charts.theme import (
    BAR_STEP,
    WIDTH,
    Chart,
    frame_of,
    layout_axis,
    series_colour,
    series_shape,
    themed,
    tooltips,
)

MICROSECOND = 1e-6
MACHINE_COSTS = (
    "signal_time", "busy_signal_time", "context_switch_time", "forced_switch_time",
    "preemption_latency", "timer_slack",
)  # fmt: skip
#: Enough points to see a distribution, few enough to draw.
MOST_SAMPLES = 60


def named_estimates(profile: Profile) -> Iterator[tuple[str, Estimate]]:
    """Give every time that the profile holds, by name: the machine's, then each build's."""
    for name in MACHINE_COSTS:
        yield name.replace("_", " "), getattr(profile.machine, name)
    for runtime in profile.runtimes:
        yield f"release time, {runtime.build}", runtime.release_time
        yield f"poll time, {runtime.build}", runtime.poll_time


def plot_estimates(profile: Profile) -> Chart:
    """Draw every calibrated time with its 90 % interval; flagged ones are told apart."""
    estimates = list(named_estimates(profile))
    kinds = ("measured", "in doubt")
    least = 1e-3 * MICROSECOND
    rows = frame_of(
        {
            "quantity": name,
            "kind": "in doubt" if each.flags else "measured",
            # A logarithmic axis has no zero: what is below a nanosecond is drawn there.
            "value": max(each.value, least) / MICROSECOND,
            "lower": max(each.lower, least) / MICROSECOND,
            "upper": max(each.upper, least) / MICROSECOND,
            "flags": ", ".join(each.flags) or "none",
            "source": each.source,
        }
        for name, each in estimates
    )
    base = alt.Chart(rows).encode(
        y=layout_axis([name for name, _ in estimates], "quantity"),
        color=series_colour("kind", kinds, "", per_row=2),
        tooltip=[
            *tooltips(quantity="quantity", value="us", lower="from", upper="to"),
            alt.Tooltip("source:N", title="kernel"),
            alt.Tooltip("flags:N", title="doubts"),
        ],
    )
    rules = base.mark_rule(strokeWidth=3, opacity=0.5).encode(x="lower:Q", x2="upper:Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("value:Q", title="time (us)", scale=alt.Scale(type="log")),
        shape=series_shape("kind", kinds, "", per_row=2),
    )
    shown: Chart = themed(
        (rules + points).properties(width=WIDTH, height=BAR_STEP * len(estimates)),
        "What was calibrated",
        "90 % intervals",
    )
    return shown


def plot_wake_latency(profile: Profile) -> Chart:
    """Draw how long a thread takes to wake against how long its core was idle, with samples."""
    wake = profile.machine.wake_latency
    quantiles = {"lower": 5.0, "value": 50.0, "upper": 95.0}
    curve, samples = [], []
    for idle_time, latency in zip(wake.idle_times, wake.latencies, strict=True):
        values = np.asarray(latency.samples) / MICROSECOND
        ends = {name: float(np.percentile(values, rank)) for name, rank in quantiles.items()}
        curve.append({"idle": idle_time / MICROSECOND, **ends})
        chosen = values[:: max(1, len(values) // MOST_SAMPLES)]
        samples += [{"idle": idle_time / MICROSECOND, "latency": float(v)} for v in chosen]
    x = alt.X("idle:Q", title="time that the core was idle (us)", scale=alt.Scale(type="log"))
    title = "wake-up latency (us)"
    log = alt.Scale(type="log")
    base = alt.Chart(frame_of(curve)).encode(x=x)
    band = base.mark_area(opacity=0.2).encode(
        y=alt.Y("lower:Q", title=title, scale=log), y2="upper:Q"
    )
    line = base.mark_line(strokeWidth=2).encode(
        y="value:Q", tooltip=tooltips(idle="idle (us)", value="median (us)")
    )
    points = alt.Chart(frame_of(samples)).mark_point(color="#000", size=8, opacity=0.3)
    shown: Chart = themed(
        (band + line + points.encode(x=x, y="latency:Q")).properties(width=WIDTH, height=240),
        "Waking up",
        "line: median, band: 5 to 95 %, points: measured",
    )
    return shown


def plot_speeds(profile: Profile) -> Chart:
    """Draw the speed of each core against how many are active, per kind of work."""
    kinds = [str(work) for work in profile.machine.speeds]
    rows = frame_of(
        {
            "kind": str(work),
            "active": active,
            "value": each.value,
            "lower": each.lower,
            "upper": each.upper,
        }
        for work, curve in profile.machine.speeds.items()
        for active, each in enumerate(curve, 1)
    )
    base = alt.Chart(rows).encode(
        x=alt.X(
            "active:Q",
            title="active cores",
            axis=alt.Axis(values=list(range(1, profile.machine.cores + 1)), format="d"),
        ),
        color=series_colour("kind", kinds, "work", per_row=3),
        tooltip=tooltips(kind="work", value="speed", lower="from", upper="to"),
    )
    rules = base.mark_rule(strokeWidth=2, opacity=0.5).encode(y="lower:Q", y2="upper:Q")
    lines = base.mark_line(point=True).encode(
        y=alt.Y("value:Q", title="speed of each core (1 = alone)", scale=alt.Scale(zero=True))
    )
    shown: Chart = themed(
        (rules + lines).properties(width=WIDTH, height=220), "Cores slow each other down"
    )
    return shown
