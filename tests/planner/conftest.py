"""What the tests of the front end share."""

from pathlib import Path

import pytest


@pytest.fixture
def workload_path(tmp_path: Path) -> Path:
    """A workload of half a millisecond's bytecode and as long a wait."""
    path = tmp_path / "web.toml"
    path.write_text(
        'name = "web"\n[[tasks]]\nname = "request"\n'
        'segments = [{ kind = "python", duration = "500us" },'
        ' { kind = "wait", duration = "500us" }]'
    )
    return path
