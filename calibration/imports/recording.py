"""What a sampling profiler's recording says: how long threads were in a state."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gilplan.model.errors import InvalidFile


class Counted(StrEnum):
    """Which threads a recording counted at each sample."""

    GIL = "gil"  # those with the GIL: py-spy record --gil, Tachyon --mode gil
    CPU = "cpu"  # those on a core: py-spy record, Tachyon --mode cpu
    WALL = "wall"  # all: py-spy record --idle, Tachyon --mode wall


HOW = "gil:FILE (py-spy --gil), cpu:FILE (py-spy as it is), wall:FILE (py-spy --idle)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Samples of one recording, by thread.

    ``seconds`` per sample is None where the file does not say; ``counted`` is None where neither
    the file nor the user says. ``threads`` has one entry, "", where the file tells none apart.
    """

    path: str
    tool: str
    threads: dict[str, float]
    seconds: float | None = None
    counted: Counted | None = None

    @property
    def samples(self) -> float:
        return sum(self.threads.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTimes:
    """How long threads held the GIL, ran without it, and were blocked, in seconds; all of them.

    ``samples`` is how often somebody looked; ``build`` the CPython version, "" where not told.
    """

    source: str
    held: float
    released: float
    blocked: float
    samples: float
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        return self.held + self.released + self.blocked


def read_text(path: Path) -> str:
    """Return the file's text. Raises `InvalidFile`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidFile(
            str(path), 1, "the recording", "a text file that can be read", reason, BINARY
        ) from None


BINARY = (
    "of Tachyon's formats --gecko, --jsonl and --collapsed can be read (`python -m "
    "profiling.sampling replay` converts --binary); pstats and HTML do not hold the GIL's state"
)
