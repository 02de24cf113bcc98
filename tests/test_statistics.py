"""Output analysis against series with known answers."""

import numpy as np
import pytest

from gilplan.model.statistics import batch_means, mean_interval, warm_up_length


def test_warm_up_of_a_decaying_start_is_deleted() -> None:
    rng = np.random.default_rng(1)
    series = 10 + rng.standard_normal(2000) + 50 * np.exp(-np.arange(2000) / 40)
    deleted = warm_up_length(series)
    assert 100 <= deleted <= 400
    assert series[deleted:].mean() == pytest.approx(10, abs=0.15)


def test_steady_series_loses_little() -> None:
    rng = np.random.default_rng(2)
    assert warm_up_length(10 + rng.standard_normal(2000)) < 500


def test_short_series_loses_nothing() -> None:
    assert warm_up_length([9.0, 1.0, 1.0, 1.0]) == 0


def test_at_most_half_of_a_series_is_deleted() -> None:
    assert warm_up_length(np.arange(1000.0)[::-1]) <= 500


def test_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(1000):
        interval = mean_interval(rng.normal(5.0, 2.0, 8), level=0.9)
        hits += interval.lower <= 5.0 <= interval.upper
    # Binomial(1000, 0.9): five standard deviations on each side.
    assert 852 <= hits <= 948


def test_one_sample_has_an_unbounded_interval() -> None:
    assert mean_interval([3.0]).upper == float("inf")


def test_batch_means_keep_the_mean() -> None:
    series = np.arange(100.0)
    assert batch_means(series, 20).mean() == pytest.approx(series.mean())
