"""User-space probes on the two moments at which a thread gives up and regains the GIL.

CPython gives it up around a blocking or long call in ``PyEval_SaveThread`` and comes back with
``PyEval_RestoreThread``; since 3.14 a thread that blocks on a lock goes through
``PyEval_ReleaseThread`` and ``PyEval_AcquireThread`` instead. All four are exported by every
build. The probes are written to the kernel's ``uprobe_events`` by file offset, for ``perf probe``
also matches the procedure linkage table's entry of the same name and then counts twice.
"""

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gilplan.calibration.observation.probe_place import SEARCH, cheap_place
from gilplan.model.errors import MeasurementFailed

TRACING = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))


class MethodUnavailable(MeasurementFailed):
    """A method of observing cannot be used here; another one may."""


#: Event name, exported function, and whether its return is meant.
PROBES = (
    ("save", "PyEval_SaveThread", False),
    ("restore", "PyEval_RestoreThread", True),
    ("asked", "PyEval_RestoreThread", False),
    ("release", "PyEval_ReleaseThread", False),
    ("acquire", "PyEval_AcquireThread", True),
)


@dataclass(frozen=True, slots=True)
class PythonObject:
    """The file in which a process has CPython itself, and where that is.

    ``offsets`` are the file offsets at which the functions of `PROBES` are probed, by event;
    ``runtime`` the virtual address of ``_PyRuntime`` in the file and its size (0 where it is not
    exported); ``base`` what the loader added to the file's virtual addresses.
    """

    path: str
    offsets: dict[str, int]
    runtime: tuple[int, int]
    base: int

    @property
    def runtime_address(self) -> int:
        """Where ``_PyRuntime`` is in the process."""
        return self.base + self.runtime[0] if self.runtime[0] else 0


def await_python(pid: int, limit: float = 1.0) -> PythonObject:
    """Find CPython in a process that may still be loading it. Raises `MeasurementFailed`."""
    deadline = time.monotonic() + limit
    while True:
        try:
            return find_python(pid)
        except MethodUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def find_python(pid: int) -> PythonObject:
    """Find CPython in a process: the executable or a shared library. Raises `MeasurementFailed`."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError as error:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        reason = "belongs to another user, or may not be looked into" if denied else "is not there"
        raise MeasurementFailed(f"process {pid} {reason}") from None
    starts: dict[str, int] = {}
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/"):
            address, offset = int(fields[0].split("-")[0], 16), int(fields[2], 16)
            starts.setdefault(fields[5], address - offset)
    executable = os.path.realpath(f"/proc/{pid}/exe")
    paths = [path for path in starts if path == executable or "libpython" in Path(path).name]
    for path in paths:
        found = _symbols(path, starts[path])
        if found is not None:
            return found
    if not any("python" in Path(path).name for path in [executable, *starts]):
        raise MeasurementFailed(f"process {pid} is {executable}, which is not CPython")
    raise MethodUnavailable(f"process {pid}: {executable} exports no PyEval_SaveThread")


def _symbols(path: str, start: int) -> PythonObject | None:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    wanted = {function for _, function, _ in PROBES}
    entries: dict[str, int] = {}
    runtime = (0, 0)
    try:
        with open(path, "rb") as file:
            elf = ELFFile(file)
            loads = [
                segment.header for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"
            ]
            section = elf.get_section_by_name(".dynsym")
            for symbol in section.iter_symbols() if isinstance(section, SymbolTableSection) else ():
                value = symbol["st_value"]
                if not value:
                    continue
                if symbol.name in wanted:
                    entries[symbol.name] = _file_offset(value, loads)
                elif symbol.name == "_PyRuntime":
                    runtime = (value, symbol["st_size"])
            fixed = elf["e_type"] == "ET_EXEC"
            known = elf["e_machine"] == "EM_X86_64"
            offsets = {
                name: entries[function] + (_cheap(file, entries[function], at_return) * known)
                for name, function, at_return in PROBES
                if function in entries
            }
    except (OSError, ELFError):
        return None
    if not {"save", "restore"} <= set(offsets):
        return None
    first = min((load["p_vaddr"] - load["p_offset"] for load in loads), default=0)
    return PythonObject(
        path=path, offsets=offsets, runtime=runtime, base=0 if fixed else start - first
    )


def _cheap(file: IO[bytes], offset: int, at_return: bool) -> int:
    file.seek(offset)
    return cheap_place(file.read(SEARCH + 16), at_return=at_return)


def _file_offset(address: int, loads: Sequence[Mapping[str, int]]) -> int:
    for load in loads:
        if load["p_vaddr"] <= address < load["p_vaddr"] + load["p_filesz"]:
            return address - load["p_vaddr"] + load["p_offset"]
    return address


def tracing_folder() -> Path:
    """Return where the kernel takes probes. Raises `MeasurementFailed` where it does not."""
    for folder in TRACING:
        file = folder / "uprobe_events"
        if os.access(file, os.W_OK):
            return folder
    if os.geteuid() == 0 and not any((folder / "README").exists() for folder in TRACING):
        raise MethodUnavailable(
            f"the kernel's tracefs is not mounted: mount -t tracefs tracefs {TRACING[0]}, "
            "or use --method sampling"
        )
    raise MethodUnavailable(
        "the kernel takes no probes from this user (tracefs' uprobe_events cannot be written): "
        "run as root, or use --method sampling"
    )


@contextmanager
def placed(python: PythonObject, *, several_threads: bool) -> Iterator[list[str]]:
    """Place the probes, give their event names for ``perf record -e``, remove them at the end.

    With ``several_threads`` the moment at which a thread begins to ask for the GIL is probed too,
    so that waiting for it can be told from work without it.
    """
    events = tracing_folder() / "uprobe_events"
    _remove_orphans(events)
    group = f"gilplan_{os.getpid()}_{secrets.token_hex(3)}"
    placed_names: list[str] = []
    try:
        for name, _, at_return in PROBES:
            if name not in python.offsets or (name == "asked" and not several_threads):
                continue
            kind = "r" if at_return else "p"
            offset = python.offsets[name]
            # First the name: an interrupt may come as soon as the probe is there.
            placed_names.append(f"{group}/{name}")
            _append(events, f"{kind}:{group}/{name} {python.path}:{offset:#x}")
        yield [name.replace("/", ":") for name in placed_names]
    finally:
        for name in placed_names:
            _remove(events, name)


def _remove_orphans(events: Path) -> None:
    """Remove the probes of observers that were killed and could not do it themselves."""
    for line in events.read_text(errors="replace").splitlines():
        match = re.match(r"[pr]:(gilplan_(\d+)_\w+/\w+) ", line)
        if match is not None and not Path(f"/proc/{match[2]}").exists():
            _remove(events, match[1])


def _append(events: Path, line: str) -> None:
    try:
        _write(events, line)
    except OSError as error:
        raise MethodUnavailable(f"the kernel refuses a probe: {error.strerror}") from None


def _remove(events: Path, name: str) -> None:
    """Remove a probe; perf that has just ended may still hold it for a moment."""
    for _ in range(50):
        try:
            _write(events, f"-:{name}")
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return


def _write(events: Path, line: str) -> None:
    """Append a line. Truncation would remove everybody's probes, and seeking is not possible."""
    descriptor = os.open(events, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)
