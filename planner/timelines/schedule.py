"""One simulated schedule as spans of time: threads and their states, GILs and their holders."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from gilplan.model.arrivals import Batch, Recorded
from gilplan.model.checks import require_positive
from gilplan.model.layout import GilMode, Layout
from gilplan.model.recorder import State, Timeline
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate

#: Of a replication, which is long enough for its means: enough for every rhythm to show.
SHARE_OF_RUN = 0.2
NANOSECOND = 1e-9
Span = TypeVar("Span", "StateSpan", "HoldSpan", "TaskSpan")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpan:
    """Thread ``thread`` was in ``state``, on ``core`` if it was running."""

    start_at: float
    end_at: float
    thread: int
    state: State
    core: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSpan:
    """Thread ``thread`` held GIL ``gil``."""

    start_at: float
    end_at: float
    gil: int
    thread: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpan:
    """A task called ``task``, from its arrival to its completion by ``thread``."""

    start_at: float
    end_at: float
    thread: int
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What happened in ``[start_at, end_at]`` of one replication, in order of start.

    Instants in seconds since the start of the run; the first ones show the run's warm-up.
    """

    scenario: Scenario
    start_at: float
    end_at: float
    states: tuple[StateSpan, ...]
    holds: tuple[HoldSpan, ...]
    tasks: tuple[TaskSpan, ...]

    @property
    def layout(self) -> Layout:
        return self.scenario.layout

    @property
    def threads(self) -> tuple[int, ...]:
        """The numbers of all threads, in order."""
        return tuple(sorted({span.thread for span in self.states}))

    @property
    def has_gil(self) -> bool:
        return self.layout.gil is not GilMode.DISABLED

    def between(self, start_at: float, end_at: float) -> "Schedule":
        """Return the part between two instants; what reaches beyond is cut off there."""
        return replace(
            self,
            start_at=max(start_at, self.start_at),
            end_at=min(end_at, self.end_at),
            states=cut(self.states, start_at, end_at),
            holds=cut(self.holds, start_at, end_at),
            tasks=cut(self.tasks, start_at, end_at),
        )


def simulate_schedule(scenario: Scenario, *, time: float | None = None) -> Schedule:
    """Run the scenario once and return what every thread, GIL and core did until ``time``.

    None: a fifth of the scenario's run time. A batch or a recorded stream that ends earlier ends
    the schedule. Raises `InvalidValue` for a time that is not positive.
    """
    end_at = scenario.run_time * SHARE_OF_RUN if time is None else time
    require_positive("time", end_at)
    timeline = Timeline()
    # A batch runs to its own end, and the instants of a recorded stream are what they are.
    fixed = isinstance(scenario.arrivals, Batch | Recorded)
    run = simulate(scenario if fixed else replace(scenario, run_time=end_at), timeline)
    end_at = min(end_at, run.run_time)
    end = round(run.run_time / NANOSECOND)
    names = [task.name for task in scenario.workload.tasks]
    whole = Schedule(
        scenario=scenario,
        start_at=0.0,
        end_at=run.run_time,
        states=tuple(_states(timeline, scenario.layout.workers, end)),
        holds=tuple(_holds(timeline, end)),
        tasks=tuple(
            TaskSpan(
                start_at=arrived * NANOSECOND, end_at=at * NANOSECOND,
                thread=thread, task=names[kind],
            )
            for at, thread, kind, arrived in timeline.completions
        ),
    )  # fmt: skip
    return whole.between(0.0, end_at)


def process_of(layout: Layout, thread: int) -> int:
    """Return the process that worker thread ``thread`` belongs to."""
    return thread // (layout.threads * layout.interpreters)


def interpreter_of(layout: Layout, thread: int) -> int:
    """Return the interpreter of a worker thread, counted over all processes."""
    return thread // layout.threads


def gil_of(layout: Layout, thread: int) -> int | None:
    """Return the GIL that a worker thread takes; None in a free-threaded build."""
    if layout.gil is GilMode.DISABLED:
        return None
    own = layout.gil is GilMode.OWN
    return interpreter_of(layout, thread) if own else process_of(layout, thread)


def _states(timeline: Timeline, threads: int, end: int) -> list[StateSpan]:
    """Return the spans of all threads; each is blocked until it is first heard of."""
    spans: list[StateSpan] = []
    known = {*range(threads), *(thread for _, thread, _, _ in timeline.threads)}
    now: dict[int, tuple[int, State, int | None]] = dict.fromkeys(
        sorted(known), (0, State.BLOCKED, None)
    )

    def close(thread: int, at: int) -> None:
        began, state, core = now[thread]
        if at > began:
            spans.append(
                StateSpan(
                    start_at=began * NANOSECOND,
                    end_at=at * NANOSECOND,
                    thread=thread,
                    state=state,
                    core=core if state is State.RUNNING else None,
                )
            )

    for at, thread, state, core in timeline.threads:
        close(thread, at)
        now[thread] = (at, state, core)
    for thread in now:
        close(thread, end)
    return sorted(spans, key=lambda span: (span.start_at, span.thread))


def _holds(timeline: Timeline, end: int) -> list[HoldSpan]:
    spans: list[HoldSpan] = []
    held: dict[int, tuple[int, int]] = {}
    passed = [*timeline.gils, *((end, gil, None) for gil in {gil for _, gil, _ in timeline.gils})]
    for at, gil, thread in passed:
        began, holder = held.pop(gil, (at, -1))
        if at > began:
            spans.append(
                HoldSpan(
                    start_at=began * NANOSECOND, end_at=at * NANOSECOND, gil=gil, thread=holder
                )
            )
        if thread is not None:
            held[gil] = (at, thread)
    return sorted(spans, key=lambda span: (span.start_at, span.gil))


def cut(spans: Iterable[Span], start_at: float, end_at: float) -> tuple[Span, ...]:
    """Return the parts of the spans that lie between two instants."""
    return tuple(
        replace(span, start_at=max(span.start_at, start_at), end_at=min(span.end_at, end_at))
        for span in spans
        if span.end_at > start_at and span.start_at < end_at
    )
