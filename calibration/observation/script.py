"""A script's process, held at the gate until gilplan looks on."""

import os
import select
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gilplan.calibration.builds import Build
from gilplan.calibration.observation.target import killed_at_end
from gilplan.model.errors import MeasurementFailed

LAUNCHER = Path(__file__).parent / "run_script.py"


class Script:
    """A script that waits for `run`."""

    def __init__(self, name: str, pid: int, gate: int, done: int) -> None:
        self.name, self.pid = name, pid
        self._gate, self._done = gate, done

    def run(self, seconds: float) -> bool:
        """Let it run to its end or for so long; return whether it came to its end.

        Raises `MeasurementFailed` when it fails.
        """
        with suppress(BrokenPipeError):
            os.write(self._gate, b"g")
        ended, _, _ = select.select([self._done], [], [], seconds)
        if not ended:
            return False
        answer = os.read(self._done, 1 << 12).decode(errors="replace")
        if answer != "\n":
            raise MeasurementFailed(f"{self.name}: {answer.strip() or 'it ends its own process'}")
        return True


@contextmanager
def held_script(arguments: Sequence[str], build: Build) -> Iterator[Script]:
    """Start the script's process under the build; nothing of it survives the block."""
    gate, gate_write = os.pipe()
    done_read, done = os.pipe()
    command = [build.path, "-P", "-B", str(LAUNCHER), str(gate), str(done), *arguments]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(gate, done),
            start_new_session=True,
        )
    except OSError as error:
        raise MeasurementFailed(f"{build.path} does not start: {error.strerror}") from None
    finally:
        os.close(gate)
        os.close(done)
    try:
        with killed_at_end(process):
            yield Script(Path(arguments[0]).stem, process.pid, gate_write, done_read)
    finally:
        os.close(gate_write)
        os.close(done_read)
