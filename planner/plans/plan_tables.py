"""A plan as tables for people."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gilplan.model.statistics import Interval
from gilplan.planner.formatting import (
    format_interval,
    format_number,
    format_share_interval,
    format_size,
    format_time,
    format_time_interval,
)
from gilplan.planner.plans.findings import Evaluation, Gain, Plan

NOTHING = "-"
MOST_ROWS = 12
MOST_INPUTS = 6


def plan_tables(plan: Plan) -> Iterator[Table]:
    """Yield the tables that stand below the verdict; none that would be empty."""
    if plan.subject is None:
        yield excluded_table(plan)
        return
    yield margin_table(plan)
    yield front_table(plan)
    if plan.what_ifs:
        yield gain_table(plan.what_ifs, "what if")
    if plan.bottleneck is not None and plan.bottleneck.remedies:
        yield gain_table(plan.bottleneck.remedies, "what would move it")
    if plan.sensitivities:
        yield sensitivity_table(plan)
    if plan.excluded:
        yield excluded_table(plan)


def margin_table(plan: Plan) -> Table:
    """Return what is told of the chosen layout, a line each."""
    table = _table(f"{plan.workload}: {plan.target}")
    table.add_column("", no_wrap=True)
    table.add_column("")
    for name, text in _lines(plan):
        table.add_row(name, Text(text))
    return table


def _lines(plan: Plan) -> Iterator[tuple[str, str]]:
    subject = plan.subject
    assert subject is not None
    yield ("layout" if plan.met else "nearest miss"), str(subject.layout)
    if plan.sustainable_rate is not None:
        yield "highest sustainable rate", f"{format_interval(plan.sustainable_rate)} tasks/s"
    if plan.headroom is not None:
        yield "headroom over the peak rate", format_share_interval(plan.headroom)
    for name, interval in subject.response_time.items():
        yield f"{name} at the peak rate", _time(interval)
    if plan.bottleneck is not None:
        yield "first to saturate", plan.bottleneck.explanation
    for loss in plan.losses:
        capacity = f"{format_number(loss.capacity)} tasks/s" if loss.capacity else "nothing"
        enough = "enough" if loss.meets else "not enough"
        yield f"loss of {loss.lost}", f"{loss.left} left, {capacity}: {enough}"
    if plan.cost is not None:
        memory = NOTHING if plan.cost.memory is None else format_size(plan.cost.memory)
        cores = format_number(plan.cost.cores)
        yield "cost of 1,000 tasks/s", f"{cores} cores, {memory}"
    for flip in plan.break_evens:
        yield "break-even", flip.sentence


def front_table(plan: Plan) -> Table:
    """Return the Pareto front, the chosen layout among it, at most `MOST_ROWS` rows."""
    subject = plan.subject
    front = list(plan.pareto)
    if subject is not None and subject.layout not in [each.layout for each in front]:
        front.insert(0, subject)
    shown = _spread(front)
    left = f" ({len(shown)} of {len(front)})" if len(front) > len(shown) else ""
    table = _table(f"no layout is better in all of throughput, p99, memory and cores{left}")
    table.add_column("layout", no_wrap=True)
    for heading in ("capacity, tasks/s", "p99 at the peak", "memory", "cores", "runs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in shown:
        memory = NOTHING if each.memory is None else format_size(each.memory.mean)
        table.add_row(
            Text(str(each.layout)),
            _number(each.capacity),
            _time(each.response_time.get("p99")),
            memory,
            str(each.cores),
            str(each.replications),
        )
    return table


def _spread(front: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the first of the front and others evenly from all of it."""
    if len(front) <= MOST_ROWS:
        return list(front)
    step = (len(front) - 1) / (MOST_ROWS - 1)
    return [front[round(index * step)] for index in range(MOST_ROWS)]


def gain_table(gains: Sequence[Gain], title: str) -> Table:
    """Return a row per change: throughput and p99 against the layout as it is."""
    table = _table(title)
    table.add_column("change", no_wrap=True)
    for heading in ("throughput", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for gain in gains:
        p99 = NOTHING if gain.p99 is None else _change(gain.p99)
        table.add_row(Text(gain.change), _change(gain.throughput), p99)
    return table


def sensitivity_table(plan: Plan) -> Table:
    """Return the inputs that move the capacity most."""
    table = _table("measured inputs that move the capacity most, at the ends of their intervals")
    table.add_column("input", no_wrap=True)
    for heading in ("capacity at its low end", "at its high end", "verdict"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in plan.sensitivities[:MOST_INPUTS]:
        table.add_row(
            Text(each.name),
            f"{each.capacity_low - 1:+.1%}",
            f"{each.capacity_high - 1:+.1%}",
            "flips" if each.flips else "stays",
        )
    return table


def excluded_table(plan: Plan) -> Table:
    """Return why layouts were not simulated, with how many and one of them."""
    table = _table("layouts that were not simulated")
    table.add_column("count", justify="right")
    table.add_column("such as", no_wrap=True)
    table.add_column("why")
    reasons = Counter(each.reason for each in plan.excluded)
    for reason, count in reasons.most_common(MOST_ROWS):
        example = next(each.layout for each in plan.excluded if each.reason == reason)
        table.add_row(str(count), Text(str(example)), Text(reason))
    return table


def _number(interval: Interval) -> str:
    """Return the interval, or only its mean where one run says nothing of its spread."""
    if interval.upper == float("inf"):
        return format_number(interval.mean)
    return format_interval(interval)


def _time(interval: Interval | None) -> str:
    if interval is None:
        return NOTHING
    if interval.upper == float("inf"):
        return format_time(interval.mean)
    return format_time_interval(interval)


def _change(ratio: Interval) -> str:
    return f"{ratio.mean - 1:+.1%} ± {ratio.half_width:.1%}"


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD)
