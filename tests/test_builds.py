"""Finding CPython builds, asking them what they can do, and naming them."""

import json
import os
import sys
from pathlib import Path

import pytest

from gilplan.calibration.builds import Build, find_builds, match_build, probe
from gilplan.model.errors import MissingBuild

SAID = {
    "implementation": "CPython",
    "version": [3, 12, 1],
    "release": "",
    "free_threaded": False,
    "switch_interval": 0.005,
    "debug": False,
    "jit": False,
    "flags": "'--enable-optimizations' -O2 -O3 -flto",
    "compiler": "GCC 12",
}
NAMES = ["3.9.1", "3.11.7", "3.13.0", "3.13.11", "3.13.5", "3.13.5t", "3.14.0rc1", "3.15.0a1t"]


def interpreter(folder: Path, script: str, name: str = "python3.12") -> Path:
    """Lay down an executable that answers as ``script`` does, whatever it is asked."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def says(**changes: object) -> str:
    return f"echo '{json.dumps(SAID | changes).replace(chr(39), '')}'"


def test_the_build_that_runs_the_tests_is_found_and_described() -> None:
    builds, _ = find_builds()
    version = sys.version_info[:3]
    own = next(
        build for build in builds if Path(build.path).samefile(os.path.realpath(sys.executable))
    )
    assert own.version == version
    assert own.switch_interval == pytest.approx(0.005)
    assert own.free_threaded or "threads" in own.answers
    assert bool(own.own_gil_module) == (version >= (3, 12) and not own.free_threaded)


def test_builds_are_ordered_and_have_distinct_names() -> None:
    builds, _ = find_builds()
    names = [build.name for build in builds]
    assert len(set(names)) == len(names)
    assert [build.version for build in builds] == sorted(build.version for build in builds)


def test_a_build_is_described_by_what_it_says(tmp_path: Path) -> None:
    script = says() + "\n" + 'echo \'{"own_gil_module": "m", "complete": true}\''
    build, note = probe(interpreter(tmp_path, script))
    assert note == ""
    assert build is not None
    assert (build.name, build.version, build.own_gil_module) == ("3.12.1", (3, 12, 1), "m")
    assert build.optimisations == ("-O3", "pgo", "lto")
    assert build.answers == ("threads", "own-GIL interpreters", "processes")


@pytest.mark.parametrize(
    ("script", "part"),
    [
        ("kill -SEGV $$", "died of signal 11"),
        ("exit 3", "ended with status 3"),
        ("echo hello", "not a Python that answers"),
        (says(implementation="PyPy"), "PyPy 3.12.1 is not CPython"),
        (says(version=[3, 10, 13]), "CPython 3.10.13 is older than 3.11"),
    ],
)
def test_what_is_no_build_costs_a_note(tmp_path: Path, script: str, part: str) -> None:
    build, note = probe(interpreter(tmp_path, script))
    assert build is None
    assert part in note


def test_a_hanging_build_is_given_up(tmp_path: Path) -> None:
    build, note = probe(interpreter(tmp_path, "exec sleep 600"), time_limit=0.1)
    assert build is None
    assert "gave no answer within 0.1 s" in note


def test_a_build_that_dies_creating_an_interpreter_is_kept_without(tmp_path: Path) -> None:
    build, note = probe(interpreter(tmp_path, says() + "\nkill -SEGV $$"))
    assert build is not None
    assert build.answers == ("threads", "processes")
    assert "died of signal 11 while it created a sub-interpreter" in note


def test_builds_on_path_are_found_once_and_shims_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = says(version=[3, 12, 99]) + "\n" + "echo '{\"complete\": true}'"
    path = interpreter(tmp_path / "bin", answer)
    (tmp_path / "bin" / "python3").symlink_to(path)
    interpreter(tmp_path / "shims", says(version=[3, 12, 98]))
    pyenv = interpreter(tmp_path / "versions", "", "unused").parent / "3.12.97" / "bin"
    pyenv.parent.mkdir()
    interpreter(pyenv, says(version=[3, 12, 97]) + "\n" + "echo '{\"complete\": true}'")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{tmp_path / 'shims'}:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    names = [build.name for build in find_builds()[0]]
    assert names.count("3.12.99") == 1
    assert "3.12.97" in names
    assert "3.12.98" not in names


def test_an_asked_build_wins_over_a_found_one_of_the_same_name(tmp_path: Path) -> None:
    version = list(sys.version_info[:3])
    answer = says(version=version) + "\n" + "echo '{\"complete\": true}'"
    asked = interpreter(tmp_path, answer)
    builds, notes = find_builds([asked, tmp_path / "absent"])
    found = next(build for build in builds if list(build.version) == version)
    assert found.path == str(asked)
    assert any("absent: left out, not a file to run" in note for note in notes)
    assert any(f"{asked} is {found.name} already" in note for note in notes)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("3.13.0", "3.13.0"),
        ("3.13", "3.13.11"),
        ("3.13t", "3.13.5t"),
        ("3", "3.14.0rc1"),
        ("3.14", "3.14.0rc1"),
        ("3.15t", "3.15.0a1t"),
    ],
)
def test_a_series_means_its_newest_build(wanted: str, name: str) -> None:
    assert match_build(wanted, NAMES) == name


@pytest.mark.parametrize("wanted", ["3.1", "3.12", "3.11t", "3.15", "", "python"])
def test_an_absent_build_is_told_with_those_present(wanted: str) -> None:
    with pytest.raises(MissingBuild, match=r"not on this machine; there are: 3\.9\.1, 3\.11\.7"):
        match_build(wanted, NAMES)


def test_a_final_release_is_newer_than_its_candidates() -> None:
    assert match_build("3.14", ["3.14.0", "3.14.0rc1", "3.14.0a7"]) == "3.14.0"


def test_free_threaded_builds_carry_a_t_and_answer_without_interpreters() -> None:
    build = Build(path="p", version=(3, 13, 5), free_threaded=True)
    assert build.name == "3.13.5t"
    assert build.answers == ("free-threaded", "processes")
