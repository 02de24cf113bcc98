"""Schedules in the Trace Event Format, which Perfetto (ui.perfetto.dev) and chrome://tracing show.

"Trace Event Format" (Duca and Sinclair 2016, the catapult project): complete events ``X`` with
``ts`` and ``dur`` in microseconds, metadata ``M``, counters ``C``, nestable asynchronous events
``b`` and ``e``. A "process" of the format is a group of tracks, a "thread" one track.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any

from gilplan.calibration.profile import gilplan_version
from gilplan.model.recorder import State
from gilplan.planner.timelines.schedule import (
    Schedule,
    StateSpan,
    gil_of,
    interpreter_of,
    process_of,
)

MICROSECONDS = 1e6
STATE_NAMES = {
    State.RUNNING: "running",
    State.WAITING_GIL: "waiting for a GIL",
    State.WAITING_CORE: "waiting for a core",
    State.BLOCKED: "blocked",
}

Event = dict[str, Any]


def state_name(state: State) -> str:
    """Return a thread's state in words."""
    return STATE_NAMES.get(state, state.name.lower())


class Group(IntEnum):
    """The groups of tracks that each schedule has, in the order in which they are shown."""

    CORES = 0
    GILS = 1
    THREADS = 2


def trace_document(schedules: Sequence[Schedule]) -> dict[str, Any]:
    """Return a JSON-ready trace: tracks per core, per GIL and per thread of each schedule."""
    return {
        "traceEvents": [
            event
            for index, schedule in enumerate(schedules)
            for event in _Tracks(schedule, 1 + index * len(Group)).events()
        ],
        "displayTimeUnit": "ms",
        "otherData": {
            "version": gilplan_version(),
            "layouts": "; ".join(str(schedule.layout) for schedule in schedules),
            "workload": schedules[0].scenario.workload.name if schedules else "",
            "seed": schedules[0].scenario.seed if schedules else None,
        },
    }


class _Tracks:
    """The events of one schedule, whose groups of tracks are numbered from ``first``."""

    def __init__(self, schedule: Schedule, first: int) -> None:
        self.schedule = schedule
        self.layout = schedule.layout
        self.first = first

    def events(self) -> Iterator[Event]:
        yield from self._names()
        timed = [*self._cores(), *self._gils(), *self._threads(), *self._tasks()]
        yield from sorted(timed, key=lambda event: float(event["ts"]))

    def _names(self) -> Iterator[Event]:
        labels = {Group.CORES: "cores", Group.GILS: "GILs", Group.THREADS: "threads"}
        tracks = {
            Group.CORES: [f"core {core}" for core in range(self.schedule.scenario.cores)],
            Group.GILS: [f"GIL {gil}" for gil in sorted({h.gil for h in self.schedule.holds})],
            Group.THREADS: [self._thread_name(i) for i in self.schedule.threads],
        }
        for group, label in labels.items():
            if not tracks[group]:
                continue
            yield self._named("process_name", group, name=f"{self.layout}  {label}")
            yield self._named("process_sort_index", group, sort_index=self.first + group)
            for index, name in enumerate(tracks[group]):
                yield self._named("thread_name", group, index, name=name)
                yield self._named("thread_sort_index", group, index, sort_index=index)

    def _thread_name(self, thread: int) -> str:
        parts = [f"thread {thread}"]
        if self.layout.interpreters > 1:
            parts.append(f"interpreter {interpreter_of(self.layout, thread)}")
        if self.layout.processes > 1:
            parts.append(f"process {process_of(self.layout, thread)}")
        return ", ".join(parts)

    def _cores(self) -> Iterator[Event]:
        for span in self.schedule.states:
            if span.core is not None:
                yield self._slice(Group.CORES, span.core, f"thread {span.thread}", span)

    def _gils(self) -> Iterator[Event]:
        for hold in self.schedule.holds:
            yield self._slice(Group.GILS, hold.gil, f"thread {hold.thread}", hold)
        waiting = [s for s in self.schedule.states if s.state is State.WAITING_GIL]
        for gil in sorted({gil_of(self.layout, span.thread) or 0 for span in waiting}):
            queue = [span for span in waiting if gil_of(self.layout, span.thread) == gil]
            for at, length in _lengths(queue):
                yield {
                    "ph": "C",
                    "name": f"threads waiting for GIL {gil}",
                    "pid": self.first + Group.GILS,
                    "ts": _microseconds(at),
                    "args": {"threads": length},
                }

    def _threads(self) -> Iterator[Event]:
        for span in self.schedule.states:
            event = self._slice(Group.THREADS, span.thread, state_name(span.state), span)
            if span.core is not None:
                event["args"] = {"core": span.core}
            elif span.state is State.WAITING_GIL:
                event["args"] = {"GIL": gil_of(self.layout, span.thread)}
            yield event

    def _tasks(self) -> Iterator[Event]:
        for index, task in enumerate(self.schedule.tasks):
            common = {
                "cat": "task",
                "name": task.task,
                "id": f"{self.first}.{index}",
                "pid": self.first + Group.THREADS,
                "tid": task.thread,
            }
            yield {"ph": "b", "ts": _microseconds(task.start_at), **common}
            yield {"ph": "e", "ts": _microseconds(task.end_at), **common}

    def _slice(self, group: Group, track: int, name: str, span: Any) -> Event:
        return {
            "ph": "X",
            "name": name,
            "cat": group.name.lower(),
            "pid": self.first + group,
            "tid": track,
            "ts": _microseconds(span.start_at),
            "dur": round(_microseconds(span.end_at) - _microseconds(span.start_at), 3),
        }

    def _named(self, what: str, group: Group, track: int = 0, **args: object) -> Event:
        return {"ph": "M", "name": what, "pid": self.first + group, "tid": track, "args": args}


def _lengths(queue: Iterable[StateSpan]) -> Iterator[tuple[float, int]]:
    """Return the instants at which the number of overlapping spans changes, and the number."""
    changes: dict[float, int] = {}
    for span in queue:
        changes[span.start_at] = changes.get(span.start_at, 0) + 1
        changes[span.end_at] = changes.get(span.end_at, 0) - 1
    length = 0
    for at in sorted(changes):
        length += changes[at]
        yield at, length


def _microseconds(seconds: float) -> float:
    """Return whole nanoseconds, as microseconds."""
    return round(seconds * MICROSECONDS, 3)
