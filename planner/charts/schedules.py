"""Charts of simulated schedules: who ran where, who held which GIL, who waited for what."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import altair as alt

from gilplan.model.recorder import State
from gilplan.planner.charts.theme import (
    STATES,
    WIDTH,
    Chart,
    bottom_legend,
    frame_of,
    themed,
    tooltips,
)
from gilplan.planner.timelines.schedule import Schedule
from gilplan.planner.timelines.trace_events import state_name

#: More marks than this are slow in a browser and no eye tells them apart.
MOST_SPANS = 1500
TRACK_STEP = 20
MILLISECOND = 1e-3
#: Threads, as told apart on the tracks of cores and GILs: two lightnesses of each hue.
THREADS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8DD3C7", "#7A5195",
    "#003F5C", "#F6C85F", "#6F4E37", "#9DD866",
)  # fmt: skip


def plot_schedule(schedules: Schedule | Sequence[Schedule]) -> Chart:
    """Draw tracks of cores, GILs and threads over time; with several layouts, one is chosen.

    A convoy is a thread's track that alternates between short work and long waiting while
    another thread holds the GIL. Each schedule is cut where it has more spans than can be drawn.
    """
    shown = [schedules] if isinstance(schedules, Schedule) else list(schedules)
    cut = [drawable(schedule) for schedule in shown]
    names = list(dict.fromkeys(str(schedule.layout) for schedule in cut))
    rows = frame_of(chain.from_iterable(_rows(schedule) for schedule in cut))
    tracks = list(dict.fromkeys(rows["track"]))
    most = max(rows.groupby("layout")["track"].nunique())
    y = alt.Y(
        "track:N",
        title=None,
        sort=sorted(tracks, key=_track_order),
        axis=alt.Axis(domain=False, ticks=False, grid=False),
    )
    x = alt.X(
        "start:Q", title="simulated time (ms)", scale=alt.Scale(zero=False, nice=False, padding=0)
    )
    tips = tooltips(track="track", who="", start="from (ms)", time="for (ms)")
    base = alt.Chart(rows)
    if len(names) > 1:
        choice = alt.selection_point(
            name="layout_choice",
            fields=["layout"],
            bind=alt.binding_select(options=names, name="layout "),
            value=names[0],
        )
        base = base.add_params(choice).transform_filter(choice)
    states = [state for state in STATES if state in set(rows["who"])]
    threads = sorted(
        {who for who in rows["who"] if who not in STATES}, key=lambda who: int(who.split()[1])
    )
    bars = base.mark_bar(height={"band": 0.8}).encode(x=x, x2="end:Q", y=y, tooltip=tips)
    held = bars.transform_filter("datum.kind != 'thread'").encode(
        color=_colour(threads, [THREADS[int(t.split()[1]) % len(THREADS)] for t in threads],
                      None)
    )  # fmt: skip
    lived = bars.transform_filter("datum.kind == 'thread'").encode(
        color=_colour(states, [STATES[state] for state in states], bottom_legend(2))
    )
    zoom = alt.selection_interval(
        name="zoom", bind="scales", encodings=["x"], zoom="wheel![event.ctrlKey]"
    )
    chart = (held + lived.add_params(zoom)).resolve_scale(color="independent")
    title = f"Schedule of {names[0]}" if len(names) == 1 else "Schedules"
    subtitle = [
        "cores and GILs: a colour for each thread; threads: by state",
        "one run; drag to move, Ctrl + wheel to zoom",
    ]
    result: Chart = themed(chart.properties(width=WIDTH, height=TRACK_STEP * most), title, subtitle)
    return result


def drawable(schedule: Schedule, most: int = MOST_SPANS) -> Schedule:
    """Return the first part of the schedule that has at most ``most`` spans."""
    starts = sorted(
        [span.start_at for span in schedule.states] + [span.start_at for span in schedule.holds]
    )
    # A running span is drawn twice: on the thread's track and on the core's.
    drawn = len(starts) + sum(span.state is State.RUNNING for span in schedule.states)
    if drawn <= most:
        return schedule
    return schedule.between(schedule.start_at, starts[int(len(starts) * most / drawn)])


def _rows(schedule: Schedule) -> list[dict[str, Any]]:
    def row(kind: str, track: str, who: str, span: Any) -> dict[str, Any]:
        start, end = (at / MILLISECOND for at in (span.start_at, span.end_at))
        return {
            "layout": str(schedule.layout),
            "kind": kind,
            "track": track,
            "who": who,
            "start": round(start, 6),
            "end": round(end, 6),
            "time": round(end - start, 6),
        }

    return [
        *(
            row("core", f"core {span.core}", f"thread {span.thread}", span)
            for span in schedule.states
            if span.core is not None
        ),
        *(row("gil", f"GIL {s.gil}", f"thread {s.thread}", s) for s in schedule.holds),
        *(
            row("thread", f"thread {span.thread}", state_name(span.state), span)
            for span in schedule.states
        ),
    ]


def _track_order(track: str) -> tuple[int, int]:
    kind, number = track.split()
    return ("core", "GIL", "thread").index(kind), int(number)


def _colour(names: list[str], colours: list[str], legend: alt.Legend | None) -> alt.Color:
    return alt.Color(
        "who:N", title=None, scale=alt.Scale(domain=names, range=colours), legend=legend
    )
