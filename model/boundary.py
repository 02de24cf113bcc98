"""What it costs to hand work over: to an executor's worker and back, to an event loop's tasks.

A task that another worker does passes six places. Each costs processor time, some of it under
the GIL of the main interpreter, where everything that is submitted has to pass:

=========  ===============================  ==========================================
place      who, under whose GIL             what
=========  ===============================  ==========================================
submit     the submitting thread, main's    make the future, put the task into a queue
forward    a helper thread, main's          interpreter: pickle the call; process: pickle
                                            it and write it to a pipe (the feeder thread)
receive    the worker, its own              get the task, make its objects again
reply      the worker, its own              make the result fit to travel, send it
back       a helper thread, main's          interpreter: make the result's objects;
                                            process: read the pipe, unpickle, set the result
collect    the submitting thread, main's    take the result from where it arrived
=========  ===============================  ==========================================

In a `ThreadPoolExecutor` there is one GIL and no helper: ``forward`` and ``back`` are nothing.
Bytes of the payload count on the way in (submit, forward, receive) and out (the others).
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from gilplan.model.checks import require_finite
from gilplan.model.estimate import Estimate
from gilplan.model.workload import Task

NOTHING = Estimate.exact(0.0, "no such place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toll:
    """Processor time that one place takes of each task: per task, and per byte of payload.

    ``released_share`` of the time passes in system calls on pipes, without the GIL.
    """

    time: Estimate
    byte_time: Estimate
    released_share: Estimate = NOTHING

    def of(self, payload: float) -> float:
        """Return the seconds for a task with so many bytes."""
        return self.time.value + payload * self.byte_time.value

    def redrawn(self, rng: np.random.Generator) -> "Toll":
        return Toll(
            time=self.time.redrawn(rng),
            byte_time=self.byte_time.redrawn(rng),
            released_share=self.released_share.redrawn(rng),
        )


FREE = Toll(time=NOTHING, byte_time=NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The tolls of one kind of executor, by place.

    ``poll_interval`` is how long one who finds the queue empty sleeps before he looks again
    (the standard library's cross-interpreter queue: 10 ms); 0: he is woken.
    ``round_trip`` is what one task that does nothing took there and back when no other was
    under way: measured, for comparison; no prediction uses it.
    """

    submit: Toll
    forward: Toll = FREE
    receive: Toll
    reply: Toll
    back: Toll = FREE
    collect: Toll
    poll_interval: float = 0.0
    round_trip: Estimate

    def __post_init__(self) -> None:
        require_finite("poll_interval", self.poll_interval)

    @property
    def tolls(self) -> dict[str, Toll]:
        """The six places in the order in which a task passes them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name in PLACES}

    def redrawn(self, rng: np.random.Generator) -> "Boundary":
        """Return the boundary with each toll redrawn from its estimates."""
        tolls: dict[str, Any] = {name: toll.redrawn(rng) for name, toll in self.tolls.items()}
        return replace(self, **tolls)


PLACES = ("submit", "forward", "receive", "reply", "back", "collect")


def payload(task: Task, place: str) -> float:
    """Return the bytes of a task that count at a place: on its way in, or on its way out."""
    return task.payload_in if place in ("submit", "forward", "receive") else task.payload_out


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopCosts:
    """What asyncio's event loop costs: a round of it, and a task's return from a wait."""

    round_time: Estimate
    resume_time: Estimate

    def redrawn(self, rng: np.random.Generator) -> "LoopCosts":
        return LoopCosts(
            round_time=self.round_time.redrawn(rng), resume_time=self.resume_time.redrawn(rng)
        )
