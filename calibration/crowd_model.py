"""The crowd's measurement (harness/crowd.py) done in the model, for what hand-offs alone cost.

Part of what threads pay for each other's turns the model knows: signals, wake-ups, time-outs. How
much that is depends on how often the program gives up the GIL, how often somebody waits for it
then, and for how long. What is measured beyond it is put down to cold caches, by solving for the
slow-downs with which the model shows the measured processor time.

Two threads have a core each, so that at every hand-off the GIL comes from another core. Eight
mostly follow one another on the same core, and are off for longer: what they lose is put down to
that. At an interval much shorter than a task nothing ever gets warm; at a longer one part of each
turn runs warm, which gives how much work is slower.

A control that leaves nothing in the caches goes through the same. What it pays more than the
model says, or less, is the model's error at each switch that a waiter forces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gilplan.calibration.crowd import Condition, CrowdPoint
from gilplan.model.arrivals import Closed
from gilplan.model.bounds import Demands
from gilplan.model.cold_start import ColdStart
from gilplan.model.durations import Deterministic
from gilplan.model.layout import GilMode, Layout
from gilplan.model.machine import Machine
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import Run
from gilplan.model.workload import Segment, SegmentKind, Task, Workload

#: A simulated crowd runs at least so long, seconds, and each thread for so many turns and tasks.
LEAST_TIME, TURNS, TASKS = 0.1, 12, 15
#: The slow-downs and the work that they last for depend on each other.
ROUNDS = 4
#: Off times are mostly shorter than the one that the slow-down is given for.
GAIN = 1.5
#: Tries at each; processor time grows nearly in proportion.
TRIES = 4
#: Relative to the processor time alone.
TOLERANCE = 0.002
#: A slow-down beyond this is taken for an error of the model's, not for cold caches.
MOST_SLOWDOWN = 2.0
#: Seconds between two releases of the GIL.
SHORTEST_HOLD = 1e-5
#: Seconds of work that are slow at least.
LEAST_WARM_UP = 3e-5
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

        None without a point, and of a program that gives up the GIL all the time: what its
        hand-offs cost cannot be told from cold caches.

        Two threads at a short interval give what a GIL from another core costs, many threads what
        the time off the cores does, and both at a long interval for how much work.
        """
        held = workload.mean_demand(SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)
        if not points or held < SHORTEST_HOLD * Demands.of(workload).releases:
            return None
        fit = _Fit(self, workload, points)
        found = fit.beginning()
        for _ in range(ROUNDS):
            found = fit.with_warm_up(fit.with_slowdown(fit.with_moved(found)))
        return found

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
        """Return what a task costs each of so many threads of one interpreter, simulated."""
        layout = Layout(
            build=self.runtime.build,
            threads=threads,
            gil=GilMode.DISABLED if self.runtime.free_threaded else GilMode.SHARED,
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
        self._pairs = _by_interval(points, 2)
        self._crowds = _by_interval(points, max(point.threads for point in points))
        self._alone = model.cost(workload, 1, points[0].interval).task_time

    def beginning(self) -> ColdStart:
        """Return warm caches."""
        quick = self._crowds[0]
        off_time = (quick.threads - 1) * quick.hold_time
        return ColdStart(off_times=(off_time,), slowdowns=(0.0,), warm_up=quick.interval)

    def with_moved(self, found: ColdStart) -> ColdStart:
        """Solve for what a GIL from another core costs."""
        if not self._pairs:
            return found
        quick = self._pairs[0]
        moved = _root(lambda x: self._excess(quick, replace(found, moved=x)), MOST_SLOWDOWN)
        return replace(found, moved=moved)

    def with_slowdown(self, found: ColdStart) -> ColdStart:
        """Come nearer to what time off the cores costs.

        Many threads' runs differ too much for secants: what is missing is added.
        """
        (slowdown,) = found.slowdowns
        slowdown -= GAIN * self._excess(self._crowds[0], found)
        return replace(found, slowdowns=(min(max(slowdown, 0.0), MOST_SLOWDOWN),))

    def with_warm_up(self, found: ColdStart) -> ColdStart:
        """Solve for the work that is slow."""
        slow = [points[-1] for points in (self._pairs, self._crowds) if len(points) > 1]
        if not slow or not (found.moved or found.slowdowns[0]):
            return found
        span = self._crowds[-1].interval - LEAST_WARM_UP

        def at(share: float) -> ColdStart:
            return replace(found, warm_up=LEAST_WARM_UP + share * span)

        def excess(share: float) -> float:
            return sum(self._excess(point, at(share)) for point in slow) / len(slow)

        return at(_root(excess, 1.0))

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


def _by_interval(points: Sequence[CrowdPoint], threads: int) -> list[CrowdPoint]:
    return sorted((p for p in points if p.threads == threads), key=lambda p: p.interval)


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
