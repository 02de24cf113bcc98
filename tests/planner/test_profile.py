"""Profiles: written whole, read back equal, refused with a reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gilplan.calibration.atomic_file import require_writable, write_text
from gilplan.calibration.profile import FORMAT_VERSION, Profile, load, save
from gilplan.model.errors import GilplanError, MissingBuild, ProfileError
from gilplan.model.estimate import Estimate


@pytest.fixture
def path(tmp_path: Path, profile: Profile) -> Path:
    path = tmp_path / "folder" / "profile.json"
    save(profile, path)
    return path


def test_a_saved_profile_reads_back_equal(path: Path, profile: Profile) -> None:
    assert load(path) == profile
    assert load(path).identity == profile.identity


def test_estimates_without_bounds_and_with_flags_survive(tmp_path: Path, profile: Profile) -> None:
    doubtful = Estimate(
        value=1.0, lower=0.0, upper=float("inf"), source="k", residual=0.1, flags=("at bound",)
    )
    odd = replace(profile, machine=replace(profile.machine, timer_slack=doubtful))
    save(odd, tmp_path / "p.json")
    assert load(tmp_path / "p.json") == odd


def test_the_identity_changes_with_what_was_measured(profile: Profile) -> None:
    assert replace(profile, runtimes=profile.runtimes[:1]).identity != profile.identity
    assert replace(profile, notes=()).identity == profile.identity


def test_a_series_means_the_newest_build_in_the_profile(profile: Profile) -> None:
    assert profile.runtime("3.13").build == "3.13.0"
    assert profile.runtime("3.13t").build == "3.13.5t"
    with pytest.raises(MissingBuild, match=r"3\.14.*in the profile; there are: 3\.11\.7, 3\.12"):
        profile.runtime("3.14")


def rewritten(path: Path, change: Callable[[dict], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_an_absent_profile_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no profile there; run `gilplan calibrate`"):
        load(tmp_path / "absent.json")


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_profile_is_refused(path: Path, kept: float) -> None:
    text = path.read_text()
    path.write_text(text[: int(kept * len(text))])
    with pytest.raises(ProfileError, match="truncated or not JSON"):
        load(path)


def test_what_is_no_profile_is_refused(path: Path) -> None:
    path.write_text("[]")
    with pytest.raises(ProfileError, match="must be a JSON object"):
        load(path)
    path.write_bytes(b"\xff\x00")
    with pytest.raises(ProfileError, match="not UTF-8"):
        load(path)


def test_another_format_version_is_refused(path: Path) -> None:
    rewritten(path, lambda document: document.update(format_version=99))
    with pytest.raises(ProfileError, match=f"format_version must be {FORMAT_VERSION}, got 99"):
        load(path)


def test_a_field_that_breaks_a_rule_is_named(path: Path) -> None:
    rewritten(path, lambda document: document["machine"].update(cores=0))
    with pytest.raises(ProfileError, match=r"machine: cores must be a whole number >= 1, got 0"):
        load(path)


def test_a_missing_field_is_named(path: Path) -> None:
    rewritten(path, lambda document: document["machine"].pop("timer_slack"))
    with pytest.raises(ProfileError, match=r"machine\.timer_slack: Field required"):
        load(path)


def test_a_profile_of_another_machine_is_refused_unless_allowed(
    path: Path, profile: Profile
) -> None:
    assert load(path, machine_identity=profile.machine.identity) == profile
    with pytest.raises(ProfileError, match="'here', got 'two made-up cores'"):
        load(path, machine_identity="here")


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    for write in (require_writable, lambda path: write_text(path, "new")):
        with pytest.raises(GilplanError, match="cannot be written"):
            write(tmp_path / "file" / "below")
    require_writable(tmp_path / "file")
    with pytest.raises(GilplanError, match="cannot be written: not an ordinary file"):
        write_text(tmp_path, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "file", "\ud800")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]
