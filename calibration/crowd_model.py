"""The crowd's measurement (harness/crowd.py) done in the model, for what hand-offs alone cost.

Part of what threads pay for each other's turns the model knows: signals, wake-ups, time-outs. How
much that is depends on how often the program gives up the GIL, how often somebody waits for it
then, and for how long. What is measured beyond it is put down to cold caches, by solving for the
slow-downs with which the model shows the measured processor time.

Two threads have a core each, so that at every hand-off the GIL comes from another core. Four form
pairs that pass it to and fro on one core for a while, each off for one turn of the other's; of
eight each is off for more turns. What they lose is put down to that. At an interval much shorter
than a task nothing ever gets warm; at a longer one part of each turn runs warm, which gives how
much work is slower.

A control that leaves nothing in the caches goes through the same. What it pays more than the
model says, or less, is the model's error at each switch that a waiter forces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

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
from gilplan.model.workload import Segment, SegmentKind, Task, Workload

#: A simulated crowd runs at least so long, seconds, and each thread for so many turns and tasks.
LEAST_TIME, TURNS, TASKS = 0.1, 12, 15
#: As many threads have a core each.
PAIR = 2
#: Seconds of work that are slow: those tried.
WARM_UPS = (5e-5, 1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3)
#: The slow-downs depend on each other.
ROUNDS = 3
#: By how much a slow-down is changed to see its slope, and at most at once.
STEP, LONGEST_STEP = 0.3, 0.5
#: A slow-down that hardly shows is changed as if it showed so much.
LEAST_SLOPE = 0.05
#: Tries at each; processor time grows nearly in proportion.
TRIES = 4
#: Relative to the processor time alone.
TOLERANCE = 0.002
#: A slow-down beyond this is taken for an error of the model's, not for cold caches.
MOST_SLOWDOWN = 2.0
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

        Two threads give what a GIL from another core costs, many threads what the time off the
        cores does, and short beside long intervals for how much work.
        """
        if not points or self._signals_in_vain(workload):
            return None
        return _Fit(self, workload, points).best()

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

    def cost(self, workload: Workload, threads: int, interval: float) -> CrowdCost:
        """Return what a task costs each of so many threads of one interpreter, simulated.

        Without a GIL each has a process of its own, as in the measurement.
        """
        without_gil = self.runtime.free_threaded
        layout = Layout(
            build=self.runtime.build,
            processes=threads if without_gil else 1,
            threads=1 if without_gil else threads,
            gil=GilMode.DISABLED if without_gil else GilMode.SHARED,
            switch_interval=interval,
        )
        time = max(LEAST_TIME, threads * max(TURNS * interval, TASKS * workload.mean_demand()))
        run = Run(
            Scenario(
                workload=workload,
                arrivals=Closed(),
                layout=layout,
                runtime=self.runtime,
                machine=self.machine,
                run_time=time,
                seed=0,
            )
        )
        tasks = run.to_end().completions
        return CrowdCost(
            task_time=sum(each.thread.processor_time for each in run.workers) / tasks / 1e9,
            forced_switches=sum(gil.forced_switches for gil in run.gils) / tasks,
        )


class _Fit:
    """One program's crowds: each step solves for one figure, the others given."""

    def __init__(self, model: CrowdModel, workload: Workload, points: Sequence[CrowdPoint]) -> None:
        self._model = model
        self._workload = workload
        self._points = points
        self._pairs = _by_interval(points, PAIR)
        counts = sorted({point.threads for point in points} - {PAIR})
        self._crowds = [_by_interval(points, count) for count in counts] or [self._pairs]
        self._alone = model.cost(workload, 1, points[0].interval).task_time
        self._stretch = _stretch(workload)

    def best(self) -> ColdStart:
        """Return the slow-downs, and the work that they last for, with the least excess.

        The work is tried out: solved for together with the slow-downs it may run away, for a short
        and great slow-down costs a long turn as much as a long and small one.
        """
        tried = []
        found = self._beginning()
        for warm_up in WARM_UPS:
            found = replace(found, warm_up=warm_up)
            for _ in range(ROUNDS):
                found = self._with_slowdowns(self._with_moved(found))
            tried.append((sum(self._excess(point, found) ** 2 for point in self._points), found))
        return min(tried, key=lambda each: each[0])[1]

    def _beginning(self) -> ColdStart:
        """Return warm caches."""
        quick = [points[0] for points in self._crowds]
        return ColdStart(
            off_times=tuple(_turns_off(point.threads) * point.hold_time for point in quick),
            slowdowns=(0.0,) * len(quick),
            warm_up=WARM_UPS[0],
        )

    def _with_moved(self, found: ColdStart) -> ColdStart:
        """Solve for what a GIL from another core costs, by least squares of the pairs' excess."""
        if not self._pairs:
            return found
        weights = self._pair_weights(found)

        def excess(moved: float) -> float:
            tried = replace(found, moved=moved)
            return float(weights @ [self._excess(pair, tried) for pair in self._pairs])

        return replace(found, moved=_root(excess, MOST_SLOWDOWN))

    def _with_slowdowns(self, found: ColdStart) -> ColdStart:
        """Come nearer to what time off the cores costs, by least squares of the crowds' excess.

        How much a slow-down shows depends on how often the greater one of a GIL from another core
        hides it: the slope is tried out, with a step beyond what runs differ by themselves.
        """
        slowdowns = list(found.slowdowns)
        for number, points in enumerate(self._crowds):
            excess = np.array([self._excess(point, found) for point in points])
            before = found.slowdowns[number]
            tried = before + (STEP if before + STEP <= MOST_SLOWDOWN else -STEP)
            other = (*found.slowdowns[:number], tried, *found.slowdowns[number + 1 :])
            stepped = replace(found, slowdowns=other)
            later = np.array([self._excess(point, stepped) for point in points])
            slopes = np.maximum((later - excess) / (tried - before), LEAST_SLOPE)
            change = -float(slopes @ excess / (slopes @ slopes))
            change = min(max(change, -LONGEST_STEP), LONGEST_STEP)
            slowdowns[number] = min(max(before + change, 0.0), MOST_SLOWDOWN)
        return replace(found, slowdowns=tuple(slowdowns))

    def _pair_weights(self, found: ColdStart) -> Floats:
        """Return what to weight each pair's excess by to step towards the least squares.

        Of a turn of length t, which ends with the interval or when the thread gives up the GIL, w
        of the work is slower by s and takes w (1 + s): a task takes t / (t - w s) of its time, in
        turns that are cold to their end 1 + s. The derivative by s is the square of that ratio,
        which is about the one that was measured, times w / t, or one.
        """
        turns = np.array([min(pair.hold_time, self._stretch) for pair in self._pairs])
        ratios = np.maximum([pair.ratio for pair in self._pairs], 1.0)
        slopes = np.where(found.warm_up * ratios >= turns, 1.0, ratios**2 * found.warm_up / turns)
        return np.asarray(slopes / (slopes @ slopes))

    def _excess(self, point: CrowdPoint, cold_start: ColdStart) -> float:
        """Return how much more processor time the model shows than was measured, of that alone."""
        workload = replace(self._workload, cold_start=cold_start)
        crowded = self._model.cost(workload, *point.condition)
        error = crowded.forced_switches * self._model.switch_error(point.condition)
        return (crowded.task_time + error) / self._alone - point.ratio


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


def _by_interval(points: Sequence[CrowdPoint], threads: int) -> list[CrowdPoint]:
    return sorted((p for p in points if p.threads == threads), key=lambda p: p.interval)


def _turns_off(threads: int) -> int:
    """Return how many turns of others a thread is off for, when half of them share its core."""
    return max(threads // PAIR - 1, 1)


def _root(excess: Callable[[float], float], most: float) -> float:
    """Return where ``excess`` (growing, nearly straight) is zero: 0 to ``most``, at an end if not.

    Secant steps from 0, the first one towards where a slope of one would lead.
    """
    before, at_before = 0.0, excess(0.0)
    if at_before >= -TOLERANCE:
        return 0.0
    guess = min(-at_before, most)
    for _ in range(TRIES):
        at_guess = excess(guess)
        if abs(at_guess) <= TOLERANCE or at_guess == at_before:
            break
        step = -at_guess * (guess - before) / (at_guess - at_before)
        if guess >= most and step > 0:
            break
        before, at_before = guess, at_guess
        guess = min(max(guess + step, 0.0), most)
    return guess
