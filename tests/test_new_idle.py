"""How often a core that falls idle looks for a thread to take."""

import numpy as np
import pytest

from gilplan.model.clock import Clock
from gilplan.model.new_idle import SIDES, NewIdle
from gilplan.model.thread import Thread


def looks(success_rate: float, count: int = 40_000) -> tuple[float, float]:
    """Return how often it looks, and how often it takes one, of the second half of ``count``."""
    rng = np.random.default_rng(1)
    thread = Thread(Clock(), index=0)
    looked: list[int] = []
    new_idle = NewIdle(lambda: int(rng.integers(0, SIDES)))
    taken = []
    for number in range(count):

        def pull(number: int = number) -> Thread | None:
            looked.append(number)
            return thread if rng.random() < success_rate else None

        taken.append(new_idle.look(pull) is not None)
    half = count // 2
    return sum(number >= half for number in looked) / half, sum(taken[half:]) / half


@pytest.mark.parametrize("success_rate", [0.2, 0.5, 0.8])
def test_looks_in_proportion_to_its_success(success_rate: float):
    looked, taken = looks(success_rate)
    assert looked == pytest.approx(success_rate, rel=0.25)
    assert taken == pytest.approx(success_rate**2, rel=0.3)


def test_looks_three_times_in_four_where_it_always_finds():
    # The kernel's integers: what counts for 1.33 is taken as 1, and so it stays.
    assert looks(1.0) == (pytest.approx(0.75, abs=0.02), pytest.approx(0.75, abs=0.02))


def test_hardly_looks_where_it_never_finds():
    looked, taken = looks(0.0)
    assert 0 < looked < 0.02
    assert taken == 0
