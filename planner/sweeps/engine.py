"""Which engine gives the results: two that differ must never be mixed."""

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from gilplan.calibration.profile import gilplan_version

#: Packages and modules whose source decides what a scenario's prediction is.
SOURCES = ("gilplan.model", "gilplan.planner.forecast")
#: Libraries that draw the samples and take them in turn.
LIBRARIES = ("numpy", "scipy", "simpy")


@cache
def engine_identity() -> str:
    """Return gilplan's version with a hash of the engine's source and of its libraries' versions.

    An edit of the engine changes it although the version stays: a store never answers with what
    yesterday's model said.
    """
    digest = hashlib.sha256()
    for path in _files():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for library in LIBRARIES:
        digest.update(f"{library} {version(library)}\0".encode())
    return f"{gilplan_version()}+{digest.hexdigest()[:12]}"


def _files() -> list[Path]:
    files: list[Path] = []
    for name in SOURCES:
        spec = find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None, name
        origin = Path(spec.origin)
        files += sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    return files
