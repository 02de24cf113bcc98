"""Kernels that pack threads onto few cores: one that wakes goes where others are, if it has room.

An idle core of a virtual machine is dear to wake, for its host has taken it away. So some kernels
made for virtual machines leave it asleep while busy cores have room. The rule here is that of such
a kernel (Linux 6.18 with ``sched_vcpu_pack``), found from outside: benchmarks/placement.py shows
it, and so do traces of the scheduler's events (ftrace, read by hand).

A thread stays on its last core if another runs there and leaves room (1,392 of 1,392 wake-ups by a
thread on another core, beside two that share a GIL); else it goes to its waker's if that has room,
be the last one idle or not. Where neither has, and the last one is busy, the search for an idle
core goes on as elsewhere (`Placement`); where that finds none, a busy core with room is taken.

A core has *room* if less than a share of it is used, the thread included. What is used is the
greater of two of the kernel's figures (`cpu_util`):

- `util_avg`, how much of late the threads ran that are at home on it; one that goes to another core
  takes its past along;
- `util_est`, what the threads that run or wait there usually use. Usually is as much as when a
  thread last went to sleep, if that was more than before, and else a mean over its last sleeps;
  but the mean does not fall by a sleep before which it had to wait for its core, for then it would
  have used more (`util_est_update`).

Approximation: the kernel takes no mean of what runs for less than its period of 1 ms.
"""

from gilplan.model.core import Core
from gilplan.model.thread import Thread

#: By less than this the usual use does not change (`UTIL_EST_MARGIN`).
MARGIN = 0.01
#: What the last use counts for in the mean (`UTIL_EST_WEIGHT_SHIFT`).
WEIGHT = 0.25


class Packing:
    """Knows how much of each core is used. ``room`` is the share of it up to which it has room."""

    def __init__(self, room: float) -> None:
        self._room = room

    def has_room(self, core: Core, thread: Thread) -> bool:
        """Whether a thread that wakes finds room on the core."""
        used = core.utilisation.average()
        if thread.last_core is not core:
            used += thread.utilisation.average()
        return max(used, core.usual_utilisation + thread.usual_utilisation) < self._room

    def wake(self, core: Core, thread: Thread) -> None:
        """Count the thread among those that run or wait on the core."""
        core.usual_utilisation += thread.usual_utilisation

    def leave(self, core: Core, thread: Thread) -> None:
        """Count it no longer."""
        core.usual_utilisation -= thread.usual_utilisation

    def sleep(self, core: Core, thread: Thread) -> None:
        """Count it no longer, and learn from how much it has used."""
        self.leave(core, thread)
        usual = thread.usual_utilisation
        used = thread.utilisation.average()
        if used > usual:
            thread.usual_utilisation = used
        elif usual - used >= MARGIN and used + MARGIN >= thread.load.average():
            thread.usual_utilisation -= WEIGHT * (usual - used)

    def move(self, thread: Thread, donor: Core, core: Core) -> None:
        """Let the past of a thread that changes its core go with it."""
        used = thread.utilisation.average()
        donor.utilisation.shift(-used)
        core.utilisation.shift(used)
