"""What a plan tells of the layout it is about: margin, bottleneck, losses, costs, and the rest."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

from gilplan.model.arrivals import Closed, Open
from gilplan.model.layout import Layout
from gilplan.model.prediction import Prediction
from gilplan.model.statistics import Interval
from gilplan.planner.forecast import Measures
from gilplan.planner.plans.bottleneck import bottleneck
from gilplan.planner.plans.break_even import break_evens
from gilplan.planner.plans.contender import Contender, Standing
from gilplan.planner.plans.findings import Cost, Evaluation, Loss, Plan
from gilplan.planner.plans.ranking import decide
from gilplan.planner.plans.screening import survivor
from gilplan.planner.plans.sensitivity import sensitivities
from gilplan.planner.plans.sustained import capacity_runs, rate_curve, sustainable_rate
from gilplan.planner.plans.target import Target
from gilplan.planner.plans.trials import Trials
from gilplan.planner.plans.what_if import Change, gains
from gilplan.planner.predictions import moved_warnings, predict


def with_margin(plan: Plan, trials: Trials, *, level: float) -> tuple[Plan, list[Measures]]:
    """Return the plan with its subject's highest sustainable rate, and the saturated runs."""
    subject = plan.subject
    assert subject is not None
    saturated = capacity_runs(subject.layout, trials)
    capacities = [run["throughput"] for run in saturated]
    rate = sustainable_rate(subject.layout, plan.target, trials, capacities, level)
    margin = replace(
        plan,
        sustainable_rate=rate,
        headroom=_headroom(rate, plan.target),
        cost=_cost(subject, rate),
    )
    return margin, saturated


def explained(
    plan: Plan,
    saturated: list[Measures],
    trials: Trials,
    changes: Sequence[Change],
    *,
    level: float,
    report: Callable[[str, float], None],
) -> Plan:
    """Return the plan with everything else that is told of its subject."""
    subject, rate = plan.subject, plan.sustainable_rate
    assert subject is not None
    assert rate is not None
    layout, target = subject.layout, plan.target
    mean_capacity = sum(run["throughput"] for run in saturated) / len(saturated)
    load = target.peak_rate
    report("drawing rate against response time", 0.82)
    curve = rate_curve(layout, target, trials, mean_capacity, level)
    report("finding what saturates first", 0.86)
    narrow = bottleneck(layout, saturated, trials, rate=load, level=level)
    report("losing a process", 0.89)
    losses = _losses(subject, target, trials, rate, confidence=plan.confidence)
    report("looking for break-even points", 0.91)
    flips = break_evens(subject, plan.evaluations, trials, load)
    report("varying the measured inputs", 0.94)
    moved = sensitivities(subject, target, trials)
    report("answering what-ifs and predicting the choice", 0.97)
    answers = gains(changes, layout, trials, rate=load, level=level) if changes else []
    prediction = _prediction(layout, target, trials)
    told = replace(
        plan,
        prediction=prediction,
        curve=curve,
        bottleneck=narrow,
        losses=losses,
        break_evens=flips,
        sensitivities=moved,
        what_ifs=tuple(answers),
        warnings=(*_moved(plan, trials, prediction), *_warnings(subject, saturated)),
    )
    report("done", 1.0)
    return told


def _headroom(rate: Interval, target: Target) -> Interval | None:
    peak = target.peak_rate
    if peak is None:
        return None
    return Interval(
        mean=rate.mean / peak - 1, lower=rate.lower / peak - 1, upper=rate.upper / peak - 1
    )


def _cost(subject: Evaluation, rate: Interval) -> Cost | None:
    if rate.mean <= 0:
        return None
    memory = subject.memory
    return Cost(
        cores=1000 * subject.cores / rate.mean,
        memory=None if memory is None else 1000 * memory.mean / rate.mean,
    )


def _losses(
    subject: Evaluation, target: Target, trials: Trials, rate: Interval, *, confidence: float
) -> tuple[Loss, ...]:
    """Return what is left after one process, and how many machines outlive the loss of one."""
    layout = subject.layout
    if layout.processes == 1:
        process = Loss(lost="one process", left="nothing", capacity=0.0, meets=False)
    else:
        left = survivor(layout, 1)
        contender = Contender(layout=left, judged=left, memory=None, bound=float("inf"))
        unlimited = replace(target, memory=None, survive=0)
        meets = decide(contender, unlimited, trials, confidence) is Standing.MEETS
        process = Loss(lost="one process", left=str(left), capacity=contender.mean(), meets=meets)
    peak = target.peak_rate
    if peak is None or rate.mean <= 0:
        return (process,)
    enough = ceil(peak / rate.mean)
    machine = Loss(
        lost="one machine",
        left=f"{enough} of {enough + 1} machines that share the rate",
        capacity=enough * rate.mean,
        meets=True,
        needed=enough + 1,
    )
    return (process, machine)


def _prediction(layout: Layout, target: Target, trials: Trials) -> Prediction:
    peak = target.peak_rate
    (prediction,) = predict(
        trials.workload,
        [layout],
        trials.profile,
        arrivals=Closed() if peak is None else Open(rate=peak),
        seed=trials.seed,
        precision=0.05,
        max_replications=4,
    )
    return prediction


def _moved(plan: Plan, trials: Trials, prediction: Prediction) -> tuple[str, ...]:
    """Return the choice's warnings, and what is scaled of builds that it was compared with."""
    builds = dict.fromkeys(each.layout.build for each in plan.evaluations)
    moved = [
        warning
        for build in builds
        for warning in moved_warnings(trials.workload, build, trials.profile)
    ]
    return tuple(dict.fromkeys([*prediction.warnings, *moved]))


def _warnings(subject: Evaluation, saturated: Sequence[Measures]) -> tuple[str, ...]:
    warnings = [
        "memory is that of the interpreters and threads: what the program itself keeps in each "
        "comes on top"
    ]
    if not subject.decided:
        runs = len(saturated)
        warnings.append(
            f"the verdict is too close to call at the asked confidence after {runs} replications "
            "or more; it follows the means"
        )
    return tuple(warnings)
