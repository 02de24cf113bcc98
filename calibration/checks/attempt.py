"""One import of one module under one build, in a child process that may crash or hang."""

import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gilplan.calibration.builds import Build
from gilplan.calibration.observation.target import killed_at_end
from gilplan.model.errors import MeasurementFailed

SCRIPT = Path(__file__).parent / "import_module.py"
#: Waiting in steps: a machine that stands still for a while is no hang of the child.
STEP = 0.5
#: What would change how the child behaves towards the GIL.
UNWANTED = ("PYTHON_GIL", "PYTHONSTARTUP", "PYTHONWARNINGS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of the import: the answers of each interpreter, and how the child ended.

    ``ending`` is "" when every interpreter answered, else "hangs" or "crashes" with a reason.
    """

    answers: tuple[dict[str, Any], ...]
    ending: str = ""

    @property
    def error(self) -> str:
        """The first error, "" where there was none."""
        return next((each["error"] for each in self.answers if each["error"]), "")


def attempt(
    build: Build, module: str, *, folder: str, isolated: bool, time_limit: float
) -> Attempt:
    """Import the module; in two isolated interpreters with GILs of their own if asked.

    What it prints is thrown away; nothing of the child, nor of what it started in its session,
    survives. Raises `MeasurementFailed` when the build does not start.
    """
    reading, answers = os.pipe()
    request = {"module": module, "folder": folder, "isolated": isolated, "answers": answers}
    environment = {name: text for name, text in os.environ.items() if name not in UNWANTED}
    try:
        process = subprocess.Popen(
            [build.path, "-P", "-B", str(SCRIPT), json.dumps(request)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(answers,),
            start_new_session=True,
            env=environment,
        )
    except OSError as error:
        os.close(reading)
        raise MeasurementFailed(f"{build.path} does not start: {error.strerror}") from None
    finally:
        os.close(answers)
    with killed_at_end(process), os.fdopen(reading, "rb", buffering=0) as pipe:
        lines, ended = _read(pipe.fileno(), time_limit)
        found = tuple(json.loads(line) for line in lines)
        if not ended:
            return Attempt(answers=found, ending=f"hangs: no end after {time_limit:g} s")
        status = process.wait()
    wanted = 2 if isolated else 1
    if len(found) == wanted and not status:
        return Attempt(answers=found)
    return Attempt(answers=found, ending=_death(status))


def _read(pipe: int, time_limit: float) -> tuple[list[bytes], bool]:
    """Read until the end of the pipe or for so long; return the whole lines, and if it ended."""
    text, waited_time = b"", 0.0
    while waited_time < time_limit:
        began = time.monotonic()
        ready, _, _ = select.select([pipe], [], [], STEP)
        waited_time += min(time.monotonic() - began, STEP)
        if ready:
            chunk = os.read(pipe, 1 << 16)
            if not chunk:
                return text.splitlines(), True
            text += chunk
    return text.splitlines(keepends=False)[: text.count(b"\n")], False


def _death(status: int) -> str:
    if status < 0:
        return f"crashes: {signal.Signals(-status).name}"
    return f"crashes: it ends its process with status {status}"
