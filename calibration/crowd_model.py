"""The crowd's measurement (harness/crowd.py) done in the model, for what hand-offs alone cost.

Part of what threads pay for each other's turns the model knows: signals, wake-ups, time-outs. How
much that is depends on how often the program gives up the GIL, how often somebody waits for it
then, and for how long. What is measured beyond it is put down to cold caches, by solving for the
slow-downs with which the model shows the measured processor time.

Two threads on two cores tell what a GIL costs that comes from another core. Two, four and eight
that share one core tell what the turns of one, three and seven others do to its caches, and a short
beside a long interval how that fades: on one core turns last for a tick of the scheduler, however
short the interval. Many threads on all cores have both, and short turns.

A control that leaves nothing in the caches goes through the same. What it pays more than the
model says, or less, is the model's error at each switch that a waiter forces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from scipy.optimize import least_squares

from gilplan.calibration.crowd import Condition, CrowdPoint
from gilplan.calibration.fits import Floats
from gilplan.model.arrivals import Closed
from gilplan.model.bounds import Demands
from gilplan.model.cold_start import ColdStart
from gilplan.model.durations import Deterministic
from gilplan.model.latency import usual_latency_by_idle_time
from gilplan.model.layout import GilMode, Layout
from gilplan.model.machine import Machine
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import Run
from gilplan.model.streams import to_ns
from gilplan.model.workload import Segment, SegmentKind, Task, Workload

#: A simulated crowd runs at least so long, seconds, and each thread for so many turns and tasks.
LEAST_TIME, TURNS, TASKS = 0.1, 12, 15
#: On several cores not the first of it counts: so long the kernel takes a machine that has just set
#: up a program for a busy one, and looks for no idle core (model/idle_search.py), seconds.
SETTLING_TIME = 0.12
#: Where the search for a cold start may begin, and how far it goes: slow-down after one other,
#: growth with their number, slow-down of a GIL from another core, logarithm of the seconds of work
#: after which they have halved. From the one with which the points are met best: a search ends in
#: the nearest valley, and the short and the long fading have one each.
BEGINNINGS = tuple(np.array([0.3, 0.5, 0.3, np.log(halved)]) for halved in (4e-4, 1.5e-3))
LEAST, MOST = np.array([0.0, 0.0, 0.0, np.log(5e-5)]), np.array([3.0, 1.0, 3.0, np.log(1e-2)])
#: By how much each is changed to see what it does: far more than runs differ by themselves.
STEPS = np.array([0.1, 0.2, 0.1, 0.4])
#: How often they are changed together, at most.
TRIES = 8
#: What the points say nothing of stays where it began, as if a point said so with this weight.
HELD = np.array([0.0, 0.01, 0.0, 0.01])
#: For how long a core was idle, in ns, when its thread had just begun to wait for the GIL.
HARDLY_IDLE = 10_000
#: What the control's task takes, about.
CONTROL_TIME = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdCost:
    """Per task: processor time in seconds, and how often a waiter forced a switch."""

    task_time: float
    forced_switches: float


@dataclass(slots=True)
class CrowdModel:
    """Crowds under one build; ``controls`` are the ratios of `control_ratios`."""

    runtime: Runtime
    machine: Machine
    controls: Mapping[Condition, float]
    _errors: dict[Condition, float] = field(default_factory=dict)

    def cold_start(self, points: Sequence[CrowdPoint], workload: Workload) -> ColdStart | None:
        """Return the slow-downs with which the model shows what was measured.

        None without a point, and of a program that gives up the GIL sooner than a waiter takes to
        wake up: what its signals in vain cost cannot be told from cold caches.
        """
        if not points or self._signals_in_vain(workload):
            return None
        alone = self.cost(workload, 1, points[0].interval).task_time
        measured = np.array([point.ratio for point in points])
        told = _told_by(points)

        @cache
        def ratio(shown: ColdStart, condition: Condition) -> float:
            return self.ratio(workload, shown, condition, alone)

        def missed(figures: Floats) -> Floats:
            tried = _cold_start(told * figures)
            ratios = [ratio(_shown_by(p.condition, tried), p.condition) for p in points]
            errors: Floats = np.array(ratios) / measured - 1
            return errors

        beginning = min(BEGINNINGS, key=lambda figures: float(np.sum(missed(figures) ** 2)))

        def excess(figures: Floats) -> Floats:
            return np.concatenate((missed(figures), HELD * (figures - beginning)))

        def slopes(figures: Floats) -> Floats:
            steps = np.where(figures + STEPS <= MOST, STEPS, -STEPS)
            stepped = (figures + np.diag(steps)).tolist()
            changes = [excess(np.array(each)) for each in stepped] - excess(figures)
            return (changes / steps[:, None]).T

        limits, scales = (LEAST, MOST), STEPS
        found = least_squares(
            excess, beginning, jac=slopes, bounds=limits, x_scale=scales, max_nfev=TRIES
        )
        return _cold_start(told * found.x)

    def _signals_in_vain(self, workload: Workload) -> bool:
        """Return whether the GIL is taken back before the one who was signalled is awake."""
        latency = usual_latency_by_idle_time(self.machine.wake_latency)(HARDLY_IDLE)
        return not self.runtime.free_threaded and _stretch(workload) * 1e9 < latency

    def switch_error(self, condition: Condition) -> float:
        """Return the processor time that the control takes more, per forced switch, in seconds."""
        if condition not in self._errors:
            control = _control()
            alone = self.cost(control, 1, condition[1]).task_time
            crowded = self.cost(control, *condition)
            missing = self.controls[condition] * alone - crowded.task_time
            switches = crowded.forced_switches
            self._errors[condition] = missing / switches if switches else 0.0
        return self._errors[condition]

    def ratio(
        self, workload: Workload, cold_start: ColdStart, condition: Condition, alone: float
    ) -> float:
        """Return a task's processor time in a crowd over that ``alone``, as measured."""
        crowded = self.cost(replace(workload, cold_start=cold_start), *condition)
        error = crowded.forced_switches * self.switch_error(condition)
        return (crowded.task_time + error) / alone

    def cost(self, workload: Workload, threads: int, interval: float, cores: int = 1) -> CrowdCost:
        """Return what a task costs each of so many threads of one interpreter, simulated.

        On so many ``cores``, 0 is all that the machine has. Without a GIL each has a process of its
        own, as in the measurement.
        """
        without_gil = self.runtime.free_threaded
        layout = Layout(
            build=self.runtime.build,
            processes=threads if without_gil else 1,
            threads=1 if without_gil else threads,
            gil=GilMode.DISABLED if without_gil else GilMode.SHARED,
            switch_interval=interval,
            cores=cores or None,
        )
        time = max(LEAST_TIME, threads * max(TURNS * interval, TASKS * workload.mean_demand()))
        settling = 0.0 if cores == 1 else SETTLING_TIME
        run = Run(
            Scenario(
                workload=workload,
                arrivals=Closed(),
                layout=layout,
                runtime=self.runtime,
                machine=self.machine,
                run_time=settling + time,
                seed=0,
            )
        )
        if settling:
            run.env.run(until=to_ns(settling))
        before = _totals(run)
        run.to_end()
        processor_time, switches, tasks = _totals(run) - before
        return CrowdCost(task_time=processor_time / tasks / 1e9, forced_switches=switches / tasks)


def _totals(run: Run) -> Floats:
    """Return the threads' processor time in ns, the forced switches and the tasks until now."""
    processor_time = sum(each.thread.processor_time for each in run.workers)
    switches = sum(gil.forced_switches for gil in run.gils)
    return np.array([processor_time, switches, len(run.log.completed_at)], dtype=float)


def _told_by(points: Sequence[CrowdPoint]) -> Floats:
    """Return 0 for a slow-down that no point can show, 1 for the other figures."""
    crowded = any(point.threads > point.cores for point in points)
    moved = any(point.cores != 1 for point in points)
    return np.array([crowded, True, moved, True], dtype=float)


def _shown_by(condition: Condition, cold_start: ColdStart) -> ColdStart:
    """Return the cold start without what a crowd cannot show: so it is simulated once for all.

    On one core no GIL comes from another, and of two threads each has but one other.
    """
    threads, _, cores = condition
    return replace(
        cold_start,
        growth=0.0 if threads == 2 else cold_start.growth,
        moved=0.0 if cores == 1 else cold_start.moved,
    )


def _cold_start(figures: Floats) -> ColdStart:
    crowded, growth, moved, log_halved_after = map(float, figures)
    return ColdStart(
        crowded=crowded, growth=growth, moved=moved, halved_after=float(np.exp(log_halved_after))
    )


def _control() -> Workload:
    computing = Segment(
        name="compute", kind=SegmentKind.PYTHON, duration=Deterministic(CONTROL_TIME)
    )
    return Workload(name="control", tasks=(Task(name="control", segments=(computing,)),))


def _stretch(workload: Workload) -> float:
    """Return for how long the GIL is held between two releases, in seconds."""
    held = workload.mean_demand(SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)
    releases = Demands.of(workload).releases
    return held / releases if releases else float("inf")
