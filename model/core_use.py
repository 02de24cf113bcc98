"""How much of each core is used, as Linux estimates it (`cpu_util_cfs`, kernel/sched/fair.c, 6.18).

It takes the greater of two figures:

- `util_avg`, how much of late the threads ran that are at home on the core; one that goes to
  another core takes its past along;
- `util_est`, what the threads that run or wait there at this moment usually use. Usually is as much
  as when a thread last went to sleep, if that was more than before, and else a mean over its last
  sleeps; but the mean does not fall by a sleep before which it had to wait for its core, for then
  it would have used more (`util_est_update`).

So what threads usually use, once they wait for cores, only rises. And since they are counted where
they wait, two that meet on a core count twice: a program behind one GIL, which never runs more than
one thread for long, looks like one that fills more than a core.

What a thread used when it goes to sleep is what the kernel knew at the last tick, or when the
thread began to run: it looks before it books the run (`dequeue_task_fair`).
"""

from gilplan.model.core import Core
from gilplan.model.thread import Thread

#: By less than this the usual use does not change (`UTIL_EST_MARGIN`).
MARGIN = 0.01
#: What the last use counts for in the mean (`UTIL_EST_WEIGHT_SHIFT`).
WEIGHT = 0.25


def used(core: Core) -> float:
    """Return how much of the core is used, 1 being all of it."""
    return max(core.utilisation.average(), core.usual_utilisation)


def arrive(core: Core, thread: Thread) -> None:
    """Count the thread among those that run or wait on the core."""
    core.usual_utilisation += thread.usual_utilisation


def leave(core: Core, thread: Thread) -> None:
    """Count it no longer."""
    core.usual_utilisation -= thread.usual_utilisation


def learn(thread: Thread, *, known_at: int) -> None:
    """Let a thread that goes to sleep have used what it had at ``known_at``, or at its start."""
    usual = thread.usual_utilisation
    known = thread.utilisation.average_at(known_at)
    if known > usual:
        thread.usual_utilisation = known
    elif usual - known >= MARGIN and known + MARGIN >= thread.load.average_at(known_at):
        thread.usual_utilisation -= WEIGHT * (usual - known)
