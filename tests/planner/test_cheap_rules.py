"""The rules of thumb, where their answer is known."""

import pytest

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Arrivals, Closed, Open
from gilplan.model.cheap_rules import (
    amdahl,
    asymptotic_bound,
    cheap_rules,
    one_interval,
    processor_sharing,
)
from gilplan.model.durations import Deterministic
from gilplan.model.scenario import Scenario
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner.predict import scenarios_for

HELD = (SegmentKind.PYTHON, 1e-3)
RELEASED = (SegmentKind.RELEASED_NATIVE, 3e-3)
WAIT = (SegmentKind.WAIT, 9e-3)


def scenario(
    profile: Profile,
    layout: str,
    *parts: tuple[SegmentKind, float],
    arrivals: Arrivals | None = None,
) -> Scenario:
    segments = tuple(Segment(kind=kind, duration=Deterministic(time)) for kind, time in parts)
    workload = Workload(name="w", tasks=(Task(name="t", segments=segments),))
    return scenarios_for(workload, [layout], profile, arrivals=arrivals)[0]


def test_one_worker_does_one_task_per_demand_by_every_rule(profile: Profile) -> None:
    alone = scenario(profile, "3.13", HELD, RELEASED, WAIT)
    for name, throughput in cheap_rules(alone).items():
        assert throughput == pytest.approx(1 / 13e-3), name


def test_bytecode_is_bound_by_its_gils(profile: Profile) -> None:
    assert asymptotic_bound(scenario(profile, "3.13:threads=4", HELD)) == pytest.approx(1000)
    assert asymptotic_bound(scenario(profile, "3.13:interpreters=2", HELD)) == pytest.approx(2000)
    assert asymptotic_bound(scenario(profile, "3.13t:threads=4", HELD)) == pytest.approx(2000)


def test_arrivals_bound_the_throughput(profile: Profile) -> None:
    slow = scenario(profile, "3.13:threads=4", HELD, arrivals=Open(rate=50))
    assert asymptotic_bound(slow) == 50
    few = Closed(population=3, think_time=Deterministic(9e-3))
    assert asymptotic_bound(
        scenario(profile, "3.13:threads=2", HELD, arrivals=few)
    ) == pytest.approx(300)


def test_amdahl_takes_the_held_share_as_serial(profile: Profile) -> None:
    two = scenario(profile, "3.13:threads=2", HELD, RELEASED)
    assert amdahl(two) == pytest.approx(1 / (0.25 + 0.75 / 2) / 4e-3)


def test_processor_sharing_is_the_machine_repairman_without_released_work(
    profile: Profile,
) -> None:
    shared = scenario(profile, "3.13:threads=2", HELD, WAIT)
    # Two machines, one repairman, exponential times of 9 ms and 1 ms.
    offered = 1 / 9
    idle = 1 / (1 + 2 * offered + 2 * offered**2)
    assert processor_sharing(shared) == pytest.approx((1 - idle) / 1e-3)


def test_each_reacquire_beside_other_threads_waits_one_interval(profile: Profile) -> None:
    fast = scenario(profile, "3.13:threads=2,switch_interval=1ms", HELD, WAIT)
    assert one_interval(fast) == pytest.approx(2 / (10e-3 + 1e-3))
    assert one_interval(scenario(profile, "3.13t:threads=2", HELD, WAIT)) == pytest.approx(
        2 / 10e-3
    )
