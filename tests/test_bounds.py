"""The cheap rules against values computed by hand."""

import pytest

from gilplan.model.bounds import amdahl, gil_count, one_interval_rule, processor_sharing
from gilplan.model.durations import Deterministic
from gilplan.model.errors import InvalidValue
from gilplan.model.layout import GilMode, Layout
from gilplan.model.workload import Segment, SegmentKind, Task, Workload


def workload(**times: float) -> Workload:
    """A task of one segment per kind: held 4 ms, released 6 ms and so on."""
    segments = tuple(
        Segment(kind=SegmentKind(kind), duration=Deterministic(time))
        for kind, time in times.items()
    )
    return Workload(name="w", tasks=(Task(name="t", segments=segments),))


MIXED = workload(python=0.004, released_native=0.006)
BLOCKING = workload(python=0.001, wait=0.009)


def layout(gil: GilMode = GilMode.OWN, **shape: int) -> Layout:
    return Layout(build="3.13.0", gil=gil, **shape)


@pytest.mark.parametrize(
    ("shape", "gil", "gils"),
    [
        ({"threads": 4}, GilMode.OWN, 1),
        ({"interpreters": 4, "threads": 2}, GilMode.OWN, 4),
        ({"interpreters": 4, "threads": 2}, GilMode.SHARED, 1),
        ({"processes": 3, "interpreters": 2}, GilMode.SHARED, 3),
        ({"processes": 3, "interpreters": 2}, GilMode.OWN, 6),
        ({"threads": 4}, GilMode.DISABLED, 4),
    ],
)
def test_gils_of_a_layout(shape, gil, gils):
    assert gil_count(layout(gil, **shape)) == gils


def test_all_rules_agree_on_one_worker():
    alone = layout()
    for rule in (amdahl, processor_sharing, one_interval_rule):
        assert rule(MIXED, alone, 4) == pytest.approx(100)


def test_amdahl_takes_the_held_share_as_serial():
    # 4 threads on 4 cores: 1 / (0.4 + 0.6 / 4) = 1.818 times one thread's 100 tasks/s.
    assert amdahl(MIXED, layout(threads=4), 4) == pytest.approx(100 / (0.4 + 0.6 / 4))


def test_amdahl_counts_no_more_workers_than_cores():
    assert amdahl(MIXED, layout(threads=8), 2) == amdahl(MIXED, layout(threads=2), 2)


def test_amdahl_of_processes_is_linear_up_to_the_cores():
    assert amdahl(MIXED, layout(processes=2), 2) == pytest.approx(200)
    assert amdahl(MIXED, layout(processes=8), 2) == pytest.approx(200)


def test_processor_sharing_is_limited_by_workers_then_gil_then_cores():
    assert processor_sharing(MIXED, layout(threads=2), 8) == pytest.approx(200)
    assert processor_sharing(MIXED, layout(threads=8), 8) == pytest.approx(1 / 0.004)
    assert processor_sharing(MIXED, layout(threads=8), 2) == pytest.approx(2 / 0.010)
    assert processor_sharing(MIXED, layout(GilMode.DISABLED, threads=8), 4) == pytest.approx(400)


def test_processor_sharing_overlaps_blocked_time():
    assert processor_sharing(BLOCKING, layout(threads=4), 2) == pytest.approx(4 / 0.010)
    assert processor_sharing(BLOCKING, layout(threads=40), 2) == pytest.approx(1 / 0.001)


def test_one_interval_rule_adds_an_interval_per_release():
    # 10 ms of work and one release: 2 / (10 ms + 5 ms).
    assert one_interval_rule(MIXED, layout(threads=2), 8) == pytest.approx(2 / 0.015)
    assert one_interval_rule(MIXED, layout(processes=2), 8) == pytest.approx(200)


@pytest.mark.parametrize("rule", [amdahl, processor_sharing, one_interval_rule])
def test_zero_cores_are_refused(rule):
    with pytest.raises(InvalidValue, match="cores must be"):
        rule(MIXED, layout(), 0)
