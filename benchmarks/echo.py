"""An echo thread beside threads that compute: measured for real, and predicted.

    .venv/bin/python benchmarks/echo.py [--builds 3.13,3.14] [--time 1.5] [--json FILE]

One thread of a process answers a client in another process over TCP; 0, 1, 2 or 4 threads of the
same process compute for ever under the same GIL, at switch intervals from 10 us to 100 ms: Dave
Beazley's experiment (2010), which shows what a system call costs that gives up the GIL.

What is measured beforehand is the echo alone on one core, where nothing ever idles: how long
``sendall`` and ``recv`` take, and, from the requests per second, what both sides' bytecode does.
The client is part of the model, for it shares the cores. The rest is predicted. Needs an idle
machine with at least two cores.
"""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from neighbours import Rows, computing_threads, one_interpreter, print_errors, run

from gilplan.calibration.builds import Build
from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Closed, Connection
from gilplan.model.durations import Deterministic
from gilplan.model.errors import GilplanError, MeasurementFailed
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner import predict

INTERVALS = (1e-5, 1e-4, 1e-3, 5e-3, 2e-2, 1e-1)
BESIDE = (0, 1, 2, 4)
WARM_UP = 0.2
RECEIVES = 20_000
RECEIVE = """
import socket, sys, time
with socket.create_server(("127.0.0.1", 0)) as listener:
    sender = socket.create_connection(listener.getsockname())
    receiver, _ = listener.accept()
receives = []
for _ in range(int(sys.argv[1])):
    sender.sendall(b"x" * 32)
    start = time.perf_counter()
    receiver.recv(64)
    receives.append(time.perf_counter() - start)
receives.sort()
print(receives[len(receives) // 2])
"""
SERVER = """
import socket, sys, threading, time
computing, interval = int(sys.argv[1]), float(sys.argv[2])
sys.setswitchinterval(interval)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client, _ = listener.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
sends = []
def compute():
    total = 0
    while True:
        total = (total + 1) % 1000003
def echo():
    while message := client.recv(64):
        start = time.perf_counter()
        client.sendall(message)
        sends.append(time.perf_counter() - start)
for _ in range(computing):
    threading.Thread(target=compute, daemon=True).start()
thread = threading.Thread(target=echo, daemon=True)
thread.start()
thread.join()
sends.sort()
print(sends[len(sends) // 2] if sends else 0.0, flush=True)
sys.stdout.flush()
__import__("os")._exit(0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """What a client saw: requests per second, and the server's median time in ``sendall``."""

    rate: float
    send_time: float


def run_echo(
    build: Build, computing: int, interval: float, time: float, *, cores: set[int] | None = None
) -> Echo:
    """Run server and client for real, on ``cores`` if given; ``time`` seconds count."""
    allowed = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, cores)
    try:
        return _run_echo(build, computing, interval, time)
    finally:
        os.sched_setaffinity(0, allowed)


def _run_echo(build: Build, computing: int, interval: float, time: float) -> Echo:
    with TemporaryDirectory(prefix="gilplan-") as scratch:
        script = Path(scratch) / "server.py"
        script.write_text(SERVER, encoding="utf-8")
        command = [build.path, "-I", str(script), str(computing), str(interval)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _requests(client, WARM_UP)
            rate = _requests(client, time)
        send_time = float(server.stdout.readline() or 0)
        server.wait(timeout=60)
    return Echo(rate=rate, send_time=send_time)


def _requests(client: socket.socket, time: float) -> float:
    began = now = perf_counter()
    done = 0
    while now < began + time:
        client.sendall(b"x" * 32)
        client.recv(64)
        done += 1
        now = perf_counter()
    return done / (now - began)


def receive_time(build: Build) -> float:
    """Measure a ``recv`` that does not wait: the median, in seconds."""
    command = [build.path, "-I", "-c", RECEIVE, str(RECEIVES)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def connection(alone: Echo, receive_time: float, switch_time: float) -> tuple[Connection, float]:
    """Return the sides' system calls, and each side's bytecode in seconds.

    On one core a request takes what both sides do, who are alike, and two switches.
    """
    bytecode_time = 1 / alone.rate / 2 - switch_time - alone.send_time - receive_time
    if bytecode_time <= 0:
        raise MeasurementFailed("echo: the system calls took longer than the whole request")
    return (
        Connection(send_time=alone.send_time, receive_time=receive_time, client_time=bytecode_time),
        bytecode_time,
    )


def echo_workload(bytecode_time: float, computing: int, build: str) -> Workload:
    """Return the echo thread's task with the computing threads beside."""
    python = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(bytecode_time))
    task = Task(name="echo", segments=(python,))
    beside = computing_threads(computing)
    return Workload(name="echo", tasks=(task,), build=build, background=beside)


def _median(runs: list[Echo]) -> Echo:
    return Echo(
        rate=median(run.rate for run in runs), send_time=median(run.send_time for run in runs)
    )


def compare(build: Build, profile: Profile, time: float) -> Rows:
    """Measure and predict every cell of one build."""
    one_core = {min(os.sched_getaffinity(0))}
    alone = _median([run_echo(build, 0, 5e-3, time, cores=one_core) for _ in range(3)])
    switch_time = profile.machine.context_switch_time.value
    sides, bytecode_time = connection(alone, receive_time(build), switch_time)
    rows: Rows = []
    for computing in BESIDE:
        for interval in INTERVALS if computing else (5e-3,):
            measured = run_echo(build, computing, interval, time).rate
            layout = one_interpreter(profile, build.name, interval)
            workload = echo_workload(bytecode_time, computing, build.name)
            try:
                (prediction,) = predict(
                    workload, [layout], profile, arrivals=Closed(connection=sides)
                )
                predicted = prediction.throughput.mean
            except GilplanError as error:  # it never got the GIL in all the simulated time
                print(f"{build.name} {computing} computing: {error}", file=sys.stderr)
                predicted = 0.0
            rows.append(
                {
                    "build": build.name,
                    "computing": computing,
                    "switch_interval": interval,
                    "measured": measured,
                    "predicted": predicted,
                    "error": predicted / measured - 1,
                }
            )
            print(
                f"{build.name:9} {computing} computing, {interval * 1e3:g} ms: "
                f"measured {measured:8.1f}/s, predicted {predicted:8.1f}/s, "
                f"error {predicted / measured - 1:+.0%}",
                flush=True,
            )
    return rows


def main() -> None:
    rows = run(compare, "An echo thread beside computing ones.", time=1.5)
    frequent = [row for row in rows if float(str(row["measured"])) > 50]
    print_errors("over 50 requests/s", frequent, "error")


if __name__ == "__main__":
    main()
