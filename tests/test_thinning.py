"""Few tasks stand for many: means, quantiles, and what belongs together."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gilplan.calibration.thinning import thinned

TABLES = arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(1, 90)), elements=st.floats(0, 1)
)


@given(TABLES, st.integers(1, 40))
@example(np.array([[1.0, 1e-311, 1e-311]]), 1)
@example(np.array([[1.0, 5e-324, 5e-324, 0.0, 0.0, 0.0]]), 3)
def test_each_part_keeps_its_mean(table: np.ndarray, count: int) -> None:
    kept = thinned(table, count)
    assert kept.shape == (len(table), min(count, table.shape[1]))
    assert kept.mean(axis=1) == pytest.approx(table.mean(axis=1), rel=1e-9)
    assert (kept >= 0).all()


def test_the_quantiles_of_whole_tasks_are_kept() -> None:
    table = np.random.default_rng(1).lognormal(size=(3, 1777))
    kept = thinned(table, 200).sum(axis=0)
    whole = table.sum(axis=0)
    for share in (0.1, 0.5, 0.9, 0.99):
        below, above = np.quantile(whole, [share - 0.01, min(share + 0.01, 1)])
        assert below <= np.quantile(kept, share) <= above


def test_parts_that_go_together_still_do() -> None:
    rng = np.random.default_rng(2)
    slow = rng.choice([1.0, 1.5], 3000)
    table = slow * rng.lognormal(sigma=0.05, size=(4, 3000))
    assert np.corrcoef(thinned(table, 100)).min() == pytest.approx(
        np.corrcoef(table).min(), abs=0.1
    )


def test_few_tasks_are_kept_as_they_are_in_order_of_their_time() -> None:
    table = np.array([[3.0, 1.0, 2.0], [0.0, 1.0, 5.0]])
    assert thinned(table, 3).tolist() == [[1.0, 3.0, 2.0], [1.0, 0.0, 5.0]]


def test_a_part_that_the_kept_tasks_lack_keeps_its_mean() -> None:
    table = np.ones((2, 100))
    table[1] = 0.0
    table[1, 7] = 1e-9
    assert thinned(table, 10)[1].mean() == pytest.approx(1e-11)
