"""Records of a process's GIL releases and scheduling, taken by the kernel through ``perf``."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gilplan.calibration.observation.probes import MethodUnavailable
from gilplan.calibration.observation.trace import Trace, parse_trace
from gilplan.model.errors import MeasurementFailed

ANSWER_LIMIT = 10.0
SCRIPT_LIMIT = 120.0


class Recorder:
    """Two perf sessions on one process: its probes and switches, and who is woken when.

    A session on a process sees what happens in its threads; a wake-up happens in whoever wakes,
    hence the second session, on the whole machine but for the wake-ups of these threads only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def record(self, pid: int, events: Sequence[str]) -> Iterator[None]:
        """Record until the block ends. Raises `MeasurementFailed` where perf may not."""
        threads = _threads(pid)
        woken = "||".join(f"pid=={thread}" for thread in threads)
        probes = ["--switch-events", *(part for event in events for part in ("-e", event))]
        with ExitStack() as sessions:
            sessions.enter_context(
                _session([*probes, "-p", str(pid)], self._folder / "process.data")
            )
            sessions.enter_context(
                _session(
                    ["-a", "-e", "sched:sched_waking", "--filter", woken],
                    self._folder / "wakings.data",
                )
            )
            yield

    def trace(self) -> Trace:
        """Read what was recorded."""
        process = _script(self._folder / "process.data", ["--show-switch-events"])
        return parse_trace(process, _script(self._folder / "wakings.data", []))


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        raise MeasurementFailed(f"process {pid} has ended") from None


def perf_path() -> str:
    """Return where perf is. Raises `MeasurementFailed`."""
    path = shutil.which("perf")
    if path is None:
        raise MethodUnavailable("perf is not on PATH: install it, or use --method sampling")
    return path


@contextmanager
def _session(arguments: list[str], output: Path) -> Iterator[None]:
    """Run one ``perf record`` from the moment it has opened its events to the block's end."""
    control_read, control = os.pipe()
    acknowledged, acknowledge = os.pipe()
    command = [
        *(perf_path(), "record", "-q", "-k", "CLOCK_MONOTONIC", "-m", "2M", "-D", "-1"),
        *(f"--control=fd:{control_read},{acknowledge}", "-o", str(output), *arguments),
    ]
    with tempfile.TemporaryFile(dir=output.parent) as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            pass_fds=(control_read, acknowledge),
            start_new_session=True,
        )
        os.close(control_read)
        os.close(acknowledge)
        try:
            try:
                os.write(control, b"enable\n")
                answered, _, _ = select.select([acknowledged], [], [], ANSWER_LIMIT)
                started = bool(answered and os.read(acknowledged, 16))
            except BrokenPipeError:
                started = False
            if not started:
                _stop(process)
                complaints.seek(0)
                raise MethodUnavailable("perf cannot record: " + _reason(complaints.read()))
            yield
        finally:
            _stop(process)
            os.close(control)
            os.close(acknowledged)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(ANSWER_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reason(complaints: bytes) -> str:
    lines = [line.strip() for line in complaints.decode(errors="replace").splitlines()]
    return next((line for line in lines if line and line != "Error:"), "it gave no reason")


def _script(path: Path, options: list[str]) -> str:
    command = [perf_path(), "script", "-i", str(path), "-F", "pid,tid,time,event,trace", "--ns"]
    try:
        done = subprocess.run(
            [*command, "--show-lost-events", *options],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=SCRIPT_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(
            "perf takes too long over its own record: fewer --tasks or less --time"
        ) from None
    if done.returncode:
        raise MeasurementFailed("perf cannot read its record: " + _reason(done.stderr))
    return done.stdout.decode(errors="replace")
