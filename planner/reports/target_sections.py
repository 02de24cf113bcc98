"""The first part of a report: the verdict, the target, the workload, the recommended layout."""

from gilplan.model.arrivals import Arrivals, Batch, Closed, Open
from gilplan.model.durations import Duration
from gilplan.model.layout import GilMode, Layout
from gilplan.model.statistics import Interval
from gilplan.model.workload import Segment, SegmentKind, Task, flatten
from gilplan.planner import charts
from gilplan.planner.formatting import (
    format_number,
    format_share_interval,
    format_size,
    format_time,
)
from gilplan.planner.plans.findings import Evaluation, Plan
from gilplan.planner.reports.material import Material
from gilplan.planner.reports.section import (
    NOTHING,
    Figure,
    Section,
    number,
    share,
    size,
    table,
    time,
)

KINDS = {
    SegmentKind.PYTHON: "bytecode, holds the GIL",
    SegmentKind.HELD_NATIVE: "C code that keeps the GIL",
    SegmentKind.RELEASED_NATIVE: "C code without the GIL",
    SegmentKind.WAIT: "blocked, no GIL, no core",
    SegmentKind.CRITICAL: "under a lock",
}


def target_section(material: Material) -> Section:
    """What the layout has to carry."""
    target = material.plan.target
    rows = [("rate", NOTHING if target.rate is None else f"{target.rate:,.6g} tasks/s")]
    if target.peak_rate is not None and target.growth:
        rows.append(("with growth", f"{target.peak_rate:,.6g} tasks/s ({share(target.growth)})"))
    rows += [(f"{slo.measure} of the response time", f"< {format_time(slo.limit)}")
             for slo in target.slos]  # fmt: skip
    rows += [
        ("memory", "any" if target.memory is None else f"up to {format_size(target.memory)}"),
        ("cores", f"up to {target.cores_up_to}"),
        ("processes that may be lost", str(target.survive)),
        ("confidence asked for", share(material.plan.confidence)),
    ]
    return Section(name="target", title="Target", tables=(table(("what", "limit"), rows),))


def workload_section(material: Material) -> Section:
    """The program as it was observed or described."""
    workload = material.workload
    held = workload.mean_demand(SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)
    released = workload.mean_demand(SegmentKind.RELEASED_NATIVE)
    total = workload.mean_demand()
    build = f" on CPython {workload.build}" if workload.build else ""
    paragraphs = (
        f"{workload.name}: a task takes {format_time(total)} when it is alone{build}. It holds "
        f"the GIL for {share(held / total)} of that time, computes without it for "
        f"{share(released / total)}, and is blocked for the rest.",
        f"Where the times come from: {workload.source or 'the workload file does not say'}.",
        f"How tasks come, in this report's predictions: {arrivals_text(material.arrivals)}.",
    )
    rows = [
        row
        for task in workload.tasks
        for segment in flatten(task.segments)
        for row in [_segment_row(task, segment, several=len(workload.tasks) > 1)]
    ]
    head = ("task", "segment", "kind", "mean", "distribution", "share of the task")
    return Section(
        name="workload",
        title="The workload as observed",
        paragraphs=paragraphs,
        tables=(table(head, rows),),
    )


def _segment_row(task: Task, segment: Segment, *, several: bool) -> tuple[str, ...]:
    weights = f" (weight {task.weight:g})" if several else ""
    mean = segment.duration.mean if segment.duration else 0.0
    return (
        task.name + weights,
        segment.name or NOTHING,
        KINDS[segment.kind],
        format_time(mean),
        _distribution(segment.duration),
        share(mean / task.demand()),
    )


def _distribution(duration: Duration | None) -> str:
    return NOTHING if duration is None else type(duration).__name__.lower()


def arrivals_text(arrivals: Arrivals) -> str:
    """Say in words how tasks come."""
    if isinstance(arrivals, Open):
        kind = "a Poisson stream" if arrivals.poisson else "an evenly spaced stream"
        return f"{kind} of {arrivals.rate:,.6g} tasks/s"
    if isinstance(arrivals, Batch):
        return f"a batch of {arrivals.jobs:,} tasks"
    if isinstance(arrivals, Closed):
        clients = "one client per worker" if arrivals.population is None else (
            f"{arrivals.population:,} clients"
        )  # fmt: skip
        if arrivals.connection is not None:
            return f"a closed loop of {clients} over sockets on the same cores"
        return f"a closed loop of {clients}, thinking {format_time(arrivals.think_time.mean)}"
    return "a recorded stream"


def layout_section(material: Material) -> Section:
    """The layout that the plan is about, with its margin."""
    plan = material.plan
    subject = plan.subject
    if subject is None:
        return Section(name="layout", title="Recommended layout", paragraphs=("There is none.",))
    title = "Recommended layout" if plan.met else "The nearest miss"
    rows = [
        ("layout", str(subject.layout)),
        ("kind", subject.layout.mode),
        ("capacity, all workers busy", f"{number(subject.capacity)} tasks/s"),
        ("highest rate within the limits", f"{number(plan.sustainable_rate)} tasks/s"),
        ("headroom over the peak rate", _headroom(plan)),
        *((f"{name} at the peak rate", time(each)) for name, each in subject.response_time.items()),
        ("cores", str(subject.cores)),
        ("memory", size(subject.memory)),
        ("GILs busy at capacity", gil_share(subject.layout, subject.gil_utilisation)),
        ("cores busy at capacity", format_share_interval(subject.core_utilisation)),
    ]
    if plan.cost is not None:
        memory = NOTHING if plan.cost.memory is None else format_size(plan.cost.memory)
        rows.append(("1,000 tasks/s take", f"{plan.cost.cores:.2f} cores and {memory}"))
    items = [f"It misses: {miss}" for miss in subject.misses]
    if plan.bottleneck is not None:
        items.append(
            f"What runs out first: {plan.bottleneck.resource}, "
            f"{share(plan.bottleneck.utilisation)} busy. {plan.bottleneck.explanation}"
        )
    items += [
        f"After the loss of {loss.lost}: {loss.left}, {format_number(loss.capacity)} tasks/s; "
        f"{'the target still holds' if loss.meets else 'the target does not hold'}"
        + (f"; {loss.needed} machines are needed for it" if loss.needed else "")
        for loss in plan.losses
    ]
    return Section(
        name="layout", title=title, tables=(table(("what", "value"), rows),), items=tuple(items)
    )


def gil_share(layout: Layout, utilisation: Interval) -> str:
    """Return how busy the GILs are, or that there is none."""
    return NOTHING if layout.gil is GilMode.DISABLED else format_share_interval(utilisation)


def _headroom(plan: Plan) -> str:
    if plan.headroom is None:
        return NOTHING
    ends = f"{share(plan.headroom.lower)} to {share(plan.headroom.upper)}"
    return f"{share(plan.headroom.mean)} ({ends})"


def rate_section(material: Material) -> Section:
    """Response time against rate, with the target drawn in."""
    plan = material.plan
    if not plan.curve:
        text = "The plan has no curve of response time against rate."
        return Section(name="rate", title="Rate against latency", paragraphs=(text,))
    rows = [
        (
            f"{point.rate:,.4g}",
            *(time(point.response_time.get(name)) for name in ("mean", "p50", "p95", "p99")),
        )
        for point in plan.curve
    ]
    return Section(
        name="rate",
        title="Rate against latency",
        figures=(
            Figure(
                name="rate-latency",
                chart=charts.plot_rate_latency(plan),
                says="Percentiles of the response time of the layout as more tasks arrive.",
            ),
        ),
        tables=(table(("tasks/s", "mean", "p50", "p95", "p99"), rows,
                      f"Response time of {plan.subject.layout if plan.subject else ''}"),),
    )  # fmt: skip


def candidates_section(material: Material) -> Section:
    """The layouts that were simulated, and those that were not."""
    plan = material.plan
    rows = [
        (
            str(each.layout),
            number(each.capacity),
            time(each.response_time.get("p99")),
            size(each.memory),
            str(each.cores),
            _met(plan, each),
        )
        for each in plan.evaluations
    ]
    figures = []
    if plan.evaluations:
        figures.append(
            Figure(
                name="candidates",
                chart=charts.plot_candidates(plan),
                says="What each simulated layout carries when all its workers are busy.",
            )
        )
    if len(plan.evaluations) > 1 and any(each.memory for each in plan.evaluations):
        figures.append(
            Figure(
                name="pareto",
                chart=charts.plot_pareto(plan),
                says="No layout has more capacity in less memory than those on the front.",
            )
        )
    head = ("layout", "capacity (tasks/s)", "p99 at the peak rate", "memory", "cores", "target")
    tables = [table(head, rows, "Simulated, smallest first")]
    if plan.excluded:
        out = [(str(each.layout), each.reason) for each in plan.excluded[:MOST_EXCLUDED]]
        more = len(plan.excluded) - len(out)
        caption = "Not simulated" + (f" (and {more} more)" if more else "")
        tables.append(table(("layout", "why not"), out, caption))
    return Section(
        name="candidates", title="Layouts compared", figures=tuple(figures), tables=tuple(tables)
    )


#: What a reader looks through; the rest is counted.
MOST_EXCLUDED = 40


def _met(plan: Plan, evaluation: Evaluation) -> str:
    if plan.choice is not None and evaluation.layout == plan.choice.layout:
        return "met; chosen"
    return "met" if evaluation.meets else "; ".join(evaluation.misses)
