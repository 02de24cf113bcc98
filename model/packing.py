"""Kernels that pack threads onto few cores: one that wakes goes where others are, if it has room.

An idle core of a virtual machine is dear to wake, for its host has taken it away. So some kernels
made for virtual machines leave it asleep while busy cores have room. The rule here is that of such
a kernel (Linux 6.18 with ``sched_vcpu_pack``), found from outside: benchmarks/placement.py shows
it, and so do traces of the scheduler's events (ftrace, read by hand).

A thread stays on its last core if another runs there and leaves room (1,392 of 1,392 wake-ups by a
thread on another core, beside two that share a GIL); else it goes to its waker's if that has room,
be the last one idle or not. Where neither has, and the last one is busy, the search for an idle
core goes on as elsewhere (`Placement`); where that finds none, a busy core with room is taken.

A core has *room* if less than a share of it is used (`core_use`), the thread included.

Approximation: the kernel takes no mean of what runs for less than its period of 1 ms.
"""

from gilplan.model.core import Core
from gilplan.model.thread import Thread


class Packing:
    """Knows which cores have room. ``room`` is the share of a core up to which it has."""

    def __init__(self, room: float) -> None:
        self._room = room

    def has_room(self, core: Core, thread: Thread) -> bool:
        """Whether a thread that wakes finds room on the core."""
        used = core.utilisation.average()
        if thread.last_core is not core:
            used += thread.utilisation.average()
        return max(used, core.usual_utilisation + thread.usual_utilisation) < self._room
