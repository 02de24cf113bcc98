"""Targets and their contradictions; which layouts are considered and which the bounds rule out."""

from dataclasses import replace

import pytest

from gilplan.calibration.profile import Profile
from gilplan.model.durations import Deterministic
from gilplan.model.errors import InvalidValue, MissingBuild
from gilplan.model.layout import GilMode, Layout
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner.plans.candidates import candidates, steps
from gilplan.planner.plans.screening import Screen, lock_times, refusal
from gilplan.planner.plans.target import Slo, Target, parse_slo

PARSE = Segment(kind=SegmentKind.PYTHON, name="parse", duration=Deterministic(1e-3))
FETCH = Segment(kind=SegmentKind.WAIT, duration=Deterministic(3e-3))


def program(*segments: Segment) -> Workload:
    return Workload(name="w", tasks=(Task(name="t", segments=segments),), build="3.13.0")


def layout(**fields: int) -> Layout:
    return Layout(**{"build": "3.13.0", "gil": GilMode.OWN, "cores": 1, **fields})  # type: ignore[arg-type]


def test_slo_is_read_with_its_unit() -> None:
    assert parse_slo(" p99 < 50ms ") == Slo(measure="p99", limit=0.05)
    assert parse_slo("mean<=2s") == Slo(measure="mean", limit=2.0)
    assert parse_slo(str(Slo(measure="p50", limit=0.0125))) == Slo(measure="p50", limit=0.0125)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("p99", "like"),
        ("p99>50ms", "upper limit"),
        ("p98<50ms", "mean, p50, p95, p99"),
        ("p99<50", "give a unit"),
        ("p99<0ms", "> 0"),
    ],
)
def test_slo_that_makes_no_sense_is_refused(text: str, part: str) -> None:
    with pytest.raises(InvalidValue, match=part):
        parse_slo(text)


@pytest.mark.parametrize(
    ("slos", "fields", "part"),
    [
        (("p99<50ms", "p99<20ms"), {}, "given once for p99"),
        (("p50<80ms", "p99<50ms"), {}, "no looser for p50 than for p99"),
        ((), {"rate": 0.0}, "rate"),
        ((), {"growth": 0.3}, "absent without a rate"),
        ((), {"memory": 0.0}, "memory"),
        ((), {"cores_up_to": 0}, "cores_up_to"),
        ((), {"survive": -1}, "survive"),
    ],
)
def test_contradictory_targets_are_refused(
    slos: tuple[str, ...], fields: dict[str, float], part: str
) -> None:
    read = tuple(parse_slo(text) for text in slos)
    with pytest.raises(InvalidValue, match=part):
        Target(**{"cores_up_to": 2, "slos": read, **fields})  # type: ignore[arg-type]


def test_growth_raises_the_peak_rate() -> None:
    assert Target(rate=200, growth=0.5, cores_up_to=1).peak_rate == 300


def test_steps_are_powers_of_two_and_the_most() -> None:
    assert steps(1) == (1,)
    assert steps(6) == (1, 2, 4, 6)


def test_candidates_keep_to_cores_and_to_what_each_build_can_do(profile: Profile) -> None:
    found = candidates(program(PARSE, FETCH), Target(cores_up_to=4), profile)
    assert len(found) == len(set(found))
    assert {each.build for each in found} == {runtime.build for runtime in profile.runtimes}
    for each in found:
        assert (each.cores or 0) <= min(4, each.workers)
        assert each.processes * each.interpreters <= 4
        if each.interpreters > 1:
            assert each.gil is GilMode.OWN
            assert each.build in ("3.12.1", "3.13.0")
    with pytest.raises(MissingBuild):
        candidates(program(PARSE), Target(cores_up_to=1), profile, builds=["3.9"])


def test_more_waiting_makes_more_threads_worth_considering(profile: Profile) -> None:
    def most(*segments: Segment) -> int:
        found = candidates(program(*segments), Target(cores_up_to=1), profile, builds=["3.13"])
        return max(each.threads for each in found)

    assert most(PARSE) == 2
    assert most(PARSE, FETCH) == 8


def test_switch_interval_is_varied_only_where_threads_share_a_gil(profile: Profile) -> None:
    intervals = (1e-3, 2e-3)
    target = Target(cores_up_to=2)
    found = set(candidates(program(PARSE), target, profile, switch_intervals=intervals))
    contended = {each for each in found if each.threads > 1 and each.gil is not GilMode.DISABLED}
    assert {each.switch_interval for each in contended} == set(intervals)
    assert {each.switch_interval for each in found - contended} == {None}


def reason(target: Target, profile: Profile, given: Layout) -> str | None:
    return Screen(program(PARSE, FETCH), target, profile).reason_against(given)


def test_bounds_rule_out_what_cannot_carry_the_rate(profile: Profile) -> None:
    target = Target(rate=1200, cores_up_to=2)
    too_slow = reason(target, profile, layout(threads=8))
    assert too_slow == "can do at most 1,000 tasks/s by its demands, 1,200 arrive"
    assert reason(target, profile, layout(interpreters=2, threads=8, cores=2)) is None


def test_memory_and_the_task_alone_rule_out(profile: Profile) -> None:
    big = reason(Target(memory=2e7, cores_up_to=2), profile, layout(processes=3))
    assert "above the limit of 19.1 MiB" in str(big)
    late = Target(slos=(parse_slo("p99<3ms"),), cores_up_to=2)
    assert "missed by the task alone" in str(reason(late, profile, layout()))
    assert reason(replace(late, slos=(parse_slo("p99<5ms"),)), profile, layout()) is None


def test_survivors_are_what_the_target_is_checked_on(profile: Profile) -> None:
    two = layout(processes=2, threads=4, cores=2)
    assert reason(Target(rate=1200, cores_up_to=2), profile, two) is None
    left = reason(Target(rate=1200, survive=1, cores_up_to=2), profile, two)
    assert "at most 1,000 tasks/s" in str(left)
    none_left = reason(Target(survive=2, cores_up_to=2), profile, two)
    assert none_left == "the loss of 2 of its 2 processes leaves none"


def test_a_layout_that_cannot_run_is_out_with_the_reason() -> None:
    own = layout(interpreters=2)
    for key in ("3.13.0", "own-GIL interpreters", "3.13.0 own-GIL interpreters"):
        assert refusal(own, {key: "numpy refuses"}) == "cannot run: numpy refuses"
    assert refusal(own, {"3.12.1": "x", "free-threaded": "x", "processes": "x"}) is None
    assert refusal(layout(), {"own-GIL interpreters": "x"}) is None


def test_a_lock_bounds_what_a_process_can_do(profile: Profile) -> None:
    locked = Segment(kind=SegmentKind.CRITICAL, lock="cache", inner=(PARSE,))
    workload = replace(program(locked, FETCH), build="")
    assert lock_times(workload) == {"cache": pytest.approx(1e-3)}
    free = Layout(build="3.13.5t", threads=32, gil=GilMode.DISABLED, cores=2)
    bound = Screen(workload, Target(cores_up_to=2), profile).bound(free)
    assert bound == pytest.approx(1000, rel=1e-6)
