"""What a report needs beyond its plan: rivals, the switch interval swept, schedules."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Arrivals, Closed, Open
from gilplan.model.layout import GilMode, Layout
from gilplan.model.scenario import Scenario
from gilplan.model.workload import Workload
from gilplan.planner.charts.schedules import drawable
from gilplan.planner.plans.findings import Evaluation, Plan
from gilplan.planner.predictions import predict, scenarios_for
from gilplan.planner.reports.material import Material
from gilplan.planner.reports.measured import Measured
from gilplan.planner.sweeps.sweep import Sweep, sweep
from gilplan.planner.timelines.schedule import Schedule, simulate_schedule

MOST_LAYOUTS = 4
MOST_SWEPT = 3
SWITCH_INTERVALS = "0.1ms:20ms:log:8"
#: Half-width of the throughput: what an eye can tell apart on a chart.
PRECISION = 0.02
MOST_REPLICATIONS = 8
#: How much of a schedule is shown: enough intervals for a convoy to repeat, enough tasks.
INTERVALS_SHOWN = 12
TASKS_SHOWN = 8

Report = Callable[[str, float], None]


def gather(
    plan: Plan,
    workload: Workload,
    profile: Profile,
    *,
    arrivals: Arrivals | None = None,
    measured: Measured | None = None,
    executor: Executor | None = None,
    report: Report = lambda text, share: None,
) -> Material:
    """Compute what the report of ``plan`` shows beside it; the plan's seed is used throughout.

    The predictions are at the target's peak rate; without one under ``arrivals``, the workload's
    own. ``executor`` shares the sweeps; the answer does not depend on it.
    """
    rate = plan.target.peak_rate
    given = Open(rate=rate) if rate is not None else arrivals or Closed()
    layouts = compared_layouts(plan)
    report("predicting the recommended layout and its rivals", 0.0)
    predictions = predict(
        workload, layouts, profile, arrivals=given, seed=plan.seed,
        precision=PRECISION, max_replications=MOST_REPLICATIONS,
    )  # fmt: skip
    report("sweeping the switch interval", 0.2)
    swept = _sweep(plan, workload, layouts, profile, Closed(), executor)
    report("sweeping the switch interval at the target's rate", 0.6)
    at_rate = _sweep(plan, workload, layouts, profile, given, executor) if rate else None
    report("simulating schedules", 0.95)
    scenarios = scenarios_for(workload, layouts, profile, arrivals=given, seed=plan.seed)
    return Material(
        workload=workload,
        arrivals=given,
        profile=profile,
        plan=plan,
        predictions=predictions,
        schedules=tuple(shown_schedule(scenario) for scenario in scenarios),
        saturated=swept,
        at_rate=at_rate,
        measured=measured,
    )


def compared_layouts(plan: Plan, most: int = MOST_LAYOUTS) -> list[Layout]:
    """Return the layout that the plan is about, then the most capable of each other kind."""
    if plan.subject is None:
        return []
    kinds: dict[str, Evaluation] = {}
    for evaluation in plan.evaluations:
        best = kinds.get(evaluation.layout.mode)
        if best is None or evaluation.capacity.mean > best.capacity.mean:
            kinds[evaluation.layout.mode] = evaluation
    ranked = sorted(kinds.values(), key=lambda each: -each.capacity.mean)
    layouts = [plan.subject.layout, *(each.layout for each in ranked)]
    return list(dict.fromkeys(layouts))[:most]


def shown_schedule(scenario: Scenario) -> Schedule:
    """Return a stretch of a schedule past its first moments, short enough to be read."""
    layout = scenario.layout
    contended = layout.gil is not GilMode.DISABLED and layout.threads > 1
    interval = layout.effective_switch_interval if contended else 0.0
    task = scenario.workload.mean_demand()
    shown = max(INTERVALS_SHOWN * interval, TASKS_SHOWN * task)
    return drawable(simulate_schedule(scenario, time=2 * shown).between(shown, 2 * shown))


def _sweep(
    plan: Plan,
    workload: Workload,
    layouts: list[Layout],
    profile: Profile,
    arrivals: Arrivals,
    executor: Executor | None,
) -> Sweep | None:
    """Sweep the interval of the layouts in which threads share a GIL; None where none does."""
    shared = [layout for layout in layouts if shares_a_gil(layout)]
    texts = list(dict.fromkeys(str(replace(layout, switch_interval=None)) for layout in shared))[
        :MOST_SWEPT
    ]
    if not texts:
        return None
    return sweep(
        workload, texts, profile, grid={"switch_interval": SWITCH_INTERVALS}, arrivals=arrivals,
        seed=plan.seed, precision=PRECISION, max_replications=MOST_REPLICATIONS,
        executor=executor,
    )  # fmt: skip


def shares_a_gil(layout: Layout) -> bool:
    """Whether a thread ever waits for a GIL that another thread of the layout holds."""
    if layout.gil is GilMode.DISABLED:
        return False
    per_gil = layout.threads * (1 if layout.gil is GilMode.OWN else layout.interpreters)
    return per_gil > 1
