"""The clock method: CPU time against wall time, and two threads against one.

What blocks is wall time without CPU time. How much of the rest holds the GIL is not to be seen
by clocks; but two threads slow each other down the more, the more they need it. The model says
by how much for each held share, and the share that explains the measured ratio is found by
bisection.
"""

from statistics import mean, stdev
from typing import Any

from gilplan.calibration.builds import Build
from gilplan.calibration.observation.observed_task import Seen, simple_task
from gilplan.calibration.observation.probes import MethodUnavailable
from gilplan.calibration.observation.target import Target
from gilplan.calibration.profile import Profile
from gilplan.model.durations import Deterministic
from gilplan.model.layout import GilMode, Layout
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.workload import Segment, SegmentKind, Task, Workload

STEPS = 10
TASKS_PER_RUN = 150
INTERVALS_PER_RUN = 60


def observe_by_clock(
    target: Target, plain: dict[str, Any], build: Build, profile: Profile | None, *, limit: float
) -> Seen:
    """Time tasks alone and in two threads; return them with the shares that explain both.

    Raises `MethodUnavailable` on a build without a GIL, on one core, or without a profile.
    """
    if build.free_threaded:
        raise MethodUnavailable("a build without a GIL shows no held share by clocks")
    if profile is None:
        raise MethodUnavailable("it needs a profile: run `gilplan calibrate` first")
    if profile.machine.cores < 2:
        raise MethodUnavailable("two threads cannot run at once on one core")
    times = plain["times"]
    wall = sum(each for each, _ in times) / len(times) / 1e9
    busy = sum(each for _, each in times) / len(times) / 1e9
    blocked = max(wall - busy - plain["queued_ns"] / len(times) / 1e9, 0.0)
    answer = target.phase("copies", limit=limit)
    ratios = [two / one for one, two in zip(answer["one"], answer["two"], strict=True)]
    spread = 2.13 * stdev(ratios) / len(ratios) ** 0.5  # Student's t, 5 rounds, 90 %
    model = _Model(busy, blocked, profile, build)
    held = model.held_share(mean(ratios))
    low, high = model.held_share(mean(ratios) + spread), model.held_share(mean(ratios) - spread)
    notes = (
        f"two threads do {mean(ratios):.3f} times the tasks of one; the held share of the "
        f"processor time that explains it is {held:.2f} (90 % interval {low:.2f} to {high:.2f})",
        "one release of each kind per task is assumed",
    )
    scales = [each / 1e9 / wall for each, _ in times]
    return Seen(
        tasks=tuple(
            simple_task(held * busy * scale, (1 - held) * busy * scale, blocked * scale)
            for scale in scales
        ),
        notes=notes,
        held_of_busy=(low, high),
    )


class _Model:
    """What two threads would do against one, for each held share of the processor time."""

    def __init__(self, busy: float, blocked: float, profile: Profile, build: Build) -> None:
        self.busy, self.blocked = busy, blocked
        self.machine, self.runtime = profile.machine, profile.runtime(build.name)

    def held_share(self, ratio: float) -> float:
        """Return the share at which the model gives the ratio, an end where none does."""
        low, high = 0.0, 1.0
        for _ in range(STEPS):
            middle = (low + high) / 2
            if self.ratio(middle) > ratio:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    def ratio(self, held: float) -> float:
        return self._throughput(held, 2) / self._throughput(held, 1)

    def _throughput(self, held: float, threads: int) -> float:
        parts = (
            (SegmentKind.PYTHON, held * self.busy),
            (SegmentKind.RELEASED_NATIVE, (1 - held) * self.busy),
            (SegmentKind.WAIT, self.blocked),
        )
        task = Task(
            name="task",
            segments=tuple(
                Segment(kind=kind, duration=Deterministic(time)) for kind, time in parts if time > 0
            ),
        )
        layout = Layout(build=self.runtime.build, threads=threads, gil=GilMode.SHARED)
        run_time = max(
            TASKS_PER_RUN * (self.busy + self.blocked),
            INTERVALS_PER_RUN * layout.effective_switch_interval,
        )
        scenario = Scenario(
            workload=Workload(name="task", tasks=(task,)),
            layout=layout,
            runtime=self.runtime,
            machine=self.machine,
            run_time=run_time,
            seed=0,
        )
        completed = simulate(scenario).completed_at
        late = completed[completed > 0.1 * run_time]
        if len(late) < 2:
            return len(completed) / run_time
        return float((len(late) - 1) / (late[-1] - late[0]))
