"""Known machines and builds are recovered from synthetic samples; gaps are said."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gilplan.calibration.builds import Build
from gilplan.calibration.campaign import Samples
from gilplan.calibration.measurements import TIMEOUTS, Measurement, counts_of
from gilplan.calibration.parameters import machine_from, runtime_from
from gilplan.calibration.runner import KernelRun
from gilplan.calibration.wake_ups import undisturbed
from gilplan.model.durations import Empirical
from gilplan.model.errors import InvalidValue, MeasurementFailed
from gilplan.model.estimate import AT_BOUND, NOT_IDENTIFIABLE
from gilplan.model.machine import Machine
from gilplan.model.workload import Work

OLD = Build(path="/old/python", version=(3, 11, 7))
NEW = Build(path="/new/python", version=(3, 14, 0))
WAKES = {"2e-5": 20e-6, "1e-3": 40e-6, "2e-2": 100e-6}
SLACK, CALL, SIGNAL, SWITCH, PREEMPTION, OVERDUE = 50e-6, 1e-6, 3e-6, 2e-6, 15e-6, 22e-6
FORCED, BUSY_SIGNAL = 60e-6, 2.5e-6
#: What asking, dropping and taking cost after each time away.
ASKING = {"2e-5": 10e-6, "1e-3": 30e-6}
DROPPING = {"2e-5": 5e-6, "1e-3": 20e-6}
TAKING = {"2e-5": 8e-6, "1e-3": 25e-6}
#: In which part of a start the thread runs.
RUNNING = 0.3
#: How many times as long waking takes after each idle time.
SIGNALS = {"2e-5": 0.5, "1e-3": 1.0, "2e-2": 2.0}


def add(samples: Samples, name: str, build: Build, number: int, series: dict[str, list[float]]):
    measurement = Measurement(name=name, kernel=name, arguments=(), build=build, expected_time=1.0)
    run = KernelRun(series=series, notes=(), steal_share=0.0)
    samples.add(measurement, number, run)


def known_samples(
    rng: np.random.Generator, *, without: tuple[str, ...] = (), slack: float = SLACK
) -> Samples:
    """Samples of three rounds on two builds, as the kernels would give them."""

    def near(value: float, count: int = 40) -> list[float]:
        return (value * rng.normal(1, 0.02, count)).tolist()

    typical = {
        timeout: float(
            np.interp(
                np.log(float(timeout)), np.log([float(t) for t in WAKES]), list(WAKES.values())
            )
        )
        for timeout in TIMEOUTS
    }
    samples = Samples()
    for number in range(3):
        of_machine = {
            "scaling": {
                f"{work} n={n}": near(1000 * speed)
                for work in Work
                for n, speed in ((1, 1.0), (2, 0.8))
            },
            "queue_jump": {
                "lost 1e-3": [1.0, 1.0, 1.0, 0.0] * 10,
                "lost 5e-3": [0.0, 0.0, 0.0, 1.0] * 10,
                "beside 1e-3": [1.0, 0.0] * 20,
                "beside 5e-3": [0.0] * 40,
                "overtaking 1e-3": near(50e-6),
            },
            "stay": {"stayed": [0.0, 1.0, 1.0, 1.0] * 10},
            "room": {
                **{f"stayed {share}": [1.0] * 20 for share in ("0.5", "0.6")},
                **{f"stayed {share}": [0.0] * 20 for share in ("0.8", "0.9")},
                "stayed 0.7": [1.0] * 15 + [0.0] * 5,
            },
            "retry": {"retry": near(15e-6), "sleep": near(2e-5)},
            "away": {
                **{f"ask {text}": near(cost) for text, cost in ASKING.items()},
                **{
                    f"same {text}": near(BUSY_SIGNAL + SWITCH + cost)
                    for text, cost in DROPPING.items()
                },
                **{
                    f"other {text}": near(WAKES[text] + SIGNAL + cost)
                    for text, cost in TAKING.items()
                },
            },
            "handoff": {"gap 1e-3": near(25e-6), "hold 1e-3": near(1.05e-3)},
            "wake": {
                **{f"idle {text}": near(wake + CALL) for text, wake in WAKES.items()},
                **{f"signal {text}": near(k * SIGNAL + CALL / 2) for text, k in SIGNALS.items()},
                **{
                    f"running {text}": near(RUNNING * (wake + CALL)) for text, wake in WAKES.items()
                },
                "quiet write": near(CALL / 2),
                "call": near(CALL),
            },
            "timer": {
                **{f"overshoot {t}": near(slack + CALL + wake) for t, wake in typical.items()},
                **{"call": near(CALL), "slack setting": [SLACK]},
                "overdue": near(OVERDUE + CALL),
            },
            "slice": {
                "slice": near(4e-3),
                "forced switch": near(FORCED),
                "turn": near(SWITCH + CALL / 2),
                "wake": near(BUSY_SIGNAL + CALL / 2),
                "quiet write": near(CALL / 2),
                "quiet read": near(CALL / 2),
            },
            "preempt": {"busy": near(SLACK + PREEMPTION), "idle": near(90e-6)},
        }
        for name, series in of_machine.items():
            if name not in without:
                add(samples, name, NEW, number, series)
        for build, speed in ((OLD, 0.6), (NEW, 1.0)):
            of_build = {
                "speed": {f"{work} n=1": near(1000 * speed) for work in Work},
                "release": {
                    "released": near(2.04e-6),
                    "held": [1.3e-6] * 40,
                    "control": [6e-7] * 40,
                },
                "poll": {"poll": near(1e-7)},
                "startup": {
                    "thread start": near(8e-5),
                    "thread memory": [15e3],
                    "bare memory": [9e6],
                },
            }
            for name, series in of_build.items():
                if f"{name}/{build.name}" not in without:
                    add(samples, name, build, number, series)
    return samples


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def machine(samples: Samples, rng: np.random.Generator, cores: int = 2) -> Machine:
    return machine_from(
        samples, NEW.name, identity="abc", cores=cores, base_slice=0.0014, tick=0.004, rng=rng
    )


def test_known_machine_is_recovered(rng: np.random.Generator):
    samples = known_samples(rng)
    found = machine(samples, rng)
    assert found.speeds[Work.MEMORY][0].value == 1.0
    for estimate, truth in (
        (found.speeds[Work.MEMORY][1], 0.8),
        (found.signal_time, SIGNAL),
        (found.busy_signal_time, BUSY_SIGNAL),
        (found.awake_share, 0.5),
        (found.awake_share_beside, 0.25),
        (found.stay_share, 0.75),
        (found.context_switch_time, SWITCH),
        (found.forced_switch_time, FORCED),
        (found.timer_slack, SLACK),
        (found.overdue_wait_time, OVERDUE),
    ):
        # Twice the 90 % interval: a seed that misses it is one in a thousand.
        assert abs(estimate.value - truth) <= 2 * estimate.half_width
        assert estimate.flags == ()
    assert found.preemption_latency.value == pytest.approx(PREEMPTION, rel=0.1)
    assert found.wake_latency.idle_times == (2e-5, 1e-3, 2e-2)
    for latency, truth in zip(found.wake_latency.latencies, WAKES.values(), strict=True):
        assert latency.mean == pytest.approx(truth, rel=0.02)
    assert found.wake_latency.signal_factors == pytest.approx(tuple(SIGNALS.values()), rel=0.02)
    assert found.wake_latency.running_share == pytest.approx(RUNNING, rel=0.02)
    # A third of the way from 0.75 at 70 % to 0 at 80 %.
    room = found.packing_room
    assert room is not None
    assert room.value == pytest.approx(0.7333, abs=1e-3)
    assert (room.lower, room.upper) == (0.7, 0.8)
    assert found.retry_time.mean == pytest.approx(15e-6, rel=0.02)
    assert found.handoff_latency_at(1e-3).mean == pytest.approx(25e-6, rel=0.02)
    assert found.overtaking_latency_at(1e-3).mean == pytest.approx(50e-6, rel=0.02)
    for times, known in (
        (found.asking_times, ASKING),
        (found.dropping_times, DROPPING),
        (found.taking_times, TAKING),
    ):
        assert dict(times) == pytest.approx(
            {float(text): cost for text, cost in known.items()}, rel=0.1
        )
    assert samples.notes == []


def test_hand_off_that_took_no_longer_than_its_known_parts_costs_nothing_more(
    rng: np.random.Generator,
):
    samples = known_samples(rng, without=("away",))
    add(samples, "away", NEW, 0, {"same 1e-3": [1e-6] * 5, "other 1e-3": [2e-5] * 5})
    found = machine(samples, rng)
    assert found.dropping_times == found.taking_times == ((1e-3, 0.0),)
    assert found.asking_times == ()
    assert any("path: assumed to cost no more" in note for note in samples.notes)


@pytest.mark.parametrize(
    # How often the thread stayed on a core busy to 50, 70 and 90 %.
    "rates",
    [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (1.0, 0.6, 0.3)],
)
def test_kernel_whose_threads_do_not_go_by_room_does_not_pack(
    rates: tuple[float, ...], rng: np.random.Generator
):
    samples = known_samples(rng, without=("room",))
    series = {
        f"stayed {share}": [1.0] * round(20 * rate) + [0.0] * round(20 * (1 - rate))
        for share, rate in zip(("0.5", "0.7", "0.9"), rates, strict=True)
    }
    add(samples, "room", NEW, 0, series)
    assert machine(samples, rng).packing_room is None


def test_kernel_on_one_core_does_not_pack(rng: np.random.Generator):
    samples = known_samples(rng, without=("room",))
    add(samples, "room", NEW, 0, {})
    assert machine(samples, rng).packing_room is None


def test_wake_ups_in_which_the_host_was_elsewhere_are_left_out():
    assert undisturbed([20e-6, 30e-6, 40e-6, 290e-6, 2e-3]) == [20e-6, 30e-6, 40e-6, 290e-6]


def test_turns_that_the_kernels_settings_do_not_explain_are_noted(rng: np.random.Generator):
    samples = known_samples(rng)
    machine_from(samples, NEW.name, identity="abc", cores=2, base_slice=3e-3, tick=1e-3, rng=rng)
    assert any("ms, not every 3.00 ms as its base slice and tick" in note for note in samples.notes)


def test_share_of_askers_awake_goes_by_the_switch_interval(rng: np.random.Generator):
    found = machine(known_samples(rng), rng)
    between = math.sqrt(1e-3 * 5e-3)
    assert [found.awake_share_at(at) for at in (1e-4, 1e-3, between, 5e-3, 1.0)] == pytest.approx(
        [0.75, 0.75, 0.5, 0.25, 0.25]
    )
    assert [found.awake_share_beside_at(at) for at in (1e-3, 5e-3)] == pytest.approx([0.5, 0.0])
    unmeasured = replace(found, awake_factors=())
    assert unmeasured.awake_share_at(1e-3) == found.awake_share.value


def test_hand_offs_go_by_the_switch_interval(rng: np.random.Generator):
    samples = known_samples(rng)
    (key,) = [key for key in samples.rounds if key.startswith("handoff/")]
    gaps = {"gap 1e-4": [1e-5] * 50, "gap 1e-3": [3e-5] * 50}
    # Once something else had the core for a while; and one interval was hardly measured.
    gaps["gap 1e-4"][0] = 1.0
    gaps["gap 1e-2"] = [5e-5]
    samples.rounds[key] = {0: gaps}
    found = machine(samples, rng)
    short, between, long = (found.handoff_latency_at(at) for at in (1e-5, math.sqrt(1e-7), 1.0))
    assert set(short.samples) == {1e-5}
    assert set(long.samples) == {3e-5}
    assert between.mean == pytest.approx(2e-5)
    assert set(between.samples) == {1e-5, 3e-5}, "those of either interval, none in between"


def test_overtaking_that_was_not_measured_takes_no_longer_than_any_hand_off(
    rng: np.random.Generator,
):
    samples = known_samples(rng, without=("queue_jump",))
    found = machine(samples, rng)
    assert found.overtaking_latencies == found.handoff_latencies
    assert any("past an older waiter, not measured" in note for note in samples.notes)


def test_overdue_wait_that_was_not_measured_is_assumed_and_noted(rng: np.random.Generator):
    samples = known_samples(rng)
    (key,) = [key for key in samples.rounds if key.startswith("timer/")]
    for series in samples.rounds[key].values():
        del series["overdue"]
    assert machine(samples, rng).overdue_wait_time.flags != ()
    assert any("overdue wait: assumed" in note for note in samples.notes)


def once(value: float) -> Empirical:
    return Empirical((value,))


@pytest.mark.parametrize(
    "name",
    [
        *("awake_factors", "awake_factors_beside"),
        *("handoff_latencies", "overtaking_latencies", "taking_times"),
    ],
)
@pytest.mark.parametrize("intervals", [(5e-3, 1e-3), (0.0,)])
def test_what_was_measured_at_impossible_intervals_is_refused(
    name: str, intervals: tuple[float, ...], rng: np.random.Generator
):
    found = machine(known_samples(rng), rng)
    value = once(1.0) if name.endswith("latencies") else 1.0
    with pytest.raises(InvalidValue, match="increasing order"):
        replace(found, **{name: tuple((interval, value) for interval in intervals)})


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("awake_factors", ((1e-3, -0.1),), "at least 0"),
        ("awake_factors_beside", ((1e-3, -0.1),), "at least 0"),
        ("dropping_times", ((1e-3, -1e-6),), "at least 0"),
        ("handoff_latencies", (), "at least one switch interval"),
        ("overtaking_latencies", (), "at least one switch interval"),
    ],
)
def test_impossible_measurements_by_interval_are_refused(
    name: str, value: Any, what: str, rng: np.random.Generator
):
    found = machine(known_samples(rng), rng)
    with pytest.raises(InvalidValue, match=what):
        replace(found, **{name: value})


def test_slack_that_is_not_the_kernels_setting_is_noted(rng: np.random.Generator):
    samples = known_samples(rng, slack=80e-6)
    assert machine(samples, rng).timer_slack.value == pytest.approx(80e-6, rel=0.05)
    assert any("the kernel's setting is 50.0 us" in note for note in samples.notes)


def test_waits_that_end_early_put_the_slack_at_its_bound(rng: np.random.Generator):
    samples = known_samples(rng, slack=-30e-6)
    found = machine(samples, rng).timer_slack
    assert AT_BOUND in found.flags
    assert found.value == pytest.approx(0, abs=1e-7)


def test_scheduler_costs_not_measured_are_assumed_flagged_and_noted(rng: np.random.Generator):
    samples = known_samples(rng, without=("slice", "preempt", "timer", "queue_jump", "stay"))
    found = machine(samples, rng)
    assumed = (
        "busy_signal_time",
        "context_switch_time",
        "forced_switch_time",
        "preemption_latency",
        "timer_slack",
        "overdue_wait_time",
        "awake_share",
        "awake_share_beside",
        "stay_share",
    )
    for name in assumed:
        estimate = getattr(found, name)
        assert NOT_IDENTIFIABLE in estimate.flags, name
        assert estimate.lower < estimate.upper, name
    # Beside them that hand-offs past an older waiter take no longer.
    assert sum("assumed" in note for note in samples.notes) == len(assumed) + 1


@pytest.mark.parametrize("kernel", ["scaling", "wake", "handoff", "retry"])
def test_machine_without_its_essential_part_is_a_failed_measurement(
    kernel: str, rng: np.random.Generator
):
    with pytest.raises(MeasurementFailed, match="not measured"):
        machine(known_samples(rng, without=(kernel,)), rng)


def test_counts_between_measured_ones_are_interpolated(rng: np.random.Generator):
    samples = known_samples(rng, without=("scaling",))
    counts = counts_of(64)
    series = {f"{work} n={n}": [1000 / n] * 5 for work in Work for n in counts}
    add(samples, "scaling", NEW, 0, series)
    curve = machine(samples, rng, cores=64).speeds[Work.COMPUTE]
    assert len(curve) == 64
    values = [estimate.value for estimate in curve]
    assert values == sorted(values, reverse=True)
    assert values[counts[3] - 1] == pytest.approx(1 / counts[3])


def test_counts_are_all_on_few_cores_and_ten_at_most_on_many():
    assert counts_of(1) == [1]
    assert counts_of(6) == [1, 2, 3, 4, 5, 6]
    many = counts_of(128)
    assert len(many) <= 10
    assert (many[0], many[-1]) == (1, 128)


def test_known_build_is_recovered(rng: np.random.Generator):
    found = runtime_from(known_samples(rng), OLD, NEW.name, rng)
    assert (found.build, found.version) == ("3.11.7", (3, 11, 7))
    assert found.release_time.value == pytest.approx(4e-8, rel=0.5)
    assert found.poll_time.value == pytest.approx(1e-7, rel=0.02)
    assert found.speeds[Work.BYTECODE].value == pytest.approx(0.6, rel=0.02)
    assert set(found.start_ups) == {"thread"}
    assert found.start_ups["thread"].memory.value == 15e3
    assert found.memory is not None
    assert found.memory.value == 9e6


def test_reference_build_has_speed_one_without_doubt(rng: np.random.Generator):
    speeds = runtime_from(known_samples(rng), NEW, NEW.name, rng).speeds
    assert all((s.lower, s.value, s.upper) == (1, 1, 1) for s in speeds.values())


@pytest.mark.parametrize("kernel", ["release", "poll"])
def test_build_without_its_essential_kernels_is_a_failed_measurement(
    kernel: str, rng: np.random.Generator
):
    samples = known_samples(rng, without=(f"{kernel}/{OLD.name}",))
    with pytest.raises(MeasurementFailed, match=f"{kernel}: no samples"):
        runtime_from(samples, OLD, NEW.name, rng)


def test_build_without_a_speed_keeps_its_other_costs(rng: np.random.Generator):
    samples = known_samples(rng, without=(f"speed/{OLD.name}",))
    assert runtime_from(samples, OLD, NEW.name, rng).speeds == {}
