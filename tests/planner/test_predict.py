"""Predicting layouts: order, builds, determinism, warnings."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.calibration.model_error import ModelError
from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Open
from gilplan.model.durations import Deterministic
from gilplan.model.errors import InvalidValue, MissingBuild, UnsupportedLayout
from gilplan.model.estimate import Estimate
from gilplan.model.observed import Observed
from gilplan.model.prediction import Prediction
from gilplan.model.seen_on import SeenOn
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload
from gilplan.planner.predictions import on_build, predict

PARSE = Segment(
    kind=SegmentKind.PYTHON,
    duration=Deterministic(1e-3),
    uninterruptible=Deterministic(1e-6),
)
SCALE = Segment(kind=SegmentKind.RELEASED_NATIVE, duration=Deterministic(2e-3))
FETCH = Segment(kind=SegmentKind.WAIT, duration=Deterministic(4e-3))
LOCKED = Segment(kind=SegmentKind.CRITICAL, lock="cache", inner=(PARSE,))


def program(*segments: Segment, build: str = "") -> Workload:
    return Workload(name="w", tasks=(Task(name="t", segments=segments),), build=build)


def test_predictions_come_in_the_order_of_the_layouts(profile: Profile) -> None:
    layouts = ["3.13:threads=2", "3.13:interpreters=2", "3.11"]
    predictions = predict(program(PARSE), layouts, profile, max_replications=4)
    assert [str(prediction.layout) for prediction in predictions] == [
        "3.13.0:threads=2",
        "3.13.0:interpreters=2,gil=own",
        "3.11.7:threads=1",
    ]


def test_bytecode_gains_from_a_second_gil_and_not_from_a_second_thread(profile: Profile) -> None:
    one, threads, interpreters = predict(
        program(PARSE), ["3.13", "3.13:threads=2", "3.13:interpreters=2"], profile
    )
    assert threads.throughput.mean < 1.05 * one.throughput.mean
    assert interpreters.throughput.mean > 1.8 * one.throughput.mean


def test_the_answer_depends_on_the_seed_and_not_on_the_workers(profile: Profile) -> None:
    def answers(seed: int, workers: int) -> tuple[Prediction, ...]:
        return predict(
            program(PARSE, FETCH),
            ["3.13:threads=2", "3.13t:threads=2"],
            profile,
            arrivals=Open(rate=100),
            seed=seed,
            workers=workers,
            max_replications=4,
        )

    assert answers(0, 1) == answers(0, 2)
    assert answers(0, 1) != answers(1, 1)


def test_each_prediction_is_told_as_soon_as_it_is_there(profile: Profile) -> None:
    told: list[Prediction] = []
    done = predict(
        program(PARSE), ["3.13", "3.12"], profile, max_replications=4, on_done=told.append
    )
    assert tuple(told) == done


def test_demands_are_scaled_to_the_build_by_kind_of_work(profile: Profile) -> None:
    exact = Estimate.exact
    source, target = profile.runtime("3.13"), profile.runtime("3.13t")
    source = replace(source, speeds={work: exact(1.0, "t") for work in Work})
    target = replace(target, speeds={Work.BYTECODE: exact(0.5, "t"), Work.COMPUTE: exact(0.8, "t")})
    known = replace(profile, runtimes=(source, target))
    scaled = on_build(program(LOCKED, SCALE, FETCH, build="3.13.0"), target, known)
    critical, scale, fetch = scaled.tasks[0].segments
    assert critical.inner[0].duration == Deterministic(2e-3)
    assert critical.inner[0].uninterruptible == Deterministic(2e-6)
    assert scale.duration == Deterministic(2.5e-3)
    assert fetch == FETCH
    assert scaled.build == "3.13.5t"


def test_a_program_seen_on_a_build_takes_the_time_that_it_took_there(profile: Profile) -> None:
    ratio = Estimate(value=1.5, lower=1.4, upper=1.6, source="in turns")
    seen = SeenOn(build="3.13.5t", relative_time=ratio)
    workload = replace(program(PARSE, SCALE, FETCH, build="3.13.0"), seen_on=(seen,))
    moved = on_build(workload, profile.runtime("3.13t"), profile)
    assert moved.busy_time == pytest.approx(1.5 * workload.busy_time)
    assert moved.tasks[0].segments[2] == FETCH
    # Kinds of work keep the proportion that the profile knows.
    scaled = on_build(replace(workload, seen_on=()), profile.runtime("3.13t"), profile)
    shares = [each.mean_demand(SegmentKind.PYTHON) / each.busy_time for each in (moved, scaled)]
    assert shares[0] == pytest.approx(shares[1])
    (told,) = predict(replace(workload, seen_on=()), ["3.13t"], profile, max_replications=4)
    (quiet,) = predict(workload, ["3.13t"], profile, max_replications=4)
    assert "scaled to 3.13.5t" in told.warnings[0]
    assert quiet.warnings == ()
    unknown = replace(workload, build="3.9.1")
    assert on_build(unknown, profile.runtime("3.13t"), profile).busy_time == pytest.approx(
        1.5 * workload.busy_time
    )


def test_a_workload_of_unknown_build_is_left_as_it_is_and_told_of(profile: Profile) -> None:
    for build, part in (("", "does not name the build"), ("3.9.1", "'3.9.1', which")):
        workload = program(PARSE, build=build)
        assert on_build(workload, profile.runtime("3.13t"), profile) is workload
        (prediction,) = predict(workload, ["3.13"], profile, max_replications=4)
        assert part in prediction.warnings[0]
    (prediction,) = predict(program(PARSE, build="3.13"), ["3.13"], profile, max_replications=4)
    assert prediction.warnings == ()


def test_nothing_is_simulated_when_a_layout_cannot_be(profile: Profile) -> None:
    told: list[Prediction] = []
    for bad, error in (
        ("3.11:interpreters=2,gil=own", UnsupportedLayout),
        ("3.15", MissingBuild),
        ("3.13:threads=0", InvalidValue),
    ):
        with pytest.raises(error):
            predict(program(PARSE), ["3.13", bad], profile, on_done=told.append)
    with pytest.raises(InvalidValue, match="precision"):
        predict(program(PARSE), ["3.13"], profile, precision=float("nan"), on_done=told.append)
    assert told == []


def test_intervals_hold_the_error_of_the_last_validation(profile: Profile) -> None:
    error = ModelError(half_widths={"throughput": {"all layouts": 0.2}}, cells=30)
    validated = replace(profile, model_error=error)
    (plain,) = predict(program(PARSE), ["3.13:threads=2"], profile, max_replications=4)
    (wider,) = predict(program(PARSE), ["3.13:threads=2"], validated, max_replications=4)
    assert wider.throughput.mean == plain.throughput.mean
    expected = np.hypot(plain.throughput.half_width, 0.2 * plain.throughput.mean)
    assert wider.throughput.half_width == pytest.approx(expected)
    assert wider.response_time == plain.response_time


def observed(half: float) -> Observed:
    sure = Estimate(value=1.0, lower=1.0, upper=1.0, source="exact")
    time = Estimate(value=1e-3, lower=1e-3 * (1 - half), upper=1e-3 * (1 + half), source="exact")
    none = Estimate(value=0.0, lower=0.0, upper=0.0, source="exact")
    return Observed(
        method="exact",
        tasks=100,
        held_share=sure,
        released_share=none,
        blocked_share=none,
        task_time=time,
    )


def test_intervals_hold_the_doubt_of_the_observation(profile: Profile) -> None:
    known, doubtful = (
        predict(
            replace(program(PARSE), observed=observed(half)),
            ["3.13"],
            profile,
            max_replications=4,
        )[0]
        for half in (0.0, 0.2)
    )
    assert doubtful.throughput.mean == known.throughput.mean
    assert doubtful.throughput.precision > known.throughput.precision + 0.05


def test_redrawn_times_scatter_about_the_observed_ones() -> None:
    workload = replace(program(PARSE, SCALE), observed=observed(0.2))
    rng = np.random.default_rng(5)
    drawn = [workload.redrawn(rng).mean_demand(SegmentKind.PYTHON) for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(1e-3, rel=0.03)
    assert np.quantile(drawn, (0.05, 0.95)) == pytest.approx((0.8e-3, 1.2e-3), rel=0.06)
    assert program(PARSE).redrawn(rng) == program(PARSE)
