"""Observers of a run: who ran, who held which GIL, who waited for what, and when.

The engine asks nothing of an observer and never waits for one; without a recorder the only cost
is one comparison with None where a thread changes its state or a GIL its holder.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol


class State(IntEnum):
    """What a thread is doing, or a task; the index of its time in every breakdown.

    ``QUEUED`` is a task's alone: it is on its way between two threads, or waits for its turn in
    an event loop.
    """

    RUNNING = 0
    WAITING_GIL = 1
    WAITING_CORE = 2
    BLOCKED = 3
    QUEUED = 4


class Recorder(Protocol):
    """What the engine tells an observer. Instants are integer nanoseconds."""

    def thread_entered(self, at: int, thread: int, state: State, core: int | None) -> None:
        """Thread ``thread`` entered ``state``, on ``core`` if it is on one."""

    def gil_passed(self, at: int, gil: int, thread: int | None) -> None:
        """Thread ``thread`` took GIL ``gil``; None: it was dropped."""

    def task_completed(self, at: int, thread: int, task: int, arrived_at: int) -> None:
        """Thread ``thread`` completed a task of kind ``task``."""


@dataclass(slots=True)
class Timeline:
    """A recorder that keeps every change in order, for pictures and for tests of the protocol.

    ``threads``: (at, thread, state, core); ``gils``: (at, gil, thread or None);
    ``completions``: (at, thread, task, arrived_at).
    """

    threads: list[tuple[int, int, State, int | None]] = field(default_factory=list)
    gils: list[tuple[int, int, int | None]] = field(default_factory=list)
    completions: list[tuple[int, int, int, int]] = field(default_factory=list)

    def thread_entered(self, at: int, thread: int, state: State, core: int | None) -> None:
        self.threads.append((at, thread, state, core))

    def gil_passed(self, at: int, gil: int, thread: int | None) -> None:
        self.gils.append((at, gil, thread))

    def task_completed(self, at: int, thread: int, task: int, arrived_at: int) -> None:
        self.completions.append((at, thread, task, arrived_at))
