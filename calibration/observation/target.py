"""The process that is observed: a task done over and over, phase by phase, under one build."""

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gilplan.calibration.builds import Build
from gilplan.model.errors import InvalidValue, MeasurementFailed

SCRIPT = Path(__file__).parent / "run_task.py"
#: How long importing the target and its first call may take.
FIRST_CALL_LIMIT = 60.0
WARM_UP = 0.2


def check_target(target: str) -> None:
    """Raise `InvalidValue` unless the text is FILE.py:FUNCTION, MODULE:FUNCTION or FILE.py."""
    place, _, name = target.rpartition(":")
    place = place or name
    if place.endswith(".py") and not Path(place).is_file():
        raise InvalidValue("target", "a file that is there", place)
    if not place.endswith(".py") and ":" not in target:
        raise InvalidValue(
            "target", "like path/to/file.py:function or module:function", target,
            "a script is observed by `gilplan observe -- script.py`",
        )  # fmt: skip


class Target:
    """A child process that does tasks. Its phases are described in ``run_task.py``."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], answers: int, gate: int
    ) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._answers, self._gate = answers, gate
        self._pending = b""

    def phase(self, name: str, *, limit: float) -> dict[str, Any]:
        """Let the child go through a phase, and return its answer. Raises `MeasurementFailed`."""
        with suppress(BrokenPipeError):
            os.write(self._gate, name[:1].encode())
        return self.answer(name, limit=limit)

    def answer(self, phase: str, *, limit: float) -> dict[str, Any]:
        """Return the next answer. Raises `MeasurementFailed` on an error, an end, or no answer."""
        deadline = time.monotonic() + limit
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._answers], [], [], max(left, 0.0))
            if not ready:
                raise MeasurementFailed(
                    f"{self.name}: no end after {limit:g} s; is it one task, and does it return?"
                )
            chunk = os.read(self._answers, 1 << 16)
            if not chunk:
                raise MeasurementFailed(f"{self.name}: {self._death()}")
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if answer["phase"] == "error":
            raise MeasurementFailed(f"{self.name}: {answer['message']}")
        return answer

    def _death(self) -> str:
        status = self._process.wait()
        if status < 0:
            return f"its process died of {signal.Signals(-status).name}"
        return f"the target ended its process with status {status}"


@contextmanager
def started(
    build: Build, target: str, *, time: float, tasks: int | None
) -> Iterator[tuple[Target, dict[str, Any]]]:
    """Run the target under the build; give it and the answer of its first call.

    Its output is thrown away; nothing of it, nor of its children in its session, survives.
    Raises `MeasurementFailed` when it cannot be loaded or its first call fails.
    """
    answers_read, answers = os.pipe()
    gate, gate_write = os.pipe()
    request = {
        "target": target,
        "time": time,
        "tasks": tasks,
        "warmup": WARM_UP,
        "answers": answers,
        "gate": gate,
    }
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                [build.path, "-P", "-B", str(SCRIPT), json.dumps(request)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(answers, gate),
                start_new_session=True,
            )
        except OSError as error:
            raise MeasurementFailed(f"{build.path} does not start: {error.strerror}") from None
        finally:
            os.close(answers)
            os.close(gate)
        child = Target(target, process, answers_read, gate_write)
        try:
            with killed_at_end(process):
                yield child, child.answer("loaded", limit=FIRST_CALL_LIMIT)
        finally:
            os.close(answers_read)
            os.close(gate_write)


@contextmanager
def killed_at_end(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill the process and what it left in its session when the block ends."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
