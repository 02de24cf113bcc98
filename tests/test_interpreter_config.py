"""The settings of sub-interpreters: presets, what is refused, and what they mean for a layout."""

from dataclasses import asdict, replace

import pytest

from gilplan.model.errors import InvalidValue, UnsupportedLayout
from gilplan.model.estimate import Estimate
from gilplan.model.interpreter_config import (
    EMPTY,
    FLAGS,
    ISOLATED,
    LEGACY,
    InterpreterConfig,
    InterpreterGil,
    Verdict,
    preset,
)
from gilplan.model.layout import GilMode, Layout
from gilplan.model.runtime import Runtime
from gilplan.planner.exports import layout_document
from gilplan.planner.layout_option import parse_layout


class Calibrated:
    """Every build that is asked for."""

    def runtime(self, build: str) -> Runtime:
        numbers = [int(part) for part in build.rstrip("t").split(".")]
        major, minor, micro = (*numbers, 0)[:3]
        cost = Estimate.exact(1e-7, "test")
        return Runtime(
            build=build,
            version=(major, minor, micro),
            free_threaded=build.endswith("t"),
            release_time=cost,
            poll_time=cost,
        )


def resolved(text: str) -> Layout:
    return parse_layout(text).resolve(Calibrated())


def test_default_settings_are_those_of_interpreters_create():
    assert InterpreterConfig() == ISOLATED == preset("isolated")


def test_legacy_checks_extensions_on_a_free_threaded_build_only():
    assert preset("legacy") == LEGACY
    on_free_threaded = preset("legacy", free_threaded=True)
    assert on_free_threaded == replace(LEGACY, check_multi_interp_extensions=True)
    assert LEGACY.verdict(free_threaded=True) is Verdict.REFUSED
    assert on_free_threaded.verdict(free_threaded=True) is Verdict.CREATED


def test_unknown_preset_is_refused_by_name():
    with pytest.raises(InvalidValue, match="config must be one of isolated, legacy, empty"):
        preset("main")


@pytest.mark.parametrize(("field", "value"), [("allow_fork", 1), ("gil", "mine"), ("gil", None)])
def test_setting_of_another_type_is_refused(field, value):
    with pytest.raises(InvalidValue, match=field):
        InterpreterConfig(**{field: value})


def test_gil_may_be_given_by_name():
    assert InterpreterConfig(gil="shared").gil is InterpreterGil.SHARED  # type: ignore[arg-type]


def test_empty_preset_cannot_be_made_unchanged():
    assert EMPTY.verdict() is Verdict.REFUSED
    with pytest.raises(InvalidValue, match="check_multi_interp_extensions must be true"):
        EMPTY.check()


def test_own_gil_with_the_main_allocator_is_refused_as_documented():
    config = replace(LEGACY, gil=InterpreterGil.OWN)
    assert config.verdict() is Verdict.FORBIDDEN
    with pytest.raises(InvalidValue, match="forbidden by CPython's documentation, not refused"):
        config.check()


@pytest.mark.parametrize(
    ("config", "said", "not_said"),
    [
        (
            ISOLATED,
            ("os.fork", "os.exec", "daemon", "extension", "1 MiB"),
            ("no threads", "main's"),
        ),
        (LEGACY, ("main's GIL",), ("os.fork", "extension", "daemon", "1 MiB")),
        (EMPTY, ("no threads", "main's GIL", "1 MiB"), ("extension",)),
    ],
)
def test_consequences_name_what_each_setting_takes_away(config, said, not_said):
    text = " / ".join(config.consequences)
    assert [word for word in said if word not in text] == []
    assert [word for word in not_said if word in text] == []


def test_text_is_the_nearest_preset_and_what_differs():
    assert str(ISOLATED) == "isolated"
    assert str(replace(ISOLATED, gil=InterpreterGil.SHARED)) == "isolated"
    assert str(replace(LEGACY, allow_threads=False)) == "legacy,allow_threads=no"


@pytest.mark.parametrize(
    "text",
    [
        "3.13:interpreters=2,gil=own,config=isolated",
        "3.13:interpreters=2,threads=4,gil=shared,config=legacy",
        "3.13:interpreters=2,gil=shared,config=isolated,allow_fork=yes,allow_threads=no",
        "3.11:interpreters=2,gil=shared,config=legacy",
    ],
)
def test_layout_reads_back_what_it_writes(text):
    layout = resolved(text)
    assert str(layout) == text
    assert resolved(str(layout)) == layout


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("3.13:interpreters=2", ISOLATED),
        ("3.13:interpreters=2,gil=shared", LEGACY),
        ("3.11:interpreters=2", LEGACY),
        ("3.13:interpreters=2,config=legacy", LEGACY),
        ("3.13:interpreters=2,config=isolated", ISOLATED),
        ("3.13:threads=2", None),
    ],
)
def test_interpreters_of_a_layout_have_the_settings_that_fit_its_gil(text, config):
    assert resolved(text).interpreter_config == config


def test_changed_flag_starts_from_the_settings_that_fit_the_gil():
    own = resolved("3.13:interpreters=2,allow_fork=yes")
    shared = resolved("3.13:interpreters=2,gil=shared,allow_fork=no")
    assert own.config == replace(ISOLATED, allow_fork=True)
    assert shared.config == replace(LEGACY, allow_fork=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3.13:interpreters=2,threads=4,allow_threads=no", "threads must be 1 where config has"),
        ("3.13:interpreters=2,config=legacy,gil=own", "use_main_obmalloc must be false"),
        ("3.13:interpreters=2,config=empty", "check_multi_interp_extensions must be true"),
        ("3.13:interpreters=2,config=isolatd", "config must be one of isolated, legacy, empty"),
        ("3.13:config=isolated", "config must be left out with interpreters=1"),
        ("3.13:interpreters=2,allow_fork=1", "allow_fork must be 'yes' or 'no'"),
    ],
)
def test_impossible_settings_are_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidValue, match=reason) as refusal:
        resolved(text)
    assert repr(text) in str(refusal.value)


def test_layout_built_in_python_must_not_contradict_its_settings():
    with pytest.raises(InvalidValue, match="gil must be 'own' as its config says, got 'shared'"):
        Layout(build="3.13.0", interpreters=2, gil=GilMode.SHARED, config=ISOLATED)


def test_settings_came_with_312():
    with pytest.raises(UnsupportedLayout, match=r"config must be 'legacy' on 3\.11"):
        resolved("3.11:interpreters=2,config=legacy,allow_fork=no")


def test_document_of_a_layout_names_its_settings_as_text():
    assert layout_document(resolved("3.13:interpreters=2,config=isolated"))["config"] == "isolated"
    assert layout_document(resolved("3.13:interpreters=2"))["config"] is None


def test_flags_are_all_fields_but_the_gil():
    assert [*FLAGS, "gil"] == list(asdict(ISOLATED))


def test_free_threaded_build_may_have_its_gil_back_but_none_per_interpreter():
    layout = resolved("3.13t:threads=2,gil=shared")
    assert str(layout) == "3.13t:threads=2,gil=shared"
    assert layout.mode == "threads"
    with pytest.raises(UnsupportedLayout, match="gil must be 'disabled' on the free-threaded"):
        resolved("3.13t:threads=2,gil=own")
