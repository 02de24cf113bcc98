"""Layouts as people write them."""

import pytest

from gilplan.calibration.profile import Profile
from gilplan.model.errors import InvalidValue, MissingBuild, UnsupportedLayout
from gilplan.model.layout import GilMode, Layout
from gilplan.planner.layout_option import parse_layout


def test_every_key_is_read(profile: Profile) -> None:
    text = "3.13:processes=3,interpreters=2, threads=4,gil=shared,switch_interval=1ms,cores=2"
    assert parse_layout(text).resolve(profile) == Layout(
        build="3.13.0",
        processes=3,
        interpreters=2,
        threads=4,
        gil=GilMode.SHARED,
        switch_interval=0.001,
        cores=2,
    )


@pytest.mark.parametrize(
    ("text", "gil"),
    [("3.11", GilMode.SHARED), ("3.13", GilMode.OWN), ("3.13t:threads=2", GilMode.DISABLED)],
)
def test_without_a_gil_the_build_has_its_natural_one(
    profile: Profile, text: str, gil: GilMode
) -> None:
    assert parse_layout(text).resolve(profile).gil is gil


def test_a_layout_reads_back_from_its_own_text(profile: Profile) -> None:
    layout = parse_layout("3.13:interpreters=2,switch_interval=250us").resolve(profile)
    assert parse_layout(str(layout)).resolve(profile) == layout


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", 'layout must be like "3.13:threads=4"'),
        ("3.13:", 'layout must be like "3.13:threads=4"'),
        (":threads=1", 'layout must be like "3.13:threads=4"'),
        ("3.13:treads=4", "key must be one of processes, interpreters, threads, gil, "),
        ("3.13:treads=4", "got 'treads'; did you mean 'threads'?"),
        ("3.13:threads", "threads must be given a value, got 'threads'"),
        ("3.13:threads=", "threads must be given a value"),
        ("3.13:threads=4,threads=4", "threads must be given once"),
        ("3.13:threads=0", "threads must be a whole number >= 1, got '0'"),
        ("3.13:threads=-1", "threads must be a whole number >= 1"),
        ("3.13:threads=1.5", "threads must be a whole number >= 1"),
        ("3.13:cores=0", "cores must be a whole number >= 1"),
        ("3.13:gil=none", "gil must be 'own', 'shared' or 'disabled', got 'none'"),
        ("3.13:switch_interval=5", "switch_interval must be a time"),
        ("3.13:switch_interval=0ms", "switch_interval must be longer than no time"),
        ("3.13:switch_interval=nan s", "switch_interval must be finite"),
        ("3.13:threads=1,", "key must be one of"),
    ],
)
def test_what_is_wrong_is_told_with_key_and_rule(text: str, part: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_layout(text)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error", "part"),
    [
        ("3.11:interpreters=2,gil=own", UnsupportedLayout, "gil must be 'shared' on 3.11.7"),
        ("3.13:gil=disabled", UnsupportedLayout, "gil must be 'own' or 'shared' on 3.13.0"),
        ("3.13t:gil=own", UnsupportedLayout, "gil must be 'disabled' on the free-threaded"),
        ("3.13t:interpreters=2", UnsupportedLayout, "interpreters must be 1"),
        ("3.15", MissingBuild, "build '3.15' is not in the profile"),
    ],
)
def test_what_a_build_cannot_do_is_told(
    profile: Profile, text: str, error: type[Exception], part: str
) -> None:
    with pytest.raises(error) as caught:
        parse_layout(text).resolve(profile)
    assert part in str(caught.value)
