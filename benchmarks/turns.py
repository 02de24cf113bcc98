"""Whose turn it is: how threads that compute share one GIL, measured and simulated.

    .venv/bin/python benchmarks/turns.py [--builds 3.13,3.14] [--time 2] [--json FILE]

Two to eight threads of one interpreter read the clock for ever. A step of more than 25 us between
two readings is a time in which a thread had no GIL or no core; what lies between two steps is a
turn, and turns that follow each other in one thread are one. Of each turn it matters how long it
is, and after how many turns the same thread has the next one: 2 where two pass the GIL to and fro,
as many as there are threads where they take turns fairly. Needs an idle machine with two cores
or more.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from neighbours import Rows, answer, computing_threads, one_interpreter, run, timeline_of

from gilplan.calibration.builds import Build
from gilplan.calibration.profile import Profile
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
        merged = [Turn(group[0].start, group[-1].end, group[0].thread) for group in groups]
        last: dict[int, int] = {}
        counts: Counter[int] = Counter()
        for number, turn in enumerate(merged):
            if turn.thread in last:
                counts[min(number - last[turn.thread], MOST)] += 1
            last[turn.thread] = number
        total = sum(counts.values())
        return cls(
            length=median(turn.end - turn.start for turn in merged) / 1e9,
            between=median(after.start - turn.end for turn, after in pairwise(merged)) / 1e9,
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
    return Turns.of(
        Turn(start, end, thread)
        for (start, _, thread), (end, _, _) in pairwise(timeline.gils)
        if thread is not None
    )


def compare(build: Build, profile: Profile, time: float) -> Rows:
    """Measure and simulate every cell of one build."""
    rows: Rows = []
    print("share of turns after which the thread has the next one: 2, 3, ... and", MOST, "or later")
    cells = [(threads, interval) for interval in INTERVALS for threads in THREADS]
    seen = [measured(build, *cell, time) for cell in cells]
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
