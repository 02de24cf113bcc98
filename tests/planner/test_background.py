"""Threads beside the workers: one that computes for ever makes an I/O thread wait for the GIL."""

from dataclasses import replace

import pytest

from gilplan.calibration.profile import Profile
from gilplan.calibration.workload_file import parse_workload
from gilplan.calibration.workload_writer import to_toml
from gilplan.model.durations import Deterministic
from gilplan.model.errors import InvalidValue
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner.predictions import predict

WAIT = 1e-3
IO = Task(
    name="echo",
    segments=(
        Segment(kind=SegmentKind.WAIT, duration=Deterministic(WAIT)),
        Segment(kind=SegmentKind.PYTHON, duration=Deterministic(2e-5)),
    ),
)
SPIN = Task(name="spin", segments=(Segment(kind=SegmentKind.PYTHON, duration=Deterministic(0.05)),))
ALONE = Workload(name="echo", tasks=(IO,))
BESIDE = replace(ALONE, background=(SPIN,))


def cycle(workload: Workload, layout: str, profile: Profile) -> float:
    """Seconds per request of one I/O thread."""
    (prediction,) = predict(workload, [layout], profile, max_replications=4)
    return 1 / prediction.throughput.mean


@pytest.mark.parametrize("interval", [1e-3, 5e-3, 2e-2])
def test_io_thread_waits_one_interval_for_each_re_take(profile: Profile, interval: float) -> None:
    layout = f"3.13:switch_interval={interval * 1e3:g}ms"
    added = cycle(BESIDE, layout, profile) - cycle(ALONE, layout, profile)
    # The timer's slack and the hand-off come on top; some answers are ready before a turn ends.
    assert 0.9 * interval < added < interval + 4e-4


def test_each_interpreter_has_its_own_threads_beside(profile: Profile) -> None:
    layouts = ["3.13", "3.13:interpreters=2,gil=own"]
    one, two = predict(BESIDE, layouts, profile, max_replications=4)
    assert two.throughput.mean == pytest.approx(2 * one.throughput.mean, rel=0.1)


def test_background_is_not_counted_as_tasks(profile: Profile) -> None:
    (prediction,) = predict(BESIDE, ["3.13"], profile, max_replications=4)
    assert prediction.throughput.mean * (WAIT + 5e-3) == pytest.approx(1.0, rel=0.15)


def test_background_is_read_back_from_the_file() -> None:
    assert parse_workload(to_toml(BESIDE))[0] == BESIDE


def test_background_of_no_time_at_all_is_refused() -> None:
    nothing = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(0.0))
    with pytest.raises(InvalidValue, match="background"):
        replace(ALONE, background=(Task(name="nothing", segments=(nothing,)),))
