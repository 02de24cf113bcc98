"""Which layout is best: runs are spent where the ranking is undecided.

Every layout that the bounds left gets a pilot of one run. Then the layouts at the front are
replicated under common random numbers, all of one replication at a time, and a layout leaves the
race when its paired difference to the leader says at the asked confidence that it is worse, or
no more than `INDIFFERENCE` better or worse (the smaller one then stands).
"""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from gilplan.model.layout import Layout
from gilplan.model.statistics import mean_interval
from gilplan.planner.plans.contender import LEAST, Contender, Standing
from gilplan.planner.plans.target import Target
from gilplan.planner.plans.trials import Trial, Trials

PILOT_TASKS = 300
PILOT_LOADED_TASKS = 400
DECIDING_TASKS = 2000
MOST_REPLICATIONS = 8
#: Layouts whose capacities differ by less are as good as each other.
INDIFFERENCE = 0.01
#: Layouts that race each other, the best of the pilots.
RACERS = 8
#: Pilots this far below the leader's capacity cannot overtake it.
WITHIN = 0.85
#: Switch intervals per thread that a run sees at least, so that turns average out.
TURNS = 4
#: A run lasts at least so long, seconds: threads begin on cores that chance chose, and it takes
#: some ticks until the kernel has spread them.
SETTLING_TIME = 0.15
#: A run lasts at least so many times the longest response time that is allowed.
LIMITS_PER_RUN = 20
MOST_TASKS = 4000

Told = Callable[[int], None]


def pilot(
    contenders: Sequence[Contender],
    target: Target,
    trials: Trials,
    told: Told = lambda done: None,
) -> None:
    """Run each contender once saturated and, where it may carry the peak rate, once at it."""
    todo = [contender for contender in contenders if not contender.saturated]
    saturated = trials.measure([_saturated(c, 0, PILOT_TASKS) for c in todo], told)
    for contender, measures in zip(todo, saturated, strict=True):
        contender.saturated.append(measures)
    rate = target.peak_rate
    if rate is None:
        return
    able = [c for c in todo if c.mean() > 0.95 * rate]
    before = len(todo)
    loaded = trials.measure(
        [
            Trial(layout=c.judged, rate=rate, tasks=PILOT_LOADED_TASKS, least_time=_turns(c.judged))
            for c in able
        ],
        lambda done: told(before + done),
    )
    for contender, measures in zip(able, loaded, strict=True):
        contender.loaded.append(measures)


def race(contenders: Sequence[Contender], trials: Trials, confidence: float) -> list[Contender]:
    """Replicate until the highest capacity is decided; return best first.

    Contenders within `INDIFFERENCE` of the best come by size, smallest first.
    """
    promising = sorted(contenders, key=lambda c: -c.mean())[:RACERS]
    alive = [c for c in promising if c.mean() >= WITHIN * promising[0].mean()]
    for contender in alive:
        contender.saturated.clear()
    count = 0
    while count < MOST_REPLICATIONS:
        wanted = LEAST if count == 0 else 2
        _replicate(alive, range(count, count + wanted), trials)
        count += wanted
        leader = max(alive, key=lambda c: c.mean())
        verdicts = {
            id(c): _compared(c, leader, confidence, rivals=len(alive) - 1)
            for c in alive
            if c is not leader
        }
        alive = [c for c in alive if verdicts.get(id(c)) != "worse"]
        if "open" not in {verdicts[id(c)] for c in alive if c is not leader}:
            break
    best = max(c.mean() for c in alive)
    front = sorted(
        (c for c in alive if c.mean() >= (1 - INDIFFERENCE) * best),
        key=lambda c: (c.size, -c.mean()),
    )
    rest = [c for c in contenders if c not in front]
    return [*front, *sorted(rest, key=lambda c: -c.mean())]


def _replicate(contenders: Sequence[Contender], replications: range, trials: Trials) -> None:
    wanted = [(c, r) for r in replications for c in contenders]
    measured = trials.measure([_saturated(c, r, 2 * PILOT_TASKS) for c, r in wanted])
    for (contender, _), measures in zip(wanted, measured, strict=True):
        contender.saturated.append(measures)


def _compared(contender: Contender, leader: Contender, confidence: float, *, rivals: int) -> str:
    """Say "worse", "equal" or "open" of the paired difference, Bonferroni over the rivals."""
    runs = zip(contender.saturated, leader.saturated, strict=True)
    ratios = np.array([mine["throughput"] / best["throughput"] for mine, best in runs])
    level = 1 - 2 * (1 - confidence) / max(rivals, 1)
    difference = mean_interval(ratios - 1, max(level, 0.5))
    if difference.upper < 0:
        return "worse" if difference.mean < -INDIFFERENCE else "equal"
    inside = difference.lower > -INDIFFERENCE and difference.upper < INDIFFERENCE
    return "equal" if inside else "open"


def decide(contender: Contender, target: Target, trials: Trials, confidence: float) -> Standing:
    """Replicate until it is sure whether the contender meets the target, or runs are used up.

    What is still open then is taken by its means, and its evaluation says so.
    """
    if len(contender.saturated) < LEAST:
        contender.saturated.clear()
        _replicate([contender], range(LEAST), trials)
    rate = target.peak_rate
    if rate is None:
        return Standing.MEETS
    contender.loaded.clear()
    level = 2 * confidence - 1
    while len(contender.loaded) < MOST_REPLICATIONS:
        begin = len(contender.loaded)
        replications = range(begin, begin + (LEAST if begin == 0 else 2))
        trial = [loaded_trial(contender.judged, rate, r, target) for r in replications]
        contender.loaded += trials.measure(trial)
        if begin:
            extra = range(len(contender.saturated), len(contender.loaded))
            _replicate([contender], extra, trials)
        standing = contender.standing(target, level)
        if standing is not Standing.OPEN:
            return standing
    return Standing.MISSES if contender.misses(target) else Standing.MEETS


def loaded_trial(layout: Layout, rate: float, replication: int, target: Target) -> Trial:
    """Return a run at ``rate`` that is long enough to judge the target's percentiles by."""
    longest = max((slo.limit for slo in target.slos), default=0.0)
    tasks = min(max(DECIDING_TASKS, round(LIMITS_PER_RUN * longest * rate)), MOST_TASKS)
    return Trial(
        layout=layout,
        rate=rate,
        replication=replication,
        tasks=tasks,
        least_time=_turns(layout),
    )


def smallest(
    contenders: Sequence[Contender], target: Target, trials: Trials, confidence: float
) -> Contender | None:
    """Return the smallest contender that meets the target, of one size the most capable."""
    level = 2 * confidence - 1
    ordered = sorted(contenders, key=lambda c: (c.size, -c.mean()))
    for _, members in groupby(ordered, key=lambda c: c.size):
        able = [c for c in members if c.standing(target, level) is not Standing.MISSES]
        if not able:
            continue
        for contender in race(able, trials, confidence):
            if decide(contender, target, trials, confidence) is Standing.MEETS:
                return contender
    return None


def nearest(contenders: Sequence[Contender], target: Target) -> Contender:
    """Return the contender that comes closest to the target."""
    return min(contenders, key=lambda c: (*c.shortfall(target), c.size))


def _saturated(contender: Contender, replication: int, tasks: int) -> Trial:
    return Trial(
        layout=contender.judged,
        replication=replication,
        tasks=tasks,
        least_time=_turns(contender.judged),
    )


def _turns(layout: Layout) -> float:
    return max(TURNS * layout.effective_switch_interval * min(layout.threads, 8), SETTLING_TIME)
