"""Which layout meets a target: screened by bounds, simulated where it matters, explained."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import groupby

from gilplan.calibration.profile import Profile, gilplan_version
from gilplan.model.errors import InvalidValue, UnsupportedLayout
from gilplan.model.layout import Layout
from gilplan.model.workload import Workload
from gilplan.planner.plans.candidates import SWITCH_INTERVALS, candidates
from gilplan.planner.plans.contender import Contender
from gilplan.planner.plans.explanation import explained, with_margin
from gilplan.planner.plans.findings import Evaluation, Excluded, Plan
from gilplan.planner.plans.pareto import pareto_front
from gilplan.planner.plans.ranking import WITHIN, decide, nearest, pilot, race, smallest
from gilplan.planner.plans.screening import Screen, survivor
from gilplan.planner.plans.sustained import capacity_runs, sustainable_rate
from gilplan.planner.plans.target import Target
from gilplan.planner.plans.trials import Trials
from gilplan.planner.plans.verdict import verdict
from gilplan.planner.plans.what_if import Change, parse_change

#: How many runners-up have their rate within the SLOs searched when as much as possible is asked.
FINALISTS = 4
#: Layouts that are simulated when the bounds leave none, for the nearest miss.
NEAR_MISSES = 8

Report = Callable[[str, float], None]


def plan(
    workload: Workload,
    target: Target,
    profile: Profile,
    *,
    builds: Sequence[str] = (),
    layouts: Sequence[Layout] | None = None,
    switch_intervals: Sequence[float | None] = SWITCH_INTERVALS,
    refusals: Mapping[str, str] | None = None,
    what_ifs: Sequence[str] = (),
    explain: bool = True,
    confidence: float = 0.95,
    seed: int = 0,
    executor: Executor | None = None,
    report: Report = lambda text, share: None,
) -> Plan:
    """Return which layout meets the target, with its margin and its reasons.

    ``layouts`` are the candidates, all sensible ones of the ``builds`` (else of the profile's)
    when None. ``refusals`` names builds and modes that cannot run, and why (see
    `screening.refusal`). ``what_ifs`` are changes as in `what_if.parse_change`. Without ``explain``
    the answer is the verdict with its margin, and nothing of what it rests on. ``executor``
    shares the simulation; the answer does not depend on it. ``report`` hears what is being done
    and the share of all that is done.

    Raises `InvalidValue`, `MissingBuild` or `UnsupportedLayout` before anything is simulated.
    """
    if not 0.5 < confidence < 1:
        raise InvalidValue("confidence", "above 0.5 and below 1", confidence)
    changes = [parse_change(text) for text in what_ifs]
    for change in changes:
        change.workload(workload)
        if change.build is not None:
            profile.runtime(change.build)
    report("screening the layouts by their bounds", 0.0)
    if layouts is None:
        layouts = candidates(
            workload, target, profile, builds=builds, switch_intervals=switch_intervals
        )
    if not layouts:
        raise UnsupportedLayout("no layout to plan with; calibrate a build, or name a layout")
    search = _Search(
        target=target,
        trials=Trials(workload=workload, profile=profile, seed=seed, executor=executor),
        screen=Screen(workload, target, profile, refusals),
        confidence=confidence,
        report=report,
    )
    return search.answer(layouts, changes, explain=explain)


@dataclass(slots=True, kw_only=True)
class _Search:
    """The course of one plan."""

    target: Target
    trials: Trials
    screen: Screen
    confidence: float
    report: Report

    @property
    def level(self) -> float:
        """The level of a two-sided interval whose one end holds at the asked confidence."""
        return 2 * self.confidence - 1

    def answer(
        self, layouts: Sequence[Layout], changes: Sequence[Change], *, explain: bool
    ) -> Plan:
        """Search, explain what was found, and put it together."""
        kept, excluded = self.screen.split(layouts)
        contenders = [self._contender(layout) for layout in kept]
        if self.target.rate is None:
            choice, simulated = self._most_capable(contenders)
        else:
            choice, simulated = self._smallest(contenders)
        if not simulated:
            simulated = self._near_misses(layouts)
        missed = None
        if choice is None and simulated:
            self.report("looking at the nearest miss", 0.75)
            missed = nearest(simulated, self.target)
            decide(missed, self.target, self.trials, self.confidence)
        excluded += self._left_out(contenders, simulated, choice)
        order = sorted(simulated, key=lambda c: (c.size, str(c.layout)))
        evaluations = [self._evaluation(c) for c in order]
        subject = choice or missed
        found = Plan(
            workload=self.trials.workload.name,
            target=self.target,
            verdict="",
            choice=self._evaluation(choice) if choice else None,
            nearest_miss=self._evaluation(missed) if missed else None,
            pareto=pareto_front(evaluations),
            evaluations=tuple(evaluations),
            excluded=tuple(excluded),
            confidence=self.confidence,
            seed=self.trials.seed,
            profile=self.trials.profile.identity,
            version=gilplan_version(),
            prediction=None,
            sustainable_rate=None,
            headroom=None,
            curve=(),
            bottleneck=None,
            losses=(),
            cost=None,
            break_evens=(),
            sensitivities=(),
            what_ifs=(),
            warnings=(),
        )
        if subject is None:
            reasons = {each.reason for each in excluded}
            return replace(found, verdict="No layout meets it: " + _common(excluded, len(reasons)))
        self.report("searching the highest sustainable rate", 0.76)
        found, saturated = with_margin(found, self.trials, level=self.level)
        if explain:
            found = explained(
                found, saturated, self.trials, changes, level=self.level, report=self.report
            )
        return replace(found, verdict=verdict(found))

    def _contender(self, layout: Layout) -> Contender:
        return Contender(
            layout=layout,
            judged=survivor(layout, self.target.survive),
            memory=self.screen.memory(layout),
            bound=self.screen.bound(layout),
        )

    def _evaluation(self, contender: Contender) -> Evaluation:
        return contender.evaluation(self.target, self.level)

    def _smallest(
        self, contenders: Sequence[Contender]
    ) -> tuple[Contender | None, list[Contender]]:
        """Simulate the layouts by number of cores until one meets the target."""
        ordered = sorted(contenders, key=lambda c: (c.size, -c.bound))
        simulated: list[Contender] = []
        choice = None
        for cores, members in groupby(ordered, key=lambda c: c.cores):
            group = list(members)
            done = len(simulated) / len(ordered)
            share = (len(simulated) + len(group)) / len(ordered)
            self._pilot(group, 0.02 + 0.7 * done, 0.02 + 0.6 * share)
            simulated += group
            self.report(f"deciding among the layouts on {cores} cores", 0.02 + 0.7 * share)
            choice = smallest(group, self.target, self.trials, self.confidence)
            if choice is not None:
                break
        # Of each larger number of cores the one with the most to hope for, for comparison.
        seen = {id(each) for each in simulated}
        larger = [c for c in ordered if id(c) not in seen]
        hopes = {c.cores: c for c in sorted(larger, key=lambda c: c.bound)}
        self._pilot(list(hopes.values()), 0.72, 0.75)
        return choice, [*simulated, *hopes.values()]

    def _most_capable(
        self, contenders: Sequence[Contender]
    ) -> tuple[Contender | None, list[Contender]]:
        """Pilot the layouts while their bounds promise more than was found; race the best."""
        waiting = sorted(contenders, key=lambda c: -c.bound)
        simulated: list[Contender] = []
        best = 0.0
        while waiting and waiting[0].bound > WITHIN * best:
            batch, waiting = waiting[:32], waiting[32:]
            share = len(simulated) / max(len(contenders), 1)
            self._pilot(batch, 0.02 + 0.5 * share, 0.02 + 0.5 * (share + 32 / len(contenders)))
            simulated += batch
            best = max(best, *(c.mean() for c in batch))
        if not simulated:
            return None, []
        self.report("deciding which carries the most", 0.58)
        ranked = race(simulated, self.trials, self.confidence)
        if self.target.slos:
            ranked = self._by_sustainable_rate(ranked[:FINALISTS])
        return (ranked[0] if ranked else None), simulated

    def _by_sustainable_rate(self, finalists: Sequence[Contender]) -> list[Contender]:
        rates: dict[int, float] = {}
        for done, each in enumerate(finalists):
            self.report("searching the highest rates within the limits", 0.6 + 0.03 * done)
            capacities = [run["throughput"] for run in capacity_runs(each.judged, self.trials)]
            rates[id(each)] = sustainable_rate(
                each.judged, self.target, self.trials, capacities, self.level
            ).mean
        able = [each for each in finalists if rates[id(each)] > 0]
        return sorted(able, key=lambda each: -rates[id(each)])

    def _near_misses(self, layouts: Sequence[Layout]) -> list[Contender]:
        """Simulate the layouts that come nearest by their bounds; none that cannot run."""
        able = [self._contender(each) for each in layouts if not self.screen.is_refused(each)]
        limit = self.target.memory or float("inf")

        def distance(contender: Contender) -> tuple[float, float]:
            kept = contender.memory.mean if contender.memory else limit
            return (max(kept - limit, 0.0), -contender.bound)

        nearest_ones = sorted(able, key=distance)[:NEAR_MISSES]
        self._pilot(nearest_ones, 0.02, 0.5)
        return nearest_ones

    def _pilot(self, contenders: Sequence[Contender], begin: float, end: float) -> None:
        if not contenders:
            return
        total = 2 * len(contenders)
        step = max(len(contenders) // 20, 1)
        text = f"simulated {{}} of {len(contenders)} layouts"

        def told(done: int) -> None:
            share = begin + (end - begin) * done / total
            # Not every layout its own line where progress goes to a file.
            shown = min(done, len(contenders)) // step * step
            self.report(text.format(shown), share)

        pilot(contenders, self.target, self.trials, told)

    def _left_out(
        self,
        contenders: Sequence[Contender],
        simulated: Sequence[Contender],
        choice: Contender | None,
    ) -> list[Excluded]:
        seen = {id(each) for each in simulated}
        if self.target.rate is not None and choice is not None:
            reason = f"not simulated: larger than {choice.layout}, which meets the target"
        else:
            reason = "not simulated: by its demands it cannot carry as much as others were found to"
        return [
            Excluded(layout=each.layout, reason=reason)
            for each in contenders
            if id(each) not in seen
        ]


def _common(excluded: Sequence[Excluded], reasons: int) -> str:
    if not excluded:
        return "there is none to consider"
    more = f" (and {reasons - 1} more reasons)" if reasons > 1 else ""
    return f"{excluded[0].layout} {excluded[0].reason}{more}"
