"""Where the answer flips: at what GIL-held share, thread count or single-thread penalty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gilplan.model.layout import GilMode, Layout
from gilplan.model.workload import SegmentKind, Work, Workload, flatten
from gilplan.planner.plans.bottleneck import held_share
from gilplan.planner.plans.candidates import MOST_THREADS
from gilplan.planner.plans.findings import BreakEven, Evaluation
from gilplan.planner.plans.ranking import INDIFFERENCE
from gilplan.planner.plans.trials import Trial, Trials
from gilplan.planner.plans.what_if import with_held, with_released

REPLICATIONS = 2
TASKS = 800
HALVINGS = 5
HELD = "GIL-held share of processor time"
THREADS = "threads per interpreter"
PENALTY = "single-thread penalty"
PENALTIES = (1.0, 4.0)
#: Fewer threads than this part of the capacity are not enough.
ENOUGH = 0.97


class Quantity(Protocol):
    """A workload on a build with one quantity set to a value."""

    def __call__(self, workload: Workload, layout: Layout, value: float) -> Workload: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Duel:
    """Two layouts whose capacities are compared as a quantity varies."""

    mine: Layout
    rival: Layout
    vary: Quantity
    trials: Trials

    def leads(self, values: Sequence[float]) -> list[float]:
        """Return for each value how much ``mine`` carries over what ``rival`` does."""
        wanted = [
            Trial(
                layout=layout,
                replication=r,
                tasks=TASKS,
                workload=self.vary(self.trials.on_build(layout.build), layout, value),
            )
            for value in values
            for layout in (self.mine, self.rival)
            for r in range(REPLICATIONS)
        ]
        rates = [run["throughput"] for run in self.trials.measure(wanted)]
        step = 2 * REPLICATIONS
        return [
            sum(rates[i : i + REPLICATIONS]) / sum(rates[i + REPLICATIONS : i + step])
            for i in range(0, len(rates), step)
        ]


def break_evens(
    subject: Evaluation, evaluations: Sequence[Evaluation], trials: Trials, rate: float | None
) -> tuple[BreakEven, ...]:
    """Return where each rival overtakes the subject, and how many threads it needs.

    Rivals are the most capable layouts of other kinds within the subject's cores.
    """
    found = []
    share = held_share(trials.on_build(subject.layout.build))
    for rival in rivals(subject, evaluations)[:2]:
        if share > 0 or any(_released(trials.on_build(subject.layout.build))):
            found.append(_crossing(HELD, share, (0.0, 1.0), subject, rival, with_share, trials))
        free = _free_threaded(subject.layout, rival.layout)
        if free is not None:
            other = rival.layout if free is subject.layout else subject.layout
            now = _penalty(free, other, trials)
            slowed = _slowed(free, now)
            found.append(_crossing(PENALTY, now, PENALTIES, subject, rival, slowed, trials))
    found.append(_thread_count(subject, trials, rate))
    return tuple(found)


def rivals(subject: Evaluation, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the most capable layout of each other kind, the best first."""
    best: dict[str, Evaluation] = {}
    for each in evaluations:
        kind = kind_of(each.layout)
        if kind == kind_of(subject.layout) or each.cores > subject.cores:
            continue
        if kind not in best or each.capacity.mean > best[kind].capacity.mean:
            best[kind] = each
    return sorted(best.values(), key=lambda each: -each.capacity.mean)


def kind_of(layout: Layout) -> str:
    """Return the kind of layout that people choose between."""
    if layout.gil is GilMode.DISABLED:
        return "free-threaded"
    if layout.processes > 1:
        return "processes"
    return "interpreters" if layout.interpreters > 1 else "threads"


def with_share(workload: Workload, layout: Layout, value: float) -> Workload:
    """Return the workload with ``value`` of its processor time under the GIL, the sum the same."""
    now = held_share(workload)
    if value < now:
        return with_released(workload, 1 - value / now)
    return with_held(workload, (value - now) / (1 - now)) if now < 1 else workload


def _crossing(
    quantity: str,
    now: float,
    searched: tuple[float, float],
    subject: Evaluation,
    rival: Evaluation,
    vary: Quantity,
    trials: Trials,
) -> BreakEven:
    duel = _Duel(mine=subject.layout, rival=rival.layout, vary=vary, trials=trials)
    low, lead, high = duel.leads([searched[0], now, searched[1]])
    today = lead >= 1
    at = None
    if _flips(today, high):
        at = _halved(now, searched[1], today, duel.leads)
    elif _flips(today, low):
        at = _halved(now, searched[0], today, duel.leads)
    text = _show(quantity, now)
    if at is None:
        ends = f"{_show(quantity, searched[0])} and {_show(quantity, searched[1])}"
        sentence = (
            f"{quantity} is {text} now: {subject.layout} {'carries' if today else 'does not carry'}"
            f" more than {rival.layout} anywhere between {ends}"
        )
    else:
        side = "above" if at > now else "below"
        winner = rival.layout if today else subject.layout
        sentence = f"{quantity} is {text} now: {side} {_show(quantity, at)} {winner} carries more"
    return BreakEven(
        quantity=quantity, now=now, at=at, searched=searched, rival=rival.layout, sentence=sentence
    )


def _flips(today: bool, lead: float) -> bool:
    """Say whether the other side leads by more than the simulation's noise."""
    return lead < 1 - INDIFFERENCE if today else lead > 1 + INDIFFERENCE


def _halved(
    same: float, other: float, side: bool, leads: Callable[[Sequence[float]], list[float]]
) -> float:
    """Halve between a value on today's side and one beyond; return the middle of what is left."""
    for _ in range(HALVINGS):
        middle = (same + other) / 2
        if (leads([middle])[0] >= 1) is side:
            same = middle
        else:
            other = middle
    return (same + other) / 2


def _thread_count(subject: Evaluation, trials: Trials, rate: float | None) -> BreakEven:
    """Return with how few threads the subject's shape would still do."""
    layout = subject.layout
    counts = [2**n for n in range(MOST_THREADS.bit_length())]
    runs = trials.measure(
        [
            Trial(layout=replace(layout, threads=count), replication=r, tasks=TASKS)
            for count in counts
            for r in range(REPLICATIONS)
        ]
    )
    rates = [
        sum(run["throughput"] for run in runs[i : i + REPLICATIONS]) / REPLICATIONS
        for i in range(0, len(runs), REPLICATIONS)
    ]
    enough = max(rates) * ENOUGH if rate is None else rate
    what = f"{ENOUGH:.0%} of the most it can carry" if rate is None else "the peak rate"
    at = next((count for count, got in zip(counts, rates, strict=True) if got >= enough), None)
    if at is None:
        sentence = f"no number of threads up to {MOST_THREADS} carries {what}"
    else:
        sentence = f"{at} threads per interpreter are the fewest that carry {what}"
    return BreakEven(
        quantity=THREADS,
        now=layout.threads,
        at=at,
        searched=(1, MOST_THREADS),
        rival=None,
        sentence=f"{sentence} (it has {layout.threads}; powers of two were tried)",
    )


def _released(workload: Workload) -> list[bool]:
    return [
        segment.kind is SegmentKind.RELEASED_NATIVE
        for task in workload.tasks
        for segment in flatten(task.segments)
    ]


def _free_threaded(*layouts: Layout) -> Layout | None:
    free = [layout for layout in layouts if layout.gil is GilMode.DISABLED]
    return free[0] if len(free) == 1 else None


def _penalty(free: Layout, other: Layout, trials: Trials) -> float:
    """Return how much longer bytecode takes on the free-threaded build than on the other."""
    speeds = [trials.profile.runtime(layout.build).speeds for layout in (free, other)]
    known = [speed[Work.BYTECODE].value for speed in speeds if Work.BYTECODE in speed]
    return max(known[1] / known[0], PENALTIES[0]) if len(known) == 2 else 1.0


def _slowed(free: Layout, now: float) -> Quantity:
    def vary(workload: Workload, layout: Layout, value: float) -> Workload:
        return with_python_scaled(workload, value / now) if layout is free else workload

    return vary


def with_python_scaled(workload: Workload, factor: float) -> Workload:
    """Return the workload whose bytecode takes ``factor`` times as long."""
    return workload.rewritten(
        lambda segment: (segment.scaled(factor) if segment.kind is SegmentKind.PYTHON else segment,)
    )


def _show(quantity: str, value: float) -> str:
    if quantity == HELD:
        return f"{value:.0%}"
    return f"{value:.2f}x" if quantity == PENALTY else f"{value:g}"
