"""Files of py-spy (``-f raw``, ``-f speedscope``) and of Tachyon (``--collapsed``, ``--jsonl``).

Formats: https://www.speedscope.app/file-format-schema.json; Brendan Gregg's collapsed stacks;
Lib/profiling/sampling/jsonl_collector.py and stack_collector.py of CPython 3.15.
"""

import json
import re
from pathlib import Path
from typing import Any

from gilplan.calibration.imports.recording import BINARY, HOW, Counted, Recording
from gilplan.model.errors import InvalidFile

STACK = re.compile(r"^(?P<stack>.+) (?P<count>\d+)$")
#: The outermost frame where threads are told apart: Tachyon's, and that of py-spy --threads.
THREAD = re.compile(r"^(tid:\d+|thread \(.+\)|process .+)$")
MODES = {"gil": Counted.GIL, "cpu": Counted.CPU, "wall": Counted.WALL}


def read_stacks(text: str, path: Path) -> Recording:
    """Read collapsed stacks, a line each: frames, a blank, how many samples."""
    threads: dict[str, float] = {}
    tool = "py-spy"
    for number, line in enumerate(text.splitlines(), 1):
        match = STACK.match(line)
        if match is None:
            raise InvalidFile(
                str(path), number, "a line", "frames and a count of samples", line[:60], BINARY
            )
        outermost = match["stack"].partition(";")[0]
        thread = outermost if THREAD.match(outermost) else ""
        if thread.startswith("tid:"):
            tool = "Tachyon"
        threads[thread] = threads.get(thread, 0.0) + int(match["count"])
    return _counted(Recording(path=str(path), tool=tool, threads=threads))


def read_speedscope(document: dict[str, Any], path: Path) -> Recording:
    """Read a speedscope file of sampled profiles, one per thread, weighted in seconds."""
    threads: dict[str, float] = {}
    seconds = set()
    try:
        for profile in document["profiles"]:
            if profile["type"] != "sampled" or profile["unit"] != "seconds":
                raise InvalidFile(
                    str(path), 1, "profiles", "sampled, in seconds", profile["type"], "use py-spy"
                )
            weights = [float(weight) for weight in profile["weights"]]
            threads[str(profile["name"])] = len(weights)
            seconds |= set(weights)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "speedscope", error) from None
    return _counted(
        Recording(
            path=str(path),
            tool=str(document.get("exporter", "speedscope")),
            threads=threads,
            seconds=seconds.pop() if len(seconds) == 1 else None,
        )
    )


def read_jsonl(text: str, path: Path) -> Recording:
    """Read Tachyon's records, a line of JSON each; the first says how it was recorded."""
    try:
        records = [json.loads(line) for line in text.splitlines()]
        meta, end = records[0], records[-1]
        if end["type"] != "end":
            raise InvalidFile(
                str(path), len(records), "type", "'end' in the last line", end["type"]
            )
        mode = meta.get("mode", "")
        return _counted(
            Recording(
                path=str(path),
                tool="Tachyon",
                threads={"": float(end["samples_total"])},
                seconds=float(meta["sample_interval_usec"]) / 1e6,
                counted=MODES.get(mode),
            ),
            mode=mode,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, InvalidFile):
            raise
        raise _damaged(path, "Tachyon --jsonl", error) from None


def _counted(recording: Recording, mode: str = "") -> Recording:
    if mode and mode not in MODES:
        raise InvalidFile(
            recording.path, 1, "mode", f"one of {', '.join(MODES)}", mode,
            "record with --mode gil, cpu or wall, or with --gecko",
        )  # fmt: skip
    if recording.samples <= 0:
        raise InvalidFile(recording.path, 1, "samples", "more than none", 0, "record for longer")
    return recording


def _damaged(path: Path, kind: str, error: Exception) -> InvalidFile:
    reason = f"{type(error).__name__}: {error}"
    return InvalidFile(str(path), 1, "the recording", f"a whole {kind} file", reason)


def says_nothing(recording: Recording) -> InvalidFile:
    """Return the error for a recording that does not say which threads it counted."""
    return InvalidFile(
        recording.path, 1, "the recording", "given with which threads it counted", recording.path,
        f"write --import {HOW}",
    )  # fmt: skip
