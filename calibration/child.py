"""A child process that measures: started, stopped and continued, and never outliving its limit.

It runs in a session of its own, so that a build that hangs or crashes costs one line of
explanation and leaves nothing behind.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gilplan.model.errors import MeasurementFailed

#: tgkill(2), in glibc since 2.30; None in a C library without it.
SIGNAL_THREAD = getattr(ctypes.CDLL(None), "tgkill", None)


class Child:
    """A script that prints one JSON object a line; ``what`` names it in error messages.

    A context manager: leaving it kills whatever still runs. Every method raises
    `MeasurementFailed` when the script fails, dies, or exceeds its time limit.
    """

    def __init__(self, command: Sequence[str], *, what: str) -> None:
        self.what = what
        self._read = b""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise MeasurementFailed(f"{what}: {command[0]} does not start: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signal(signal.SIGKILL)
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def threads(self) -> Iterator[tuple[int, int]]:
        """Yield (process, thread) of the script and its descendants, but of those that end."""
        processes = [self._process.pid]
        while processes:
            process = processes.pop()
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{process}/task").iterdir():
                    yield process, int(task.name)
                    children = (task / "children").read_text(encoding="ascii")
                    processes += map(int, children.split())

    def stop(self) -> None:
        """Stop the script and its children where they are, at once.

        A signal to a process goes to its main thread, which stops the others. In a layout it
        sleeps, and has to wait for a core first: with all of them busy the others compute on for
        up to a tick of the scheduler. So each thread gets a signal of its own.
        """
        if self._process.poll() is None and SIGNAL_THREAD is not None:
            for process, thread in list(self.threads()):
                SIGNAL_THREAD(process, thread, signal.SIGSTOP)
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Ask the script to end and to print what it has."""
        self._signal(signal.SIGTERM)

    def answer(self, time_limit: float) -> dict[str, Any]:
        """Return the next object that the script prints, waiting at most ``time_limit`` seconds."""
        line = self._line(time.monotonic() + time_limit, time_limit)
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise MeasurementFailed(f"{self.what}: {self._last_words()}") from None
        if "error" in answer:
            raise MeasurementFailed(f"{self.what}: {answer['error']}")
        return answer

    def _line(self, until: float, time_limit: float) -> bytes:
        output = self._process.stdout
        assert output is not None
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while b"\n" not in self._read:
                if not selector.select(max(until - time.monotonic(), 0.0)):
                    raise MeasurementFailed(f"{self.what}: no end after {time_limit:g} s, stopped")
                more = os.read(output.fileno(), 1 << 20)
                if not more:
                    break
                self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self._signal(signal.SIGKILL)
        _, complaints = self._process.communicate()
        lines = complaints.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.returncode}"

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
