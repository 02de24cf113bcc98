"""Known parameters are recovered from synthetic samples, and doubt is said."""

import numpy as np
import pytest

from gilplan.calibration.fits import (
    ONE_SAMPLE,
    fit,
    median,
    median_difference,
    median_over_rounds,
    ratio_of_means,
    thinned,
)
from gilplan.model.errors import MeasurementFailed
from gilplan.model.estimate import AT_BOUND, NOT_IDENTIFIABLE

WAITS = np.repeat([1e-4, 5e-4, 1e-3, 5e-3, 2e-2], 40)


def generator(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def disturbed(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add small noise, and to one sample in twenty a long interruption."""
    interruptions = (rng.random(values.size) < 0.05) * rng.exponential(1e-3, values.size)
    return values + rng.normal(0, 2e-6, values.size) + interruptions


def slack_curve(parameters: np.ndarray, waits: np.ndarray) -> np.ndarray:
    return parameters[0] + parameters[1] * np.log10(waits / 1e-4)


def test_slack_and_slope_are_inside_their_intervals_despite_interruptions():
    rng = generator()
    overshoots = disturbed(slack_curve(np.array([5e-5, 2e-5]), WAITS), rng)
    slack, slope = fit(
        slack_curve,
        WAITS,
        overshoots,
        start=[1e-5, 1e-5],
        lower=[0, 0],
        upper=[1e-3, 1e-3],
        source="timer",
        rng=rng,
    )
    assert slack.lower <= 5e-5 <= slack.upper
    assert slope.lower <= 2e-5 <= slope.upper
    assert slack.half_width < 3e-6
    assert slack.flags == slope.flags == ()
    assert slack.residual is not None
    assert slack.residual > 0


def test_interval_of_the_slack_covers_the_truth_in_most_repetitions():
    covered = 0
    for seed in range(40):
        rng = generator(seed)
        (slack,) = fit(
            lambda parameters, waits: np.full_like(waits, parameters[0]),
            WAITS,
            5e-5 + rng.normal(0, 5e-6, WAITS.size),
            start=[1e-5],
            lower=[0],
            upper=[1e-3],
            source="timer",
            rng=rng,
            resamples=60,
        )
        covered += slack.lower <= 5e-5 <= slack.upper
    # 90 % of 40 is 36; fewer than 30 has a chance below one in a thousand.
    assert covered >= 30


def test_parameter_without_effect_is_not_identifiable_and_spans_its_range():
    rng = generator()
    known, idle = fit(
        lambda parameters, waits: parameters[0] + 0 * parameters[1] * waits,
        WAITS,
        disturbed(np.full(WAITS.size, 5e-5), rng),
        start=[1e-5, 1e-4],
        lower=[0, 0],
        upper=[1e-3, 1e-3],
        source="timer",
        rng=rng,
    )
    assert NOT_IDENTIFIABLE in idle.flags
    assert (idle.lower, idle.upper) == (0, 1e-3)
    assert known.flags == ()


def test_parameters_seen_only_as_a_sum_are_both_not_identifiable():
    rng = generator()
    found = fit(
        lambda parameters, waits: np.full_like(waits, parameters[0] + parameters[1]),
        WAITS,
        disturbed(np.full(WAITS.size, 5e-5), rng),
        start=[1e-5, 1e-5],
        lower=[0, 0],
        upper=[1e-3, 1e-3],
        source="timer",
        rng=rng,
    )
    assert all(NOT_IDENTIFIABLE in estimate.flags for estimate in found)


def test_effect_far_below_the_noise_is_not_identifiable():
    rng = generator()
    slack, slope = fit(
        lambda parameters, waits: parameters[0] + 1e-6 * parameters[1] * waits,
        WAITS,
        5e-5 + rng.normal(0, 5e-6, WAITS.size),
        start=[1e-5, 0.5],
        lower=[0, 0],
        upper=[1e-3, 1],
        source="timer",
        rng=rng,
    )
    assert NOT_IDENTIFIABLE in slope.flags
    assert NOT_IDENTIFIABLE not in slack.flags


@pytest.mark.parametrize("truth", [-4e-5, 3e-3])
def test_value_outside_the_allowed_range_is_at_bound(truth: float):
    rng = generator()
    (slack,) = fit(
        lambda parameters, waits: np.full_like(waits, parameters[0]),
        WAITS,
        truth + rng.normal(0, 1e-6, WAITS.size),
        start=[1e-4],
        lower=[0],
        upper=[1e-3],
        source="timer",
        rng=rng,
    )
    assert AT_BOUND in slack.flags
    assert slack.value == pytest.approx(0 if truth < 0 else 1e-3, abs=1e-6)


def test_fit_with_fewer_samples_than_parameters_is_refused():
    with pytest.raises(MeasurementFailed, match="1 samples for 2 parameters"):
        fit(
            slack_curve,
            [1e-3],
            [5e-5],
            start=[0, 0],
            lower=[0, 0],
            upper=[1, 1],
            source="timer",
            rng=generator(),
        )


def test_median_is_inside_its_interval_which_narrows_with_samples():
    rng = generator()
    few, many = (median(rng.exponential(1, n), source="k", rng=rng) for n in (30, 3000))
    assert many.lower <= np.log(2) <= many.upper
    assert many.half_width < few.half_width


def test_interval_over_rounds_holds_the_spread_between_processes():
    rng = generator()
    rounds = [(level + rng.normal(0, 0.01, 100)).tolist() for level in (0.8, 1.0, 1.3)]
    pooled = median([x for samples in rounds for x in samples], source="k", rng=rng)
    grouped = median_over_rounds(rounds, source="k", rng=rng)
    assert grouped.value == pooled.value
    assert grouped.lower < 0.85
    assert grouped.upper > 1.25
    assert pooled.half_width < 0.1


def test_one_sample_gives_a_value_that_says_so():
    assert median([2.0], source="k", rng=generator()).flags == (ONE_SAMPLE,)


def test_no_samples_is_a_failed_measurement():
    with pytest.raises(MeasurementFailed, match="poll: no samples"):
        median([], source="poll", rng=generator())


def test_cost_below_its_floor_is_cut_and_flagged():
    rng = generator()
    cost = median_difference(
        rng.normal(1, 0.1, 200), rng.normal(2, 0.1, 200), source="k", rng=rng, floor=0.0
    )
    assert (cost.value, cost.lower, cost.flags) == (0.0, 0.0, (AT_BOUND,))


def test_difference_of_medians_recovers_a_cost_under_noise():
    rng = generator()
    cost = median_difference(
        rng.normal(3.5, 0.5, 400), rng.normal(2, 0.5, 400), source="k", rng=rng
    )
    assert cost.lower <= 1.5 <= cost.upper
    assert cost.half_width < 0.2


def test_ratio_in_pairs_is_free_of_common_drift():
    rng = generator()
    drift = np.linspace(1, 3, 60)
    below = drift * rng.normal(1, 0.01, 60)
    above = 0.7 * drift * rng.normal(1, 0.01, 60)
    ratio = ratio_of_means(above, below, source="speed", rng=rng)
    assert ratio.lower <= 0.7 <= ratio.upper
    assert ratio.half_width < 0.01


def test_thinning_keeps_the_quantiles():
    samples = generator().lognormal(0, 1, 5000)
    kept = thinned(samples, 200).samples
    assert len(kept) == 200
    for share in (0.05, 0.5, 0.95):
        assert np.quantile(kept, share) == pytest.approx(np.quantile(samples, share), rel=0.05)


def test_thinning_counts_negative_times_as_zero():
    assert thinned([-1e-6, 2e-6], 10).samples == (0.0, 2e-6)
