"""The store of a sweep: what is in it stays, and only one writes it."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gilplan.model.errors import StoreError
from gilplan.model.statistics import Interval
from gilplan.planner.sweeps.outcome import Outcome
from gilplan.planner.sweeps.store import FORMAT_VERSION, open_store

ENGINE = "1.0+abc"
OUTCOME = Outcome(
    intervals={
        "throughput": Interval(mean=1 / 3, lower=0.1 + 0.2, upper=float("inf")),
        "response_time_p99": Interval(mean=1e-9, lower=-5e-324, upper=2e300),
    },
    overloaded=False,
    replications=4,
    warnings=("it's made up", "Gänsefüßchen »"),
)
OTHER = Outcome(intervals={}, overloaded=True, replications=1)


def test_an_outcome_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    with open_store(tmp_path / "new folder" / "s.sqlite", ENGINE) as store:
        store.keep("a", "3.13.0:threads=1", OUTCOME)
        store.keep("b", "3.13.0:threads=2", OTHER)
    with open_store(tmp_path / "new folder" / "s.sqlite", ENGINE) as store:
        assert store.find(["a", "b", "c"]) == {"a": OUTCOME, "b": OTHER}
        assert store.find(["c"]) == {}


def test_a_point_is_kept_once(tmp_path: Path) -> None:
    with open_store(tmp_path / "s.sqlite", ENGINE) as store:
        store.keep("a", "layout", OUTCOME)
        store.keep("a", "layout", OTHER)
        assert len(store) == 1
        assert store.find(["a"]) == {"a": OUTCOME}


def refusal(path: Path, engine: str = ENGINE) -> str:
    with pytest.raises(StoreError) as caught, open_store(path, engine):
        pass
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text


@pytest.mark.parametrize("full", [False, True])
def test_a_second_writer_is_refused(tmp_path: Path, full: bool) -> None:
    path = tmp_path / "s.sqlite"
    code = (
        "import sys; from pathlib import Path\n"
        "from gilplan.planner.sweeps.store import open_store\n"
        f"with open_store(Path(sys.argv[1]), {ENGINE!r}): print(flush=True); sys.stdin.read()"
    )
    if full:  # the other process then finds everything there and writes nothing
        with open_store(path, ENGINE) as store:
            store.keep("a", "layout", OUTCOME)
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "\n"
        assert "another process is writing it; wait for that one" in refusal(path)
        holder.kill()
    with open_store(path, ENGINE) as store:  # its lock went with it
        assert len(store) == full


def test_a_store_of_another_engine_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with open_store(path, ENGINE) as store:
        store.keep("a", "layout", OUTCOME)
    assert "engine of the store must be 1.1+def, got 1.0+abc" in refusal(path, "1.1+def")
    with open_store(path, ENGINE) as store:
        assert len(store) == 1


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with open_store(path, ENGINE):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert f"format of the store must be {FORMAT_VERSION}, got 99" in refusal(path)


def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be read as the header of one" * 9)
    assert "no SQLite file" in refusal(text)
    other = tmp_path / "photos.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = other.read_bytes()
    assert "got another SQLite file" in refusal(other)
    assert other.read_bytes() == before
    assert "cannot be opened" in refusal(tmp_path)
    assert "cannot be opened" in refusal(text / "s.sqlite")


def test_a_full_disk_is_told_and_what_was_kept_is_safe(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from gilplan.model.errors import StoreError\n"
        "from gilplan.planner.sweeps.outcome import Outcome\n"
        "from gilplan.planner.sweeps.store import open_store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        f"    with open_store(Path(sys.argv[1]), {ENGINE!r}) as store:\n"
        "        for key in range(10_000):\n"
        "            outcome = Outcome(intervals={}, overloaded=False, replications=key)\n"
        "            store.keep(str(key), 'layout', outcome)\n"
        "            kept = key + 1\n"
        "except StoreError as error:\n"
        "    print(kept, error)\n"
    )
    path = tmp_path / "s.sqlite"
    command = [sys.executable, "-c", code, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    kept, line = told.stdout.split(" ", 1)
    assert "store cannot be written" in line
    assert "what is finished is safe" in line
    with open_store(path, ENGINE) as store:
        found = store.find([str(key) for key in range(10_000)])
    assert 0 < int(kept) < 10_000
    assert [found[str(key)].replications for key in range(int(kept))] == list(range(int(kept)))
