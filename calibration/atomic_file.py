"""Files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path

from gilplan.model.errors import GilplanError


def write_text(path: Path, text: str) -> None:
    """Replace the file at ``path`` by one that holds ``text``, in one step.

    The text goes to a temporary file in the same folder (made where it is missing) and to the
    disk before the old file gives way: a crash or a full disk leaves the old file as it was.
    Raises `GilplanError` where the file cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OSError(None, "not an ordinary file")
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise GilplanError(
            f"{path}: cannot be written: {error.strerror}; choose another file with -o"
        ) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
