"""How many turns of others an echo server waits for the GIL, measured and simulated.

    .venv/bin/python benchmarks/echo_turns.py [--builds 3.11] [--time 1.5] [--json FILE]

The server of `echo` takes the GIL twice for each request, after its ``recv`` and its ``sendall``,
beside threads that compute. Those read the clock for ever: what lies between two readings that are
more than 5 us apart is a turn. Counted is how many turns of others each taking had to wait for, 0
where the server had the GIL back at once. Nothing is traced, for that changes who wins. Needs an
idle machine with two cores or more.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from echo import ServerScript, alone, asked, connection, echo_workload
from neighbours import Rows, measured_again, one_interpreter, run, timeline_of
from turns import Turn

from gilplan.calibration.builds import Build
from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Closed, Connection
from gilplan.model.errors import MeasurementFailed
from gilplan.model.recorder import Timeline

INTERVALS = (1e-5, 1e-4, 1e-3)
BESIDE = (1, 2, 4)
#: What is shorter is no turn, ns.
SHORTEST = 3_000
#: Two readings of the clock that are further apart have somebody else's turn in between, ns.
FARTHEST = 5_000
#: So many turns and more are counted together.
MOST = 5
#: This share of a run's waits is left out, the first ones: its threads have not found their cores.
UNSETTLED = 0.2
SERVER = ServerScript(
    functions=f"""
now, turns, waits, over = time.perf_counter_ns, [[] for _ in range(computing)], [], []
def compute(add):
    start = last = now()
    while not over:
        instant = now()
        if instant - last > {FARTHEST}:
            add((start, last))
            start = instant
        last = instant
def echo():
    while True:
        began = now()
        message = client.recv(64)
        received = now()
        if not message:
            break
        client.sendall(message)
        waits.extend(((began, received), (received, now())))
""",
    target="compute, None, (turns[number].append,)",
    ending="""
over.append(True)
print(json.dumps([waits, turns]))
""",
)


def measured(build: Build, computing: int, interval: float, time: float) -> list[float]:
    """Run the server for real and return its shares of waits by their number of turns."""
    _, printed = asked(build, SERVER.text, computing, interval, time)
    waits, of_threads = json.loads(printed)
    turns = [
        Turn(start, end, number) for number, each in enumerate(of_threads) for start, end in each
    ]
    return shares(waits[int(UNSETTLED * len(waits)) :], turns)


def simulated(
    profile: Profile, build: str, sides: Connection, computing: int, interval: float, time: float
) -> list[float]:
    """Let the server answer in the model, as long."""
    workload = echo_workload(sides.client_time, computing, build)
    layout = one_interpreter(profile, build, interval)
    arrivals = Closed(connection=sides)
    timeline = timeline_of(profile, workload, layout, time, arrivals=arrivals)
    if not timeline.completions:
        raise MeasurementFailed(f"echo: nothing was answered in {time:g} s of simulation")
    server = timeline.completions[0][1]
    turns = list(held(timeline))
    own = [turn for turn in turns if turn.thread == server]
    waits = [(turn.end, after.start) for turn, after in pairwise(own)]
    return shares(waits, [turn for turn in turns if turn.thread != server])


def held(timeline: Timeline) -> Iterable[Turn]:
    """Yield who had the GIL, from when to when."""
    for (start, _, thread), (end, _, _) in pairwise(timeline.gils):
        if thread is not None:
            yield Turn(start, end, thread)


def shares(waits: Sequence[tuple[int, int]], turns: Iterable[Turn]) -> list[float]:
    """Return which share of the waits took 0, 1, ... turns, in the end `MOST` and more."""
    if not waits:
        raise MeasurementFailed("echo: the server has not waited once; give it more --time")
    inorder = sorted(turns, key=lambda turn: turn.start)
    starts = [turn.start for turn in inorder]
    counts: Counter[int] = Counter()
    for begin, end in waits:
        first = max(bisect_left(starts, begin) - 1, 0)
        inside = [
            turn.thread
            for turn in inorder[first : bisect_left(starts, end)]
            if min(turn.end, end) - max(turn.start, begin) >= SHORTEST
        ]
        counts[min(len(list(groupby(inside))), MOST)] += 1
    return [counts[number] / len(waits) for number in range(MOST + 1)]


def compare(build: Build, profile: Profile, time: float) -> Rows:
    """Measure and simulate every cell of one build."""
    rows: Rows = []
    print("share of waits with 0, 1, ... turns of others,", MOST, "or more")
    sides = connection(*alone(build, time))
    cells = [(computing, interval) for computing in BESIDE for interval in INTERVALS]
    seen = [measured(build, *cell, time) for cell in cells]
    profile = measured_again(profile)
    for (computing, interval), real in zip(cells, seen, strict=True):
        model = simulated(profile, build.name, sides, computing, interval, time)
        for kind, found in (("measured", real), ("simulated", model)):
            rows.append(
                {
                    "build": build.name,
                    "computing": computing,
                    "switch_interval": interval,
                    "kind": kind,
                    "shares": found,
                }
            )
            print(
                f"{build.name:9} {computing} computing, {interval * 1e3:g} ms {kind:9}:",
                *(f"{share:4.0%}" for share in found),
                flush=True,
            )
    return rows


if __name__ == "__main__":
    run(compare, "How many turns of others an echo server waits for.", time=1.5)
