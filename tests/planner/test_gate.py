"""Gates: a file of bands, and the exit status when something has moved out of them."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from gilplan.calibration.profile import Profile, save
from gilplan.calibration.workload_file import read_workload
from gilplan.model.errors import InvalidFile, InvalidValue
from gilplan.model.workload import Workload
from gilplan.planner.cli import main
from gilplan.planner.display import table_text
from gilplan.planner.gates.gate import Band, Gate, Guarded, Moved, check, new_gate
from gilplan.planner.gates.gate_file import read_gate, write_gate
from gilplan.planner.gates.gate_table import gate_table

LAYOUTS = ("3.13:threads=2", "3.13:interpreters=2,gil=own")
GATE = Gate(
    workload="web.toml",
    profile="abc",
    version="0.1",
    seed=3,
    rate=100.0,
    guarded=(
        Guarded(
            layout="3.13:threads=2",
            build="3.13.0",
            bands={"capacity": Band.around(900.0, 0.05), "p99": Band.around(0.012, 0.15)},
        ),
    ),
)


WORKLOAD = (
    'name = "web"\n[[tasks]]\nname = "request"\n'
    'segments = [{ kind = "python", duration = "500us" }, { kind = "wait", duration = "400us" }]'
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> Path:
    """A folder with a workload, a profile, and a gate that the command wrote."""
    folder = tmp_path_factory.mktemp("gate")
    save(profile, folder / "profile.json")
    (folder / "web.toml").write_text(WORKLOAD)
    wanted = [text for layout in LAYOUTS for text in ("--layout", layout)]
    path = ["gate", "--write", str(folder / "gate.toml"), "--workload", str(folder / "web.toml")]
    assert main([*path, "--rate", "300", *wanted, *options(folder)]) == 0
    return folder


def options(folder: Path) -> list[str]:
    return ["--profile", str(folder / "profile.json"), "--allow-foreign"]


@pytest.fixture
def here(written: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    return Path(copytree(written, tmp_path / "copy"))


def changed(folder: Path, demand: str) -> Workload:
    path = folder / "web.toml"
    path.write_text(WORKLOAD.replace("500us", demand))
    return read_workload(path)[0]


def test_gate_file_is_read_back_as_written(tmp_path: Path) -> None:
    write_gate(GATE, tmp_path / "gate.toml")
    assert read_gate(tmp_path / "gate.toml") == GATE


def test_what_has_not_changed_passes(here: Path, profile: Profile) -> None:
    passage = check(read_gate(here / "gate.toml"), changed(here, "500us"), profile)
    assert passage.passed
    assert passage.notes == ()
    assert [(row.layout, row.quantity) for row in passage.rows] == [
        (layout, quantity) for layout in LAYOUTS for quantity in ("capacity", "p99")
    ]
    assert all(row.now == row.band.expected for row in passage.rows)


def test_a_slower_program_fails_with_the_table_of_what_moved(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(here, "650us")
    capsys.readouterr()
    assert main(["gate", str(here / "gate.toml"), *options(here)]) == 1
    table = capsys.readouterr().out
    assert "what moved out of its band" in table
    capacity = next(line for line in table.splitlines() if LAYOUTS[0] in line)
    assert "worse" in capacity
    assert "-2" in capacity


def test_a_faster_program_is_told_to_be_written_again(here: Path, profile: Profile) -> None:
    passage = check(read_gate(here / "gate.toml"), changed(here, "400us"), profile)
    assert not passage.passed
    assert "better: write the gate again" in table_text(gate_table(passage))


def test_another_profile_and_a_newer_build_are_told(here: Path, profile: Profile) -> None:
    newest = replace(profile.runtime("3.13"), build="3.13.9", version=(3, 13, 9))
    updated = replace(profile, runtimes=(*profile.runtimes, newest))
    told = " ".join(check(read_gate(here / "gate.toml"), changed(here, "500us"), updated).notes)
    assert f"the profile is {updated.identity}" in told
    assert "3.13:threads=2 is 3.13.9 now, it was 3.13.0" in told


def test_overload_is_outside_every_band() -> None:
    moved = Moved(layout="3.13", quantity="p99", band=Band.around(0.01, 0.1), now=None)
    assert not moved.is_inside
    assert moved.change is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "format_version must be 1"),
        ("format_version = 2", "write it with --write again"),
        ("format_version =", "valid TOML"),
        ("format_version = 1\nworkload = 3", ":2: workload must be a text, got 3"),
    ],
)
def test_damaged_gate_is_refused_with_its_place(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(InvalidFile) as error:
        read_gate(path)
    assert part in str(error.value)
    with pytest.raises(InvalidFile, match="No such file"):
        read_gate(tmp_path / "none.toml")


def test_band_that_does_not_hold_its_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="around what is expected"):
        Band(expected=2.0, lower=3.0, upper=4.0)
    path = tmp_path / "gate.toml"
    write_gate(GATE, path)
    path.write_text(path.read_text().replace("expected = 900.0", 'expected = "many"'))
    with pytest.raises(InvalidFile, match="expected must be a finite number"):
        read_gate(path)


def test_rate_beyond_the_capacity_makes_no_gate(here: Path, profile: Profile) -> None:
    with pytest.raises(InvalidValue, match="below what layout 3"):
        new_gate(changed(here, "500us"), "web.toml", ["3.13"], profile, rate=90_000.0)
