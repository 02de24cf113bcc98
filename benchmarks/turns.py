"""Whose turn it is: how threads that compute share one GIL, measured and simulated.

    .venv/bin/python benchmarks/turns.py [--builds 3.13,3.14] [--time 2] [--json FILE]

Two to eight threads of one interpreter read the clock for ever. A step of more than 25 us between
two readings is a time in which a thread had no GIL or no core; what lies between two steps is a
turn, and turns that follow each other in one thread are one. Of each turn it matters how long it
is, and after how many turns the same thread has the next one: 2 where two pass the GIL to and fro,
as many as there are threads where they take turns fairly. Needs an idle machine with two cores
or more.

Simulated threads read where they run and have the GIL. So a thread that the one who asks has
interrupted, and that comes back only to drop the GIL, has read last before that, here as there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median

from neighbours import (
    Rows,
    answer,
    computing_threads,
    measured_again,
    one_interpreter,
    run,
    timeline_of,
)

from gilplan.calibration.builds import Build
from gilplan.calibration.profile import Profile
from gilplan.model.recorder import State, Timeline
from gilplan.model.workload import Workload

INTERVALS = (1e-4, 5e-4, 1e-3)
THREADS = (2, 3, 4, 5, 8)
#: What is shorter is no turn, and no time between two, ns.
SHORTEST = 25_000
#: Returns after more turns are counted together.
MOST = 8
READERS = f"""
import json, sys, threading, time
count, interval, run_time = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
sys.setswitchinterval(interval)
turns = [[] for _ in range(count)]
go = threading.Event()
def read(add, now=time.perf_counter_ns):
    go.wait()
    start = last = now()
    end = last + run_time * 1e9
    while last < end:
        instant = now()
        if instant - last > {SHORTEST}:
            add((start, last))
            start = instant
        last = instant
threads = [threading.Thread(target=read, args=(mine.append,)) for mine in turns]
for thread in threads:
    thread.start()
go.set()
for thread in threads:
    thread.join()
print(json.dumps(turns))
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """The time in which a thread had the GIL, ns."""

    start: int
    end: int
    thread: int


@dataclass(frozen=True, slots=True)
class Turns:
    """What one run showed: seconds per turn and between two, and how returns are distributed.

    ``returns`` are shares: of the thread that has the next turn, the one after it, and so on, the
    last one of all later ones.
    """

    length: float
    between: float
    returns: tuple[float, ...]

    @classmethod
    def of(cls, turns: Iterable[Turn]) -> "Turns":
        """Sum up turns in any order."""
        long = [turn for turn in turns if turn.end - turn.start >= SHORTEST]
        inorder = sorted(long, key=lambda turn: turn.start)
        groups = [list(group) for _, group in groupby(inorder, key=lambda turn: turn.thread)]
        joined = [Turn(group[0].start, group[-1].end, group[0].thread) for group in groups]
        last: dict[int, int] = {}
        counts: Counter[int] = Counter()
        for number, turn in enumerate(joined):
            if turn.thread in last:
                counts[min(number - last[turn.thread], MOST)] += 1
            last[turn.thread] = number
        total = sum(counts.values())
        return cls(
            length=median(turn.end - turn.start for turn in joined) / 1e9,
            between=median(after.start - turn.end for turn, after in pairwise(joined)) / 1e9,
            returns=tuple(counts[distance] / total for distance in range(2, MOST + 1)),
        )

    def __str__(self) -> str:
        shares = " ".join(f"{share:4.0%}" for share in self.returns)
        return f"turn {self.length * 1e6:5.0f} us, between {self.between * 1e6:3.0f} us, {shares}"


def measured(build: Build, threads: int, interval: float, time: float) -> Turns:
    """Run the readers for real."""
    of_threads = answer(build, READERS, threads, interval, time)
    return Turns.of(
        Turn(start, end, number) for number, turns in enumerate(of_threads) for start, end in turns
    )


def simulated(profile: Profile, build: str, threads: int, interval: float, time: float) -> Turns:
    """Let as many threads compute in the model, as long."""
    workload = Workload(name="spin", tasks=computing_threads(1), build=build)
    layout = one_interpreter(profile, build, interval, threads=threads)
    timeline = timeline_of(profile, workload, layout, time)
    turns = [turn for number in range(threads) for turn in merged(reads(timeline, number))]
    return Turns.of(turns)


def reads(timeline: Timeline, thread: int) -> Iterator[Turn]:
    """Yield the stretches in which a simulated thread has the GIL and a core, in order.

    Not the last of a turn, if it has only come back to drop the GIL.
    """
    changes = [(at, who == thread, None) for at, _, who in timeline.gils]
    changes += [(at, True, state) for at, who, state, _ in timeline.threads if who == thread]
    holds, interrupted, since = False, False, None
    for at, mine, state in sorted(changes, key=lambda change: change[0]):
        if state is None:
            if since is not None and not (interrupted and at - since < SHORTEST):
                yield Turn(since, at, thread)
            holds, interrupted, since = mine, False, at if mine else None
        elif state is State.WAITING_CORE and since is not None:
            yield Turn(since, at, thread)
            interrupted, since = True, None
        elif holds and state is State.RUNNING and since is None:
            since = at


def merged(turns: Iterable[Turn]) -> list[Turn]:
    """Join stretches of one thread between which it does not miss the GIL or the core for long."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and turn.start - joined[-1].end <= SHORTEST:
            joined[-1] = replace(joined[-1], end=turn.end)
        else:
            joined.append(turn)
    return joined


def compare(build: Build, profile: Profile, time: float) -> Rows:
    """Measure and simulate every cell of one build."""
    rows: Rows = []
    print("share of turns after which the thread has the next one: 2, 3, ... and", MOST, "or later")
    cells = [(threads, interval) for interval in INTERVALS for threads in THREADS]
    seen = [measured(build, *cell, time) for cell in cells]
    profile = measured_again(profile)
    for (threads, interval), real in zip(cells, seen, strict=True):
        model = simulated(profile, build.name, threads, interval, time)
        for kind, turns in (("measured", real), ("simulated", model)):
            rows.append(
                {
                    "build": build.name,
                    "threads": threads,
                    "switch_interval": interval,
                    "kind": kind,
                    "turn": turns.length,
                    "between": turns.between,
                    "returns": turns.returns,
                }
            )
            print(
                f"{build.name:9} {threads} at {interval * 1e3:3g} ms {kind:9}: {turns}", flush=True
            )
    return rows


if __name__ == "__main__":
    run(compare, "How threads that compute share a GIL.", time=2.0)
