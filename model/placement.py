"""Where a thread that wakes goes: Linux's search for a core (kernel/sched/fair.c, 6.18).

First it chooses between the thread's last core and its waker's: the last one if that is idle, else
the one with the lighter load (`wake_affine_weight`). Threads that wake one another thus gather on
a core. A waker that says it is about to sleep, as one does that writes to a socket or a pipe,
counts as gone: alone on its core, it has the thread come there (`wake_affine_idle`). But where one
of the two wakes far more threads in turn than the other, the last core stands (`wake_wide`): a
server that also hands a GIL to others does not draw its client to its core.

Then `select_idle_sibling` takes the first of these that is idle:

1. the core chosen;
2. the one on which it had run before it last went to another (`recent_used_cpu`);
3. one of the others, looked at in turn, as many as `IdleSearch` says.

Where it finds none the thread waits on the core chosen, even beside an idle one: threads of a
program that uses most of its cores wait for each other although there is room. An idle core that
counts as one that the host took away (`vcpu_is_preempted`) is no idle one for either look.

Approximation: the cores share one last-level cache. A kernel that packs threads onto few cores does
not choose by load, but by room (`Packing`).
"""

from collections.abc import Callable, Sequence

from gilplan.model.core import Core
from gilplan.model.idle_search import IMBALANCE, IdleSearch
from gilplan.model.packing import Packing
from gilplan.model.thread import Thread

#: By half of that the last core is favoured (`WA_BIAS`).
BIAS = 1 + (IMBALANCE - 1) / 2


class Placement:
    """Chooses cores for threads that wake.

    ``cores_searched`` is how many share the last-level cache, those that the layout may not use
    included, ``idle_search`` how many of them are looked at; ``stays()`` draws whether an idle core
    is taken for a busy one (1); ``packing`` knows which have room, where the kernel asks for that.
    """

    def __init__(
        self,
        cores: Sequence[Core],
        *,
        cores_searched: int,
        idle_search: IdleSearch,
        stays: Callable[[], int],
        packing: Packing | None = None,
    ) -> None:
        self._cores = cores
        self._cores_searched = cores_searched
        self._idle_search = idle_search
        self._stays = stays
        self._packing = packing

    def core_for(
        self,
        thread: Thread,
        waker: Thread | None,
        *,
        sync: bool = False,
        dozing: Thread | None = None,
    ) -> Core:
        """Return the core on which the thread is to run or to wait.

        ``waker`` is the one who wakes it, None for a timer's interrupt (a deed of whom it
        interrupts), ``sync`` whether that one says that it is about to sleep (`WF_SYNC`).
        ``dozing`` has not left its core yet, although it does nothing there any more. One that
        lingers in a queue stays there. The threads of an interpreter have all set up on the same
        core when they start: one after the other, behind its GIL.
        """
        last = thread.last_core or self._cores[thread.interpreter % len(self._cores)]
        if thread.lingers:
            return last
        current = waker or last.thread
        if current is not None:
            current.wakees.record(thread)
        beside = last if waker is None or waker.core is None else waker.core
        busy = last.thread is not None or (dozing is not None and dozing.last_core is last)
        if busy and self._has_room(last, thread):
            return last
        if beside is not last and self._has_room(beside, thread):
            return beside
        if not busy:
            return last
        chosen = last
        if waker is not None and beside is not last and self._affine(waker, thread):
            chosen = self._lighter(thread, last, beside, sync=sync)
        recent, thread.recent_core = thread.recent_core, last
        if recent in (last, chosen):
            recent = None
        if recent is not None and self._available(recent):
            return recent
        count = len(self._cores)
        for step in range(1, min(self._idle_search.length(), count - 1) + 1):
            core = self._cores[(chosen.index + step) % count]
            if core is not recent and self._available(core):
                return core
        for core in self._cores:
            if core.thread is not None and self._has_room(core, thread):
                return core
        return chosen

    def _lighter(self, thread: Thread, last: Core, waker: Core, *, sync: bool) -> Core:
        mine = thread.load.average()
        with_waker = waker.load.average() + mine
        if sync and waker.thread is not None:
            if not waker.queue.waiting():
                return waker
            with_waker -= waker.thread.load.average()
        return waker if with_waker < BIAS * (last.load.average() - mine) else last

    def _has_room(self, core: Core, thread: Thread) -> bool:
        return self._packing is not None and self._packing.has_room(core, thread)

    def _affine(self, waker: Thread, thread: Thread) -> bool:
        wide = waker.wakees.differ_widely(thread.wakees, cores=self._cores_searched)
        return self._packing is None and not wide

    def _available(self, core: Core) -> bool:
        return core.thread is None and not self._stays()
