"""Observing a callable: the best method that this machine and this user allow."""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any

from gilplan.calibration.builds import Build
from gilplan.calibration.observation.clock import observe_by_clock
from gilplan.calibration.observation.exact import observe_exactly
from gilplan.calibration.observation.fitted_workload import TaskTraits, fitted_tasks
from gilplan.calibration.observation.observation import Observation, observed_from
from gilplan.calibration.observation.observed_task import Seen, typical_held
from gilplan.calibration.observation.probes import MethodUnavailable
from gilplan.calibration.observation.residual import Interruption, interruption
from gilplan.calibration.observation.sampling import observe_by_sampling
from gilplan.calibration.observation.sizes import Sizes
from gilplan.calibration.observation.target import WARM_UP, Target, check_target, started
from gilplan.model.checks import require_count, require_positive
from gilplan.model.errors import MeasurementFailed
from gilplan.model.estimate import Estimate
from gilplan.model.workload import Workload

#: What a phase may take beyond its time and a few tasks.
PHASE_LIMIT = 20.0
#: Share of CPU time by other threads above which the reader is told.
NOTICEABLE = 0.05
#: A stretch with the GIL that is uninterruptible for this share of its length is one C call.
NATIVE = 0.8


class Method(StrEnum):
    """How a program is observed, best first."""

    EXACT = "exact"
    SAMPLING = "sampling"
    CLOCK = "clock"


LONG_NAMES = {
    Method.EXACT: "perf uprobes",
    Method.SAMPLING: "the GIL's state read from outside",
    Method.CLOCK: "clocks, and a thread of bytecode beside",
}


def observe(
    target: str,
    build: Build,
    *,
    method: Method | None = None,
    time: float = 2.0,
    tasks: int | None = None,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> Observation:
    """Observe ``target`` ("file.py:function" or "module:function") under ``build``.

    Each phase takes about ``time`` seconds or ``tasks`` tasks. Without ``method`` the best one
    that can be used here; the notes say why a better one could not.

    Raises `InvalidValue` for a target that is not there, `MeasurementFailed` when it fails, does
    not end or cannot be observed.
    """
    check_target(target)
    require_positive("time", time)
    if tasks is not None:
        require_count("tasks", tasks)
    progress(f"calling {target} under {build.name}", 0.0)
    with started(build, target, time=time, tasks=tasks) as (child, loaded):
        limit = time + WARM_UP + PHASE_LIMIT + 6 * loaded["took"]
        progress("timing tasks without probes", 0.1)
        plain = child.phase("plain", limit=limit)
        session = _Session(child, build, plain, limit, progress)
        seen, used = session.seen(method)
        progress("measuring how late the GIL is handed over", 0.7)
        interrupted = session.interruption()
        progress("weighing the call, its result and what it allocates", 0.9)
        sizes = Sizes.of(child.phase("sizes", limit=limit))
    name = target.rpartition(":")[2] or target
    notes = (*seen.notes, *_warnings(loaded, plain))
    return _observation(name, build, used, seen, interrupted, sizes, notes)


class _Session:
    """The target under observation, and what the methods need."""

    def __init__(
        self,
        target: Target,
        build: Build,
        plain: dict[str, Any],
        limit: float,
        progress: Callable[[str, float], None],
    ) -> None:
        self.target, self.build, self.plain = target, build, plain
        self.limit, self.progress = limit, progress

    def seen(self, method: Method | None) -> tuple[Seen, Method]:
        """Use the method, or the first that can be used."""
        reasons: list[str] = []
        for candidate in [method] if method else list(Method):
            self.progress(f"observing: {candidate} method", 0.3)
            try:
                seen = self._by(candidate)
            except MethodUnavailable as error:
                if method:
                    raise
                reasons.append(f"{candidate} method not used: {error}")
                continue
            return replace(seen, notes=(*reasons, *seen.notes)), candidate
        raise MeasurementFailed("no method can be used: " + "; ".join(reasons))

    def _by(self, method: Method) -> Seen:
        if method is Method.EXACT:
            return observe_exactly(self.target, self.plain, limit=self.limit)
        if method is Method.SAMPLING:
            return observe_by_sampling(self.target, limit=self.limit)
        return observe_by_clock(self.target, self.build, limit=2 * self.limit)

    def interruption(self) -> Interruption:
        if self.build.free_threaded:
            return Interruption(None, 0.0)
        answer = self.target.phase("residual", limit=self.limit)
        return interruption(answer["rounds"])


def _observation(
    name: str,
    build: Build,
    method: Method,
    seen: Seen,
    interrupted: Interruption,
    sizes: Sizes,
    notes: tuple[str, ...],
) -> Observation:
    source = f"{method}: {LONG_NAMES[method]}, {len(seen.tasks)} tasks"
    observed = observed_from(
        method,
        [task.totals for task in seen.tasks],
        source,
        seen.held_of_busy,
        uninterruptible_time=interrupted.length,
        payload_in=sizes.payload_in,
        payload_out=sizes.payload_out,
    )
    observed = replace(observed, allocation_rate=sizes.allocation_rate(observed))
    native = interrupted.uninterruptible is not None and (
        interrupted.typical >= NATIVE * typical_held(seen.tasks)
    )
    if interrupted.uninterruptible is not None:
        late = f"{interrupted.p90 * 1e3:.3g} ms late (90 % of requests)"
        notes = (*notes, f"the GIL is handed over up to {late}")
    traits = TaskTraits(
        payload_in=_value(observed.payload_in),
        payload_out=_value(observed.payload_out),
        allocation_rate=_value(observed.allocation_rate),
        uninterruptible=None if native else interrupted.uninterruptible,
        held_native=native,
    )
    workload = Workload(
        name=name,
        tasks=fitted_tasks(name, seen.tasks, traits),
        build=build.name,
        source=source,
        live_objects=float(sizes.live),
        observed=observed,
    )
    return Observation(workload=workload, notes=(*notes, *sizes.notes))


def _value(estimate: Estimate | None) -> float:
    return 0.0 if estimate is None else float(f"{estimate.value:.4g}")


def _warnings(loaded: dict[str, Any], plain: dict[str, Any]) -> list[str]:
    """Say what the target does that a workload cannot hold."""
    notes = []
    if loaded["printed"]:
        notes.append("the task prints: its output was thrown away")
    if loaded["threads"] or loaded["process_tasks"]:
        count = max(loaded["threads"], loaded["process_tasks"])
        notes.append(f"{count} other threads live in the process: their work is left out")
    busy = sum(cpu for _, cpu in plain["times"])
    if plain["others_cpu_ns"] > NOTICEABLE * busy + 5e6:
        share = plain["others_cpu_ns"] / (busy + plain["others_cpu_ns"])
        notes.append(f"other threads use {share:.0%} of the processor time: it is left out")
    if loaded["children"] or plain["children_cpu"] > 0:
        notes.append("the task starts processes: their work is left out")
    return notes
