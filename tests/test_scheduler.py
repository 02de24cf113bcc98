"""What the kernel says of its scheduler."""

import pytest

from gilplan.calibration import scheduler
from gilplan.calibration.scheduler import read_base_slice, read_tick, scaled_slice


@pytest.mark.parametrize(
    ("cores", "slice_time"), [(1, 0.0007), (2, 0.0014), (4, 0.0021), (8, 0.0028), (64, 0.0028)]
)
def test_default_slice_grows_with_the_logarithm_of_the_cpus(cores: int, slice_time: float):
    assert scaled_slice(cores) == pytest.approx(slice_time)


def test_this_kernel_tells_a_slice_and_a_tick():
    assert 1e-4 <= read_base_slice(2) <= 0.1
    assert any(read_tick() == pytest.approx(1 / hz, rel=0.01) for hz in (100, 250, 300, 1000))


def test_slice_follows_the_rule_where_the_kernel_does_not_tell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scheduler, "SCHED_GETATTR", {})
    assert read_base_slice(4) == pytest.approx(0.0021)
