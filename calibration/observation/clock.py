"""The clock method: CPU time against wall time, and what a thread beside the task has to miss.

What blocks is wall time without CPU time. How much of the rest holds the GIL is seen by a second
thread of bytecode, which wants the GIL all the time and runs whenever the task does not hold it:
the processor time that it misses is the time that the task held the GIL, and a little at each
hand-over, which is measured beside a task that only sleeps. (Two copies of the task tell less:
on N cores, any held share below 1/N lets N of them run without waiting.)
"""

from statistics import mean, median

from gilplan.calibration.builds import Build
from gilplan.calibration.observation.observed_task import Seen, simple_task
from gilplan.calibration.observation.probes import MethodUnavailable
from gilplan.calibration.observation.target import Target

#: Share of the time that a thread may wait for a core before clocks tell nothing.
BUSY = 0.05


def observe_by_clock(target: Target, build: Build, *, limit: float) -> Seen:
    """Time tasks by turns alone and beside a thread of bytecode.

    Raises `MethodUnavailable` on a build without a GIL, on a single core, and on a machine whose
    cores are taken by other programs: a thread that waits for a core may or may not miss the GIL
    meanwhile.
    """
    if build.free_threaded:
        raise MethodUnavailable("a build without a GIL shows no held share by clocks")
    answer = target.phase("beside", limit=limit)
    if answer["cores"] < 2:
        raise MethodUnavailable("clocks need two cores, one for the task and one beside it")
    queued = median(each["tasks"]["queued"] for each in answer["rounds"]) / 1e9
    if queued > BUSY * answer["seconds"]:
        raise MethodUnavailable(
            f"other programs take the cores ({queued / answer['seconds']:.0%} of the time a thread "
            "waited for one): try again on a quiet machine"
        )
    alone = [each["alone"] for each in answer["rounds"]]
    times = [time for each in alone for time in each["times"]]
    wall = mean(each for each, _ in times) / 1e9
    busy = mean(each for _, each in times) / 1e9
    waited = sum(each["queued"] for each in alone) / len(times) / 1e9
    blocked = max(wall - busy - waited, 0.0)
    shares = [held_share(each) for each in answer["rounds"]]
    # The middle one, for a busy machine spoils a round now and then; all five hold the median of
    # rounds with a probability of 94 %.
    held, low, high = median(shares), min(shares), max(shares)
    notes = (
        f"beside a thread of bytecode the task keeps it from the GIL for {held:.0%} of its "
        f"processor time (90 % interval {low:.0%} to {high:.0%})",
        "one release of each kind per task is assumed",
    )
    busy_share, blocked_share = busy / (busy + blocked), blocked / (busy + blocked)
    active = [each / 1e9 * (busy + blocked) / wall for each, _ in times]
    return Seen(
        tasks=tuple(
            simple_task(
                held * busy_share * length,
                (1 - held) * busy_share * length,
                blocked_share * length,
            )
            for length in active
        ),
        notes=notes,
        held_of_busy=(low, high),
    )


def held_share(measured: dict[str, dict[str, float]]) -> float:
    """Return the share of its processor time for which a task holds the GIL, from one round.

    Both times are of that round: a core may be half as fast again in the next one.
    """
    tasks = measured["tasks"]
    busy = tasks["cpu"] / tasks["tasks"] / 1e9
    return min(held_time(measured) / busy, 1.0) if busy > 0 else 0.0


def held_time(measured: dict[str, dict[str, float]]) -> float:
    """Return the seconds for which a task holds the GIL, from one round.

    ``measured``: beside ``sleeps`` and beside ``tasks``, the nanoseconds ``missed``, the number
    of ``tasks`` and of ``blocks`` of their thread, each of which is a hand-over.
    """
    sleeps, tasks = measured["sleeps"], measured["tasks"]
    handover = sleeps["missed"] / max(sleeps["blocks"], 1)
    missed = tasks["missed"] - handover * tasks["blocks"]
    return max(missed, 0.0) / tasks["tasks"] / 1e9
