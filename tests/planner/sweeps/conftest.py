"""What the tests of sweeps share: a small workload, and a grid whose points take little time."""

from collections.abc import Callable
from functools import partial

import pytest

from gilplan.calibration.profile import Profile
from gilplan.model.durations import Exponential
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner import sweep
from gilplan.planner.sweeps.sweep import Sweep

COMPUTE = Segment(kind=SegmentKind.PYTHON, name="compute", duration=Exponential(1e-3))
FETCH = Segment(kind=SegmentKind.WAIT, name="fetch", duration=Exponential(1e-3))


@pytest.fixture(scope="session")
def workload() -> Workload:
    task = Task(name="request", segments=(COMPUTE, FETCH))
    return Workload(name="small", tasks=(task,), build="3.13.0")


@pytest.fixture(scope="session")
def run(workload: Workload, profile: Profile) -> Callable[..., Sweep]:
    """Sweep 12 points of four replications each, as told by further arguments."""
    return partial(
        sweep,
        workload,
        ["3.13:threads=2", "3.13:interpreters=2"],
        profile,
        grid={"population": "2,4", "switch_interval": "1ms:5ms:log:3"},
        precision=0.99,
        max_replications=4,
    )


@pytest.fixture(scope="session")
def serial(run: Callable[..., Sweep]) -> Sweep:
    """The same points, one after the other in this process."""
    return run()
