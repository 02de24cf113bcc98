"""What the numbers of a calibration depend on: hardware, kernel, installation."""

import hashlib
import json
import os
import platform
import re
import site
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import psutil

GIBIBYTE = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The machine and the installation that measured.

    ``hypervisor`` and ``hz`` are None where the kernel does not tell; ``memory`` in bytes;
    ``startup_hooks``: the ``.pth`` files that run code whenever the interpreter that runs
    gilplan starts (they do not touch the kernels, which run isolated).
    """

    cpu_model: str
    cores: int
    affinity: tuple[int, ...]
    kernel_release: str
    hypervisor: bool | None
    memory: int
    clock_source: str
    hz: int | None
    gilplan_version: str
    install_mode: str
    startup_hooks: tuple[str, ...]

    @property
    def identity(self) -> str:
        """A short hash of what changes only with the hardware or the kernel."""
        stable = (self.cpu_model, self.cores, self.kernel_release, round(self.memory / GIBIBYTE))
        return hashlib.sha256(repr(stable).encode()).hexdigest()[:12]


def take_fingerprint() -> Fingerprint:
    """Read the fingerprint of this machine and this installation."""
    cpu = _read("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpu, re.MULTILINE)
    flags = re.search(r"^flags\s*:(.*)$", cpu, re.MULTILINE)
    affinity = tuple(sorted(os.sched_getaffinity(0)))
    version, mode = _installation()
    return Fingerprint(
        cpu_model=model.group(1).strip() if model else platform.processor() or platform.machine(),
        cores=len(affinity),
        affinity=affinity,
        kernel_release=platform.release(),
        hypervisor="hypervisor" in flags.group(1).split() if flags else None,
        memory=psutil.virtual_memory().total,
        clock_source=_read(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        ).strip()
        or "unknown",
        hz=_tick_rate(),
        gilplan_version=version,
        install_mode=mode,
        startup_hooks=tuple(_startup_hooks()),
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _tick_rate() -> int | None:
    """Find the kernel's tick rate in its published configuration."""
    text = _read(f"/boot/config-{platform.release()}")
    if not text and Path("/proc/config.gz").exists():
        import gzip

        text = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode(errors="replace")
    found = re.search(r"^CONFIG_HZ=(\d+)$", text, re.MULTILINE)
    return int(found.group(1)) if found else None


def _installation() -> tuple[str, str]:
    """Return gilplan's version and how it is installed: editable, regular, or none."""
    try:
        installed = distribution("gilplan")
    except PackageNotFoundError:
        return "unknown", "not installed"
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    editable = origin.get("dir_info", {}).get("editable", False)
    return installed.version, "editable" if editable else "regular"


def _startup_hooks() -> Iterator[str]:
    """Name the ``.pth`` files with lines that the ``site`` module executes."""
    for folder in site.getsitepackages():
        for path in sorted(Path(folder).glob("*.pth")):
            lines = _read(str(path)).splitlines()
            if any(line.startswith(("import ", "import\t")) for line in lines):
                yield path.name
