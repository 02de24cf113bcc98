"""Run one measuring kernel in a fresh process of a build, and watch the machine meanwhile.

A kernel is a script of the standard library only, run by path, so that nothing of gilplan (nor
NumPy, nor an import hook) is in the measured process. It prints one JSON object:
``{"series": {name: [seconds, ...]}, "notes": [...]}``.
"""

import json
import math
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import psutil

from gilplan.model.errors import MeasurementFailed

KERNELS = Path(__file__).parent / "kernels"
#: A wait of the first length that takes longer by the second: the machine stood still.
WAIT_STEP = 1.0
PAUSE = 2.0
BUSY = ("user", "nice", "system")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRun:
    """What one run of a kernel gave.

    ``series``: raw samples by name; ``steal_share``: share of the machine's processor time that
    the hypervisor gave to others during the run; ``paused_time``: seconds for which the whole
    machine stood still.
    """

    series: dict[str, list[float]]
    notes: tuple[str, ...]
    steal_share: float
    paused_time: float = 0.0


class KernelHung(MeasurementFailed):
    """A kernel did not end in time and was killed."""


class ProcessorClock:
    """Where the processor time of all cores has gone since this clock was made."""

    def __init__(self) -> None:
        self._before, self._own_before = psutil.cpu_times(), os.times()

    @property
    def steal_share(self) -> float:
        """Share that the hypervisor took; 0 where the kernel does not tell."""
        before, now = self._before, psutil.cpu_times()
        return _share(getattr(now, "steal", 0.0) - getattr(before, "steal", 0.0), before, now)

    @property
    def others_share(self) -> float:
        """Share that processes used which are neither this one nor its ended children."""
        before, now = self._before, psutil.cpu_times()
        busy = sum(getattr(now, kind) - getattr(before, kind) for kind in BUSY)
        own = sum(os.times()[:4]) - sum(self._own_before[:4])
        return _share(busy - own, before, now)


def _share(part: float, before: tuple[float, ...], now: tuple[float, ...]) -> float:
    total = sum(now) - sum(before)
    return min(max(0.0, part / total), 1.0) if total > 0 else 0.0


def run_kernel(
    python: str | Path,
    kernel: Path,
    arguments: Sequence[str] = (),
    *,
    timeout: float,
    site: bool = False,
) -> KernelRun:
    """Run the kernel with the build's executable and return its samples.

    The process runs isolated (``-I``), without ``site`` unless asked for, in a session of its
    own: its whole group is killed at the end, on a timeout, and when this call is interrupted.

    Raises `KernelHung` after ``timeout`` and `MeasurementFailed` when the kernel cannot start,
    crashes, or prints anything but finite samples.
    """
    flags = ["-I"] if site else ["-I", "-S"]
    label = " ".join([kernel.stem, *takewhile(lambda word: word.isidentifier(), arguments)])
    clock = ProcessorClock()
    try:
        process = subprocess.Popen(
            [str(python), *flags, str(kernel), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise MeasurementFailed(f"{label}: cannot start {python}: {error}") from error
    try:
        output, complaint, paused_time = _wait(process, timeout)
    except subprocess.TimeoutExpired:
        raise KernelHung(f"{label}: hung, killed after {timeout:.0f} s") from None
    finally:
        _kill_group(process)
    if process.returncode != 0:
        raise MeasurementFailed(f"{label}: {_death(process.returncode, complaint)}")
    series, notes = _parsed(label, output)
    return KernelRun(
        series=series, notes=notes, steal_share=clock.steal_share, paused_time=paused_time
    )


def _wait(process: subprocess.Popen[str], timeout: float) -> tuple[str, str, float]:
    """Wait for the process's end; return its output, its complaints and the time paused.

    A virtual machine may be suspended for a minute while its clocks run on. A wait that takes
    far longer than asked shows it; that time counts neither for the timeout nor as a sample.
    """
    waited_time, paused_time = 0.0, 0.0
    while True:
        step, began = min(WAIT_STEP, timeout - waited_time), time.monotonic()
        try:
            output, complaint = process.communicate(timeout=step)
        except subprocess.TimeoutExpired:
            waited_time += step
            if waited_time >= timeout:
                raise
        else:
            step = WAIT_STEP
        excess = time.monotonic() - began - step
        paused_time += excess if excess > PAUSE else 0.0
        if process.returncode is not None:
            return output, complaint, paused_time


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kill what the process and its children have left, then reap it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()


def _death(status: int, complaint: str) -> str:
    if status < 0:
        return f"crashed with {signal.Signals(-status).name}"
    last = (complaint.strip().splitlines() or ["no message"])[-1]
    return f"failed with status {status}: {last[:200]}"


def _parsed(label: str, output: str) -> tuple[dict[str, list[float]], tuple[str, ...]]:
    """Read the kernel's JSON, refusing what is not a series of finite numbers."""
    try:
        printed = json.loads(output)
        series = {
            str(name): [float(sample) for sample in samples]
            for name, samples in printed["series"].items()
        }
        notes = tuple(str(note) for note in printed["notes"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        shown = output.strip()[:80]
        raise MeasurementFailed(f"{label}: no samples in its output {shown!r}") from error
    for name, samples in series.items():
        if not all(map(math.isfinite, samples)):
            raise MeasurementFailed(f"{label}: series {name!r} is not finite")
    return series, notes
