"""The state of a GIL, read from outside the process.

From 3.13 the runtime begins with ``_Py_DebugOffsets``, which tells where the main interpreter's
GIL is. Before, its structure is found by its first field, the switch interval in microseconds,
inside ``_PyRuntime``, where the main interpreter's GIL lies: interval, last holder, locked
(pycore_gil.h, the same from 3.11 to 3.14 in builds with a GIL).
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gilplan.calibration.observation.probes import MethodUnavailable, PythonObject

COOKIE = b"xdebugpy"
#: Index, among the 64-bit numbers of the offsets, of the first interpreter and of its GIL's lock.
FIRST_INTERPRETER = 5
LOCKED = {13: 17, 14: 18}
DEFAULT_INTERVAL = 5000
LOCKED_AFTER_INTERVAL = 16


@dataclass(frozen=True, slots=True)
class GilState:
    """An open process memory, and where in it the GIL says whether it is held."""

    memory: int
    address: int

    def locked(self) -> bool:
        """Whether some thread holds the GIL now. Raises `OSError` once the process has ended."""
        return os.pread(self.memory, 4, self.address) == b"\x01\0\0\0"


@contextmanager
def opened(pid: int) -> Iterator[int]:
    """Open the memory of a process. Raises `MethodUnavailable` where that is not allowed."""
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError as error:
        raise MethodUnavailable(
            f"process {pid}: its memory cannot be read: {error.strerror}"
        ) from None
    try:
        yield memory
    finally:
        os.close(memory)


def from_offsets(memory: int, python: PythonObject) -> GilState | None:
    """Find the main interpreter's GIL by the runtime's own description; None without one."""
    head = _read(memory, python.runtime_address, 64 * 8)
    if not head.startswith(COOKIE):
        return None
    numbers = struct.unpack_from("<64Q", head)
    version, free_threaded = numbers[1], numbers[2]
    place = LOCKED.get(version >> 16 & 0xFF)
    if place is None or free_threaded:
        return None
    pointer = _read(memory, python.runtime_address + numbers[FIRST_INTERPRETER], 8)
    interpreter = int.from_bytes(pointer, "little")
    return GilState(memory, interpreter + numbers[place])


def from_interval(memory: int, python: PythonObject, microseconds: int) -> GilState | None:
    """Find the GIL by its switch interval; None unless exactly one place looks like it."""
    start, size = python.runtime_address, python.runtime[1]
    content = _read(memory, start, size)
    wanted = struct.pack("<Q", microseconds)
    found = []
    place = content.find(wanted)
    while place >= 0:
        if place % 8 == 0 and place + 24 <= len(content):
            holder, locked = struct.unpack_from("<Qi", content, place + 8)
            if locked in (-1, 0, 1) and holder % 8 == 0 and holder > 4096:
                found.append(start + place + LOCKED_AFTER_INTERVAL)
        place = content.find(wanted, place + 1)
    return GilState(memory, found[0]) if len(found) == 1 else None


def _read(memory: int, address: int, size: int) -> bytes:
    if not address or not size:
        raise MethodUnavailable("this build exports no _PyRuntime")
    try:
        return os.pread(memory, size, address)
    except OSError as error:
        raise MethodUnavailable(f"its memory cannot be read: {error.strerror}") from None
