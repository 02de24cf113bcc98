"""An echo thread beside threads that compute: measured for real, and predicted.

    .venv/bin/python benchmarks/echo.py [--builds 3.13,3.14] [--time 0.8] [--json FILE]

One thread of a process answers a client in another process over TCP; 0, 1, 2 or 4 threads of the
same process compute for ever under the same GIL, at switch intervals from 10 us to 100 ms: Dave
Beazley's experiment (2010), which shows what a system call costs that gives up the GIL.

What is measured beforehand is the echo alone on one core, where nothing ever idles: its requests
per second, how long a ``sendall`` and a ``recv`` take, at once and after pauses, and how long it
takes to wake the other side and give it the core. That is less than the calibration says, whose
threads find what other work left in the caches. The client is part of the model, for it shares the
cores. The rest is predicted. Each cell is measured in five
rounds. Needs an idle machine with at least two cores.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from neighbours import (
    Rows,
    Seen,
    answer,
    computing_threads,
    in_rounds,
    measured_again,
    one_interpreter,
    print_errors,
    run,
)

from gilplan.calibration.builds import Build
from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Closed, ColdCalls, Connection
from gilplan.model.durations import Deterministic
from gilplan.model.errors import GilplanError, MeasurementFailed
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner import predict

INTERVALS = (1e-5, 1e-4, 1e-3, 5e-3, 2e-2, 1e-1)
BESIDE = (0, 1, 2, 4)
WARM_UP = 0.2
ALONE_ROUNDS = 5
CALLS = 20_000
#: Seconds of a send, a receive and a reading of the clock: at once, then after each pause.
Calls = list[list[float]]
#: Send and receive in one thread: what each takes, and reading the clock, in the median of so many
#: in a row, and of some after each pause in which the thread slept. Each message is answered: one
#: that goes one way only costs an acknowledgement more.
CALL_TIMES = """
import json, socket, sys, time
with socket.create_server(("127.0.0.1", 0)) as listener:
    sender = socket.create_connection(listener.getsockname())
    receiver, _ = listener.accept()
clock = time.perf_counter
def call_times(pause):
    if pause:
        time.sleep(pause)
    began = clock()
    sender.sendall(b"x" * 32)
    sent = clock()
    receiver.recv(64)
    received = clock()
    read = clock()
    receiver.sendall(b"x" * 32)
    sender.recv(64)
    return sent - began, received - sent, read - received
def medians(count, pause=0.0):
    taken = [call_times(pause) for _ in range(count)]
    return [sorted(times)[len(times) // 2] for times in zip(*taken)]
calls, *pauses = map(float, sys.argv[1:])
cold = [medians(max(15, min(200, int(0.5 / pause))), pause) for pause in pauses]
print(json.dumps([medians(int(calls)), *cold]))
"""
#: Two processes that wake each other in turn: what it takes to wake the other and switch to it.
SWITCH_TIME = """
import json, os, signal, sys, time
there, back, quiet = (os.eventfd(0) for _ in range(3))
partner = os.fork()
while partner == 0:
    os.eventfd_read(there)
    os.eventfd_write(back, 1)
count = int(sys.argv[1])
def pairs_of_calls(written, read):
    began = time.perf_counter()
    for _ in range(count):
        os.eventfd_write(written, 1)
        os.eventfd_read(read)
    return (time.perf_counter() - began) / count
print(json.dumps(pairs_of_calls(there, back) / 2 - pairs_of_calls(quiet, quiet)))
os.kill(partner, signal.SIGKILL)
"""
PAUSES = (1e-4, 1e-3, 5e-3, 2e-2, 1e-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerScript:
    """A server's text: its functions, among them ``echo``, what computing threads run, its end."""

    functions: str
    target: str = "compute"
    ending: str = ""

    @property
    def text(self) -> str:
        """Return the script that takes the number of computing threads and the interval."""
        return f"""
import json, os, socket, sys, threading, time
computing, interval = int(sys.argv[1]), float(sys.argv[2])
sys.setswitchinterval(interval)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client, _ = listener.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
{self.functions}
for number in range(computing):
    threading.Thread(None, {self.target}, daemon=True).start()
thread = threading.Thread(target=echo, daemon=True)
thread.start()
thread.join()
{self.ending}
sys.stdout.flush()
os._exit(0)
"""


SERVER = ServerScript(
    functions="""
def compute():
    total = 0
    while True:
        total = (total + 1) % 1000003
def echo():
    while message := client.recv(64):
        client.sendall(message)
"""
)


@contextmanager
def tied_to(cores: set[int]) -> Iterator[None]:
    """Have what is started inside run on these cores only."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def run_echo(build: Build, computing: int, interval: float, time: float) -> float:
    """Run server and client for real and return the requests per second."""
    return asked(build, SERVER.text, computing, interval, time)[0]


def asked(
    build: Build, server_text: str, computing: int, interval: float, time: float
) -> tuple[float, str]:
    """Run a server and ask it for so long: the requests per second, and what it prints at last."""
    with TemporaryDirectory(prefix="gilplan-") as scratch:
        script = Path(scratch) / "server.py"
        script.write_text(server_text, encoding="utf-8")
        command = [build.path, "-I", str(script), str(computing), str(interval)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _requests(client, WARM_UP)
            rate = _requests(client, time)
        printed, _ = server.communicate(timeout=60)
    return rate, printed


def _requests(client: socket.socket, time: float) -> float:
    began = now = perf_counter()
    done = 0
    while now < began + time:
        client.sendall(b"x" * 32)
        client.recv(64)
        done += 1
        now = perf_counter()
    return done / (now - began)


def alone(build: Build, time: float) -> tuple[float, Calls, float]:
    """Return the echo's rate on one core, and what its calls and a switch take there.

    In turns, the medians: a virtual machine's speed changes from one second to the next.
    """
    core = {min(os.sched_getaffinity(0))}
    rates, calls, switches = [], [], []
    with tied_to(core):
        for _ in range(ALONE_ROUNDS):
            rates.append(run_echo(build, 0, 5e-3, time))
            calls.append(answer(build, CALL_TIMES, CALLS, *PAUSES))
            switches.append(answer(build, SWITCH_TIME, CALLS))
    return median(rates), np.median(calls, axis=0).tolist(), median(switches)


def connection(rate: float, calls: Calls, switch_time: float) -> Connection:
    """Return what the two sides do, who are alike: the client's time is the server's bytecode, too.

    ``rate`` is the echo's on one core, where a request takes what both sides do and two
    switches, each with the wake-up before it. What the ``calls`` and these leave is the bytecode's.
    """
    (send, receive, reading), *cold = calls
    side, both_calls = 1 / rate / 2, send + receive - 2 * reading
    bytecode_time = side - switch_time - both_calls
    if bytecode_time <= 0:
        raise MeasurementFailed(
            f"echo: on one core either side takes {side * 1e6:.1f} us a request, but its calls "
            f"{both_calls * 1e6:.1f} and a switch {switch_time * 1e6:.1f} us: its speed changes"
        )
    # What a call costs after the shortest pause is part of every wake-up's measured latency.
    sends, receives, _ = (
        tuple(max(time - times[0], 0.0) for time in times) for times in zip(*cold, strict=True)
    )
    return Connection(
        send_time=send - reading,
        receive_time=receive - reading,
        client_time=bytecode_time,
        cold_calls=ColdCalls(pauses=PAUSES, sends=sends, receives=receives),
    )


def echo_workload(bytecode_time: float, computing: int, build: str) -> Workload:
    """Return the echo thread's task with the computing threads beside."""
    python = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(bytecode_time))
    task = Task(name="echo", segments=(python,))
    beside = computing_threads(computing)
    return Workload(name="echo", tasks=(task,), build=build, background=beside)


def compare(build: Build, profile: Profile, time: float) -> Rows:
    """Measure and predict every cell of one build."""
    sides = connection(*alone(build, time))
    cells = [
        (computing, interval)
        for computing in BESIDE
        for interval in (INTERVALS if computing else (5e-3,))
    ]
    rounds = in_rounds(lambda *cell: run_echo(build, *cell, time), cells)
    profile = measured_again(profile)
    rows: Rows = []
    for (computing, interval), of_cell in zip(cells, rounds, strict=True):
        seen = Seen.of(of_cell)
        layout = one_interpreter(profile, build.name, interval)
        workload = echo_workload(sides.client_time, computing, build.name)
        arrivals = Closed(connection=sides)
        try:
            (prediction,) = predict(workload, [layout], profile, arrivals=arrivals)
            predicted = prediction.throughput.mean
        except GilplanError as error:  # it never got the GIL in all the simulated time
            print(f"{build.name} {computing} computing: {error}", file=sys.stderr)
            predicted = 0.0
        rows.append(
            {
                "build": build.name,
                "computing": computing,
                "switch_interval": interval,
                **seen.columns("rate", predicted),
            }
        )
        print(
            f"{build.name:9} {computing} computing, {interval * 1e3:g} ms: "
            f"measured {seen.median:8.1f}/s ({seen.least:.1f} to {seen.most:.1f}), "
            f"predicted {predicted:8.1f}/s, error {seen.error(predicted):+.0%}",
            flush=True,
        )
    return rows


def conclude(rows: Rows) -> None:
    """Print the errors of the cells that count."""
    frequent = [row for row in rows if float(str(row["measured_rate"])) > 50]
    print_errors("over 50 requests/s", frequent, "rate")


if __name__ == "__main__":
    run(compare, "An echo thread beside computing ones.", 0.8, conclude)
