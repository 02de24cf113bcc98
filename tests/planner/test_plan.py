"""Plans: the smallest layout, its margin against closed forms, near misses, explanations."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gilplan.calibration.profile import Profile
from gilplan.model.durations import Deterministic, Exponential
from gilplan.model.errors import InvalidValue, MissingBuild
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout
from gilplan.model.seen_on import SeenOn
from gilplan.model.statistics import Interval
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload
from gilplan.planner import plan
from gilplan.planner.plans.document import plan_document
from gilplan.planner.plans.findings import Evaluation, Plan
from gilplan.planner.plans.pareto import pareto_front
from gilplan.planner.plans.pool import pool
from gilplan.planner.plans.sustained import capacity_runs, sustainable_rate
from gilplan.planner.plans.target import Target, parse_slo
from gilplan.planner.plans.trials import Trial, Trials
from gilplan.planner.plans.what_if import gains, parse_change, with_held, with_released

PARSE = Segment(kind=SegmentKind.PYTHON, name="parse", duration=Deterministic(1e-3))
SCALE = Segment(kind=SegmentKind.RELEASED_NATIVE, name="scale", duration=Deterministic(1e-3))
FETCH = Segment(kind=SegmentKind.WAIT, duration=Deterministic(1e-3))


def program(*segments: Segment) -> Workload:
    return Workload(name="w", tasks=(Task(name="t", segments=segments),), build="3.13.0")


def layout(build: str = "3.13.0", gil: GilMode = GilMode.OWN, **fields: int) -> Layout:
    return Layout(build=build, gil=gil, **fields)  # type: ignore[arg-type]


FEW = (
    layout(threads=2, cores=1),
    layout(threads=2, cores=2),
    layout(interpreters=2, threads=2, cores=2),
    layout(processes=2, threads=2, cores=2),
    layout("3.13.5t", GilMode.DISABLED, threads=4, cores=2),
)


def planned(profile: Profile, target: Target, layouts: Any = FEW, **options: Any) -> Plan:
    options = {"explain": False, **options}
    return plan(program(PARSE, FETCH), target, profile, layouts=layouts, **options)


@pytest.fixture(scope="module")
def two_cores(profile: Profile) -> Plan:
    """1,200 tasks/s of one millisecond under the GIL: one GIL cannot do it."""
    target = Target(rate=1000, growth=0.2, slos=(parse_slo("p99<40ms"),), cores_up_to=2)
    return planned(
        profile,
        target,
        explain=True,
        refusals={"3.13.5t": "an extension refuses"},
        what_ifs=["released:parse=80%", "build=3.13t", "cores=1"],
    )


def test_the_smallest_layout_that_meets_the_target_is_chosen(two_cores: Plan) -> None:
    assert two_cores.choice is not None
    assert two_cores.choice.layout == layout(interpreters=2, threads=2, cores=2)
    assert two_cores.verdict.startswith("Run 3.13.0:interpreters=2,threads=2")
    assert two_cores.choice.decided
    assert two_cores.headroom is not None
    assert two_cores.headroom.lower > 0


def test_what_was_not_simulated_is_told_with_its_reason(two_cores: Plan) -> None:
    told = {str(each.layout): each.reason for each in two_cores.excluded}
    assert told["3.13.5t:threads=4,cores=2"] == "cannot run: an extension refuses"
    assert "at most 1,0" in told["3.13.0:threads=2,cores=2"]


def test_more_gils_and_cores_move_what_saturates_first(two_cores: Plan) -> None:
    narrow = two_cores.bottleneck
    assert narrow is not None
    assert narrow.resource in ("GIL", "cores")
    assert narrow.remedies[0].change in ("interpreters=3,cores=3", "processes=2,cores=4")
    assert narrow.remedies[0].throughput.lower > 1.2


def test_losing_the_only_process_leaves_nothing_and_machines_are_counted(
    two_cores: Plan,
) -> None:
    process, machine = two_cores.losses
    assert (process.left, process.capacity, process.meets) == ("nothing", 0.0, False)
    assert (machine.needed, machine.meets) == (2, True)


def test_cost_follows_from_the_highest_sustainable_rate(two_cores: Plan) -> None:
    assert two_cores.cost is not None
    assert two_cores.sustainable_rate is not None
    assert two_cores.cost.cores == pytest.approx(2000 / two_cores.sustainable_rate.mean)


def test_what_ifs_are_answered_for_the_choice(two_cores: Plan) -> None:
    released, build, cores = two_cores.what_ifs
    assert released.throughput.mean < 1.05  # the cores are full already
    assert build.layout == layout("3.13.5t", GilMode.DISABLED, threads=4, cores=2)
    assert cores.throughput.mean == pytest.approx(0.52, abs=0.05)
    assert cores.p99 is None


def test_plan_is_a_document_that_json_can_hold(two_cores: Plan) -> None:
    document = json.loads(json.dumps(plan_document(two_cores), allow_nan=False))
    assert document["met"] is True
    assert document["choice"]["layout"] == "3.13.0:interpreters=2,threads=2,gil=own,cores=2"
    reasons = {each["reason"] for each in document["excluded"]}
    assert reasons == {each.reason for each in two_cores.excluded}


def test_a_plan_is_its_verdict_and_its_tables_in_a_notebook(two_cores: Plan) -> None:
    shown = two_cores._repr_html_()
    assert two_cores.verdict.split(",")[0] in shown
    assert shown.count("<pre") >= 3


def test_inputs_that_matter_come_first_and_say_if_the_verdict_flips(two_cores: Plan) -> None:
    effects = {each.name: each for each in two_cores.sensitivities}
    assert effects["time of 'parse' ±10%"].capacity_high == pytest.approx(0.91, abs=0.02)
    assert not effects["time of 'parse' ±10%"].flips
    within = [each.effect for each in two_cores.sensitivities if not each.flips]
    assert within == sorted(within, reverse=True)


def test_survivors_must_meet_the_target(profile: Profile) -> None:
    layouts = (*FEW, layout(processes=3, threads=2, cores=2))
    answer = planned(profile, Target(rate=1200, survive=1, cores_up_to=2), layouts)
    assert answer.choice is not None
    assert answer.choice.layout.processes == 3


@pytest.mark.parametrize("rate", [1900, 50_000])  # beyond what runs; beyond the bounds
def test_no_layout_meets_it_is_an_answer_with_the_nearest_miss(profile: Profile, rate: int) -> None:
    answer = planned(profile, Target(rate=rate, cores_up_to=2))
    assert not answer.met
    assert answer.nearest_miss is not None
    assert answer.nearest_miss.layout.cores == 2
    assert answer.verdict.startswith("No layout meets it. The nearest miss is")
    assert f"of {rate:,} tasks/s" in answer.verdict


def test_nothing_that_can_run_is_an_answer_too(profile: Profile) -> None:
    everything = {runtime.build: "it crashes" for runtime in profile.runtimes}
    answer = planned(profile, Target(rate=10, cores_up_to=2), refusals=everything)
    assert answer.subject is None
    assert "cannot run: it crashes" in answer.verdict


def test_without_a_rate_the_most_capable_layout_is_chosen(profile: Profile) -> None:
    answer = planned(profile, Target(cores_up_to=2))
    assert answer.choice is not None
    chosen = answer.choice.layout
    assert chosen.gil is GilMode.DISABLED or chosen.interpreters * chosen.processes == 2
    assert answer.headroom is None
    best = max(each.capacity.mean for each in answer.evaluations)
    assert answer.choice.capacity.mean > 0.98 * best


def test_the_answer_does_not_depend_on_the_number_of_processes(profile: Profile) -> None:
    target = Target(rate=700, cores_up_to=2)
    alone = planned(profile, target, FEW[:1])
    with pool(2) as executor:
        assert planned(profile, target, FEW[:1], executor=executor) == alone
    assert planned(profile, target, FEW[:1], seed=1) != alone


@pytest.mark.parametrize(
    ("what_if", "error"),
    [
        ("build=3.9", MissingBuild),
        ("released:nothing=50%", InvalidValue),
        ("released:parse=150%", InvalidValue),
        ("core=8", InvalidValue),
        ("faster", InvalidValue),
    ],
)
def test_nothing_is_simulated_for_a_bad_what_if(
    profile: Profile, what_if: str, error: type[Exception]
) -> None:
    told: list[str] = []
    with pytest.raises(error):
        planned(
            profile,
            Target(rate=10, cores_up_to=2),
            what_ifs=[what_if],
            report=lambda text, share: told.append(text),
        )
    assert told == []


def test_highest_rate_within_a_percentile_is_that_of_the_m_m_1_queue(profile: Profile) -> None:
    """Response times of M/M/1 are exponential: p99 = ln 100 / (mu - lambda) (Kleinrock 1975)."""
    service, limit = 1e-3, 0.02
    workload = program(replace(PARSE, duration=Exponential(service)))
    queue = Trials(workload=workload, profile=profile, seed=0)
    one = layout(cores=1)
    target = Target(rate=1, slos=(parse_slo("p99<20ms"),), cores_up_to=1)
    capacities = [run["throughput"] for run in capacity_runs(one, queue)]
    rate = sustainable_rate(one, target, queue, capacities, 0.9)
    assert rate.mean == pytest.approx(1 / service - math.log(100) / limit, rel=0.06)


def test_no_rate_is_claimed_where_the_limit_never_holds(profile: Profile) -> None:
    target = Target(rate=1, slos=(parse_slo("p50<0.5ms"),), cores_up_to=1)
    bench = Trials(workload=program(PARSE), profile=profile, seed=0)
    assert sustainable_rate(layout(cores=1), target, bench, [900.0], 0.9).mean == 0


def test_a_build_that_the_program_ran_on_is_judged_by_that(profile: Profile) -> None:
    """Scaled by kind of work the free-threaded build loses; the program itself is faster there."""
    slow = {Work.BYTECODE: Estimate.exact(0.8, "made up")}
    runtimes = tuple(
        replace(each, speeds={**each.speeds, **slow}) if each.free_threaded else each
        for each in profile.runtimes
    )
    profile = replace(profile, runtimes=runtimes)
    ratio = Estimate(value=0.5, lower=0.45, upper=0.55, source="in turns")
    sharing = Estimate(value=0.1, lower=0.0, upper=0.2, source="two threads")
    known = program(PARSE)
    shown = replace(
        known,
        seen_on=(SeenOn(build="3.13.5t", relative_time=ratio, sharing=sharing),),
    )
    rivals = (
        layout(interpreters=2, cores=2),
        layout("3.13.5t", GilMode.DISABLED, threads=2, cores=2),
    )
    scaled, seen = (
        plan(workload, Target(cores_up_to=2), profile, layouts=rivals, explain=True)
        for workload in (known, shown)
    )
    assert scaled.choice is not None
    assert seen.choice is not None
    assert scaled.choice.layout.build == "3.13.0"
    assert any("scaled to 3.13.5t" in warning for warning in scaled.warnings)
    assert seen.choice.layout.build == "3.13.5t"
    assert seen.choice.capacity.mean == pytest.approx(2 / (1e-3 * 0.5 * 1.1) * 0.95, rel=0.02)
    assert not any("scaled" in warning for warning in seen.warnings)
    effects = {each.name: each.effect for each in seen.sensitivities}
    assert effects["processor time on 3.13.5t"] == pytest.approx(1 / 0.9 - 1, abs=0.02)
    assert effects["what threads lose on 3.13.5t"] == pytest.approx(1.1 - 1, abs=0.02)


def test_releasing_the_gil_gains_what_it_frees(profile: Profile) -> None:
    bench = Trials(workload=program(PARSE), profile=profile, seed=0)
    change = parse_change("released:parse=50%")
    (gain,) = gains([change], layout(threads=4, cores=2), bench, rate=None, level=0.9)
    assert 1.5 < gain.throughput.mean < 2.0  # two cores at 0.95 each, less the hand-offs
    assert gain.p99 is not None
    assert gain.p99.mean < 1


def test_released_and_held_time_keep_their_sum() -> None:
    workload = program(PARSE, SCALE, FETCH)
    for changed in (
        with_released(workload, 0.8, "parse"),
        with_released(workload, 1.0),
        with_held(workload, 0.3),
        with_held(workload, 1.0),
    ):
        assert changed.mean_demand() == pytest.approx(workload.mean_demand())
    released = with_released(workload, 0.8, "parse").mean_demand(SegmentKind.RELEASED_NATIVE)
    assert released == pytest.approx(1.8e-3)
    assert with_held(workload, 1.0).mean_demand(SegmentKind.RELEASED_NATIVE) == 0


def evaluation(capacity: float, p99: float, memory: float, cores: int) -> Evaluation:
    def exactly(value: float) -> Interval:
        return Interval(mean=value, lower=value, upper=value)

    return Evaluation(
        layout=layout(cores=cores),
        capacity=exactly(capacity),
        response_time={"p99": exactly(p99)},
        gil_utilisation=exactly(1.0),
        core_utilisation=exactly(1.0),
        memory=exactly(memory),
        cores=cores,
        misses=(),
        decided=True,
        replications=4,
    )


def test_pareto_front_leaves_out_what_is_beaten_and_what_is_a_twin() -> None:
    fast, small = evaluation(200, 0.01, 2e7, 2), evaluation(100, 0.02, 1e7, 1)
    beaten, twin = evaluation(150, 0.02, 3e7, 2), evaluation(100.5, 0.0201, 1e7, 1)
    assert pareto_front([small, twin, fast, beaten]) == (small, fast)


def test_every_run_lasts_until_the_kernel_has_spread_the_threads(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Trial] = []
    measure = Trials.measure

    def recorded(trials: Trials, wanted: Sequence[Trial], *rest: Any) -> list[Any]:
        asked.extend(wanted)
        return measure(trials, wanted, *rest)

    monkeypatch.setattr(Trials, "measure", recorded)
    quick = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(1e-4))
    plan(program(quick), Target(cores_up_to=2), profile, layouts=FEW, explain=False)
    # A tick is 4 ms, and it takes some dozens.
    assert asked
    assert all(trial.least_time >= 30 * profile.machine.tick for trial in asked)
