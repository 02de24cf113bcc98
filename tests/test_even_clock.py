"""Seen on the even clock, a run on cores that change their speed is one on cores that do not."""

import numpy as np
import pytest

from gilplan.calibration.even_clock import EvenClock, run_on
from gilplan.calibration.realrun import RealRun
from gilplan.calibration.steps import StepSamples, StepTimes
from gilplan.model.layout import GilMode, Layout
from gilplan.model.workload import SegmentKind, Work

LAYOUT = Layout(build="3.13.0", threads=1, gil=GilMode.OWN)
TASK, LOOP = 0.002, 12e-6


def on_uneven_cores(*, follows: float) -> RealRun:
    """Tasks of ``TASK`` on a core whose speed goes down and up again, the gauge read after each."""
    now, completed, gauge = 0.0, [], []
    while now < 1.2:
        slowness = 0.4 * np.sin(2 * np.pi * now / 0.5)
        now += TASK * np.exp(follows * slowness)
        completed.append(now)
        gauge.append((now, LOOP * np.exp(slowness)))
    return RealRun(
        layout=LAYOUT, completed_at=(tuple(completed),), window=(0.2, 1.2), gauge=tuple(gauge)
    )


@pytest.mark.parametrize("follows", [0.5, 1.0, 1.3])
def test_what_the_cores_do_to_response_times_comes_off(follows):
    run = on_uneven_cores(follows=follows)
    even = run_on(EvenClock.of(run.gauge, run.window, follows), run)
    raw_times, times = run.response_times, even.response_times
    assert raw_times.std() > 0.1 * TASK
    assert times.std() < 0.1 * raw_times.std()
    # The window keeps its length, and with it the throughput.
    assert even.throughput == pytest.approx(run.throughput, rel=0.002)


def test_a_program_that_does_not_follow_the_gauge_keeps_its_response_times():
    run = on_uneven_cores(follows=0.0)
    even = run_on(EvenClock.of(run.gauge, run.window, 0.0), run)
    assert even.response_times == pytest.approx(run.response_times, rel=1e-6)


def test_without_a_reading_it_is_the_real_clock():
    outside = ((0.1, LOOP), (2.0, LOOP))
    for gauge in ((), outside):
        clock = EvenClock.of(gauge, (0.2, 1.2), 1.0)
        assert clock.at([0.0, 0.1, 0.7, 1.2]) == pytest.approx([0.0, 0.1, 0.7, 1.2])


def test_a_bin_without_a_reading_goes_on_like_its_neighbours():
    run = on_uneven_cores(follows=1.0)
    gaps = tuple((at, reading) for at, reading in run.gauge if not 0.5 < at < 0.56)
    whole, holed = (EvenClock.of(gauge, run.window, 1.0) for gauge in (run.gauge, gaps))
    instants = np.linspace(0.2, 1.2, 50)
    assert holed.at(instants) == pytest.approx(whole.at(instants), abs=0.003)


def samples(slowness: np.ndarray, follows: float) -> StepSamples:
    factors = np.exp(follows * slowness)
    steps = tuple(
        StepTimes(
            name=name, kind=SegmentKind.PYTHON, work=Work.BYTECODE, times=tuple(share * factors)
        )
        for name, share in (("a", 0.3 * TASK), ("b", 0.8 * TASK))
    )
    return StepSamples(
        program="p",
        steps=steps,
        whole=tuple(TASK * factors),
        gauge=tuple(LOOP * np.exp(slowness)),
    )


@pytest.mark.parametrize("follows", [0.6, 1.0])
def test_samples_of_slow_and_fast_hours_become_those_of_one_speed(follows):
    rng = np.random.default_rng(1)
    raw = samples(0.3 * rng.standard_normal(500), follows)
    even = raw.at_even_speed(follows)
    assert np.std(even.whole) < 1e-9 * TASK
    assert even.rate == pytest.approx(raw.rate)
    for one, other in zip(even.steps, raw.steps, strict=True):
        assert np.mean(one.times) == pytest.approx(np.mean(other.times))


def test_samples_around_which_nobody_looked_stay_beside_the_others():
    rng = np.random.default_rng(2)
    seen = samples(0.2 * rng.standard_normal(100), 1.0)
    blind = StepSamples(program="p", steps=seen.steps, whole=seen.whole)
    assert blind.at_even_speed(1.0) == blind
    both = seen.joined(blind)
    assert len(both.gauge) == 200
    even = both.at_even_speed(1.0)
    assert np.std(even.whole[:100]) < 1e-9 * TASK
    ratios = np.asarray(even.whole[100:]) / np.asarray(both.whole[100:])
    assert ratios.std() < 1e-9
    assert ratios.mean() == pytest.approx(1.0, rel=0.05)
