"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gilplan.model.errors import GilplanError


def write_text(path: Path, text: str) -> None:
    """Replace the file at ``path`` by one that holds ``text``, as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at ``path`` by one that holds ``content``, in one step.

    The content goes to a temporary file in the same folder (made where it is missing) and to the
    disk before the old file gives way: a crash or a full disk leaves the old file as it was.
    Raises `GilplanError` where the file cannot be written.
    """
    with _beside(path) as (file, temporary):
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)


def require_writable(path: Path) -> None:
    """Raise `GilplanError` now where `write_text` would, before minutes are spent measuring."""
    with _beside(path):
        pass


@contextmanager
def _beside(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Give a temporary file in the folder of ``path``; gone at the end unless it was moved."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OSError(None, "not an ordinary file")
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with open(descriptor, "wb") as file:
            yield file, temporary
    except OSError as error:
        raise GilplanError(
            f"{path}: cannot be written: {error.strerror}; choose another file with -o"
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
