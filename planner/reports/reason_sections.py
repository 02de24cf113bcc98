"""The second part of a report: why, and what would change it."""

from itertools import pairwise

from gilplan.model.recorder import State
from gilplan.planner import charts
from gilplan.planner.charts.predictions import PARTS, shown_parts
from gilplan.planner.formatting import format_share_interval, format_time
from gilplan.planner.reports.material import Material
from gilplan.planner.reports.section import (
    NOTHING,
    Figure,
    Section,
    change,
    number,
    share,
    table,
    time,
)
from gilplan.planner.reports.target_sections import arrivals_text, gil_share
from gilplan.planner.reports.text import knee_text, sweep_table
from gilplan.planner.tables import notes_on
from gilplan.planner.timelines.schedule import Schedule
from gilplan.planner.timelines.trace_events import state_name

#: The states of a thread, in the order of the table's columns.
SHOWN = (State.RUNNING, State.WAITING_GIL, State.WAITING_CORE, State.BLOCKED)


def interval_section(material: Material) -> Section:
    """What the switch interval does to throughput and to the slowest answers."""
    saturated, at_rate = material.saturated, material.at_rate
    title = "The switch interval"
    if saturated is None:
        text = (
            "In none of the layouts compared do threads share a GIL: the switch interval "
            "does not matter."
        )
        return Section(name="interval", title=title, paragraphs=(text,))
    figures = [
        Figure(
            name="interval-throughput",
            chart=charts.plot_switch_interval(saturated),
            says="Throughput with all workers always busy. The slider chooses an interval.",
        ),
        Figure(
            name="interval-bars",
            chart=charts.plot_at_interval(saturated),
            says="The same at one interval.",
        ),
    ]
    tables = [sweep_table(saturated, "throughput", "Throughput (tasks/s), all workers busy")]
    knees = [knee_text(knee) for knee in saturated.knees() if knee.measure == "throughput"]
    slow = at_rate or saturated
    if slow.frame["response_time_p99"].notna().any():
        where = arrivals_text(material.arrivals) if at_rate else "all workers always busy"
        figures.append(
            Figure(
                name="interval-p99",
                chart=charts.plot_switch_interval(slow, "response_time_p99"),
                says=f"99th percentile of the response time under {where}.",
            )
        )
        tables.append(sweep_table(slow, "response_time_p99", f"p99 of the response time, {where}"))
        knees += [knee_text(knee) for knee in slow.knees() if knee.measure != "throughput"]
    return Section(
        name="interval",
        title=title,
        paragraphs=(
            "A thread that waits for a GIL asks its holder to give it up after one switch "
            "interval. A short one lets other threads in sooner and costs more switches.",
        ),
        figures=tuple(figures),
        tables=tuple(tables),
        items=tuple(knees),
    )


def change_section(material: Material) -> Section:
    """What-if, break-even points, and what the verdict rests on."""
    plan = material.plan
    figures, tables = [], []
    remedies = plan.bottleneck.remedies if plan.bottleneck else ()
    gains = (*plan.what_ifs, *(gain for gain in remedies if gain not in plan.what_ifs))
    if gains:
        figures.append(
            Figure(
                name="gains",
                chart=charts.plot_gains(gains),
                says="Right of the line throughput is higher; p99 is better left of it.",
            )
        )
        head = ("change", "layout", "throughput", "p99")
        rows = [
            (gain.change, str(gain.layout), change(gain.throughput), change(gain.p99))
            for gain in gains
        ]
        tables.append(table(head, rows, "What a change would bring"))
    if plan.sensitivities:
        figures.append(
            Figure(
                name="sensitivity",
                chart=charts.plot_sensitivity(plan),
                says="How far each measured input moves the capacity, from one end of its 90 % "
                "interval to the other.",
            )
        )
    items = [
        each.sentence or f"{each.quantity}: no break-even point found" for each in plan.break_evens
    ]
    flips = [each.name for each in plan.sensitivities if each.flips]
    if plan.sensitivities:
        items.append(
            f"Within its uncertainty, {', '.join(flips)} would change the verdict."
            if flips
            else "No measured input changes the verdict within its uncertainty."
        )
    return Section(
        name="changes",
        title="What would change it",
        paragraphs=() if gains or items else ("No change was tried.",),
        figures=tuple(figures),
        tables=tuple(tables),
        items=tuple(items),
    )


def time_section(material: Material) -> Section:
    """How busy everything is, and where a task's time goes."""
    predictions = material.predictions
    title = "Utilisation and where the time goes"
    if not predictions:
        return Section(name="time", title=title, paragraphs=("No layout was simulated.",))
    parts = shown_parts(predictions)
    head = ("layout", "tasks/s", "p50", "p99", "GILs", "cores", *(PARTS[part] for part in parts))
    rows = [
        (
            str(p.layout),
            number(p.throughput),
            time(p.response_time.get("p50")),
            time(p.response_time.get("p99")),
            gil_share(p.layout, p.gil_utilisation),
            format_share_interval(p.core_utilisation),
            *(time(p.breakdown.get(part)) for part in parts),
        )
        for p in predictions
    ]
    figures = [
        Figure(
            name="breakdown",
            chart=charts.plot_breakdown(predictions),
            says="From a task's start to its end.",
        ),
        Figure(
            name="utilisation",
            chart=charts.plot_utilisation(predictions),
            says="Where a resource comes near 100 %, tasks queue for it.",
        ),
    ]
    if any(p.response_time for p in predictions):
        figures.append(
            Figure(
                name="response-time",
                chart=charts.plot_response_time(predictions),
                says="From a task's arrival to its end; an overloaded layout has no figure.",
            )
        )
    return Section(
        name="time",
        title=title,
        paragraphs=(f"Under {arrivals_text(material.arrivals)}.",),
        figures=tuple(figures),
        tables=(table(head, rows),),
        items=tuple(notes_on(predictions)),
    )


def schedule_section(material: Material) -> Section:
    """Who ran, who held which GIL, who waited."""
    schedules = material.schedules
    title = "A stretch of the schedule"
    if not schedules:
        return Section(name="schedule", title=title, paragraphs=("No layout was simulated.",))
    head = ("layout", "shown", *(state_name(s) for s in SHOWN), "GIL passed on")
    rows = [_shares(schedule) for schedule in schedules]
    return Section(
        name="schedule",
        title=title,
        paragraphs=(
            "Each row is a core, a GIL or a thread. Where one thread holds a GIL for a whole "
            "switch interval while others wait, again and again, there is a convoy.",
        ),
        figures=(
            Figure(
                name="schedule",
                chart=charts.plot_schedule(schedules),
                says="One simulated run, past its first moments. Choose a layout below the chart; "
                "hover for who did what, when.",
            ),
        ),
        tables=(table(head, rows, "What the threads did in the stretch shown"),),
    )


def _shares(schedule: Schedule) -> tuple[str, ...]:
    total = sum(span.end_at - span.start_at for span in schedule.states) or 1.0
    shares = [
        sum(span.end_at - span.start_at for span in schedule.states if span.state is state) / total
        for state in SHOWN
    ]
    passed = sum(
        a.thread != b.thread
        for gil in {hold.gil for hold in schedule.holds}
        for a, b in pairwise(hold for hold in schedule.holds if hold.gil == gil)
    )
    return (
        str(schedule.layout),
        format_time(schedule.end_at - schedule.start_at),
        *(share(each) for each in shares),
        f"{passed:,} times" if schedule.has_gil else NOTHING,
    )
