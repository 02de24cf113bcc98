"""What a program imports, and what a check says of what became of it."""

from pathlib import Path

import click
import pytest

from gilplan.calibration.checks.check import (
    FREE_THREADED,
    OWN_GIL,
    THREADS,
    Check,
    Finding,
    Outcome,
)
from gilplan.calibration.checks.imports import Import, imports_of
from gilplan.calibration.checks.target import Requirement, read_target
from gilplan.model.errors import InvalidFile, InvalidValue, UnsupportedLayout
from gilplan.model.layout import GilMode, Layout
from gilplan.planner.check_report import check_document, check_lines, check_table, verdict
from gilplan.planner.commands.checks import refusals_of, split_refused
from gilplan.planner.plans.screening import refusal


def written(folder: Path, **files: str) -> Path:
    """Write the files; return the first."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder / f"{next(iter(files))}.py"


def names(path: Path) -> dict[str, bool]:
    return {each.module: each.optional for each in imports_of(path)}


def test_imports_are_found_wherever_they_stand(tmp_path):
    source = "import a, b.c as d\nfrom e.f import g\ndef h():\n    import i\nclass J:\n    import k"
    assert list(names(written(tmp_path, main=source))) == ["a", "b.c", "e.f", "i", "k"]


def test_imports_for_type_checkers_and_of_the_future_do_not_count(tmp_path):
    source = (
        "from __future__ import annotations\nimport typing\n"
        "if typing.TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
    )
    assert list(names(written(tmp_path, main=source))) == ["b", "typing"]


@pytest.mark.parametrize(
    ("handler", "optional"),
    [("ImportError", True), ("(KeyError, ModuleNotFoundError)", True), ("KeyError", False)],
)
def test_import_is_optional_where_its_failure_is_caught(tmp_path, handler, optional):
    source = f"try:\n    import fast\nexcept {handler}:\n    fast = None\n"
    assert names(written(tmp_path, main=source)) == {"fast": optional}


def test_import_that_is_needed_once_is_needed(tmp_path):
    source = "try:\n    import a\nexcept ImportError: pass\ndef f(): import a"
    assert names(written(tmp_path, main=source)) == {"a": False}


def test_modules_beside_the_program_are_followed_and_circles_end(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("import in_package")
    (package / "part.py").write_text("import in_part")
    main = written(tmp_path, main="import helper, package.part", helper="import main, far_off")
    assert list(names(main)) == [
        "far_off", "helper", "in_package", "in_part", "main", "package.part",
    ]  # fmt: skip


def test_program_that_does_not_parse_is_refused_with_its_line(tmp_path):
    path = written(tmp_path, main="import a\nimport")
    with pytest.raises(InvalidFile, match=r"main.py:2: source must be Python that parses"):
        read_target(str(path))


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nothing.py", "a file that is there"),
        ("nothing.txt", "a file that can be read"),
        ("not a module", "an importable MODULE"),
        ("pyproject.toml", "requirements file"),
        ("", "an importable MODULE"),
    ],
)
def test_target_that_is_none_is_refused(tmp_path, monkeypatch, target, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises((InvalidValue, InvalidFile), match=reason):
        read_target(target)


def test_program_without_imports_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="a program that imports something"):
        read_target(str(written(tmp_path, main="print(1)")))


def test_function_of_a_file_stands_for_its_file(tmp_path):
    path = written(tmp_path, main="import a\ndef task(): pass")
    target = read_target(f"{path}:task")
    assert target.imports == (Import(module="a"),)
    assert target.folder == str(tmp_path)


def test_requirements_are_read_with_nested_files_markers_hashes_and_addresses(tmp_path):
    (tmp_path / "more.txt").write_text("six\n")
    path = tmp_path / "requirements.txt"
    path.write_text(
        "# what we need\nnumpy >= 2 ; python_version < '3.12'\n-r more.txt\n"
        "Requests[socks] == 2.0 \\\n    --hash=sha256:aa\nwheel @ https://host/wheel.whl\n"
        "--index-url https://host/simple\n"
    )
    target = read_target(str(path))
    assert [each.name for each in target.requirements] == ["numpy", "six", "Requests", "wheel"]
    assert [each.applies((3, 13, 0)) for each in target.requirements] == [False, True, True, True]
    assert target.requirements[0].applies((3, 11, 7))
    assert len(target.notes) == 1, "what was left out is said"


@pytest.mark.parametrize("text", ["", "# nothing\n", "-r absent.txt\n", "!!!\n"])
def test_requirements_that_name_nothing_are_refused(tmp_path, text):
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    with pytest.raises((InvalidValue, InvalidFile)):
        read_target(str(path))


def test_requirement_without_a_marker_always_applies():
    assert Requirement(name="numpy").applies((3, 11, 0))


# What the findings mean


def finding(build: str, mode: str, module: str, outcome: Outcome, **fields: object) -> Finding:
    return Finding(build=build, mode=mode, module=module, outcome=outcome, **fields)  # type: ignore[arg-type]


CHECK = Check(
    target="app.py",
    findings=(
        finding("3.11.7", THREADS, "numpy", Outcome.FINE),
        finding("3.13.0", OWN_GIL, "json", Outcome.FINE, reason="without _json"),
        finding("3.13.0", OWN_GIL, "numpy", Outcome.REFUSES, reason="ImportError: no"),
        finding("3.13.5t", FREE_THREADED, "numpy", Outcome.ENABLES_GIL),
        finding("3.13.5t", FREE_THREADED, "old", Outcome.FAILS, everywhere=True),
        finding("3.14.2", OWN_GIL, "numpy", Outcome.MISSING),
        finding("3.15.0", OWN_GIL, "fast", Outcome.REFUSES, optional=True),
        finding("3.15.0", OWN_GIL, "faster", Outcome.MISSING, optional=True),
    ),
)


def test_refusals_stand_against_the_layouts_that_need_the_module_there():
    def reason(gil: GilMode, build: str, **fields: int) -> str | None:
        return refusal(Layout(build=build, gil=gil, **fields), CHECK.refusals)

    refused = "cannot run: numpy refuses"
    assert reason(GilMode.OWN, "3.13.0", interpreters=2) == refused
    assert reason(GilMode.OWN, "3.13.0", interpreters=2, processes=2) == refused
    assert reason(GilMode.OWN, "3.13.0", threads=4) is None
    assert reason(GilMode.OWN, "3.13.0", processes=4) is None
    assert reason(GilMode.SHARED, "3.11.7", threads=2) is None


def test_module_that_fails_everywhere_stands_against_every_layout_of_the_build():
    assert CHECK.refusals["3.13.5t"] == "old fails"
    assert CHECK.refusals["3.13.5t free-threaded"] == "numpy re-enables the GIL"


def test_what_is_not_installed_is_not_known_and_no_obstacle():
    assert ("3.14.2", OWN_GIL) not in CHECK.obstacles
    assert verdict(CHECK, "3.14.2", OWN_GIL).startswith("not known: numpy not installed")


def test_optional_module_keeps_nothing_from_running():
    assert verdict(CHECK, "3.15.0", OWN_GIL) == "can run"


def test_optional_module_that_crashes_is_an_obstacle():
    crash = finding("3.15.0", OWN_GIL, "fast", Outcome.CRASHES, optional=True)
    assert Check(target="app.py", findings=(crash,)).obstacles


def test_many_obstacles_are_summed_up():
    found = tuple(finding("3.13.0", OWN_GIL, f"m{n}", Outcome.REFUSES) for n in range(5))
    text = Check(target="app.py", findings=found).refusals["3.13.0 own-GIL interpreters"]
    assert text == "m0 refuses, m1 refuses and 3 more"


def test_document_says_of_each_build_whether_it_can_run():
    rows = check_document(CHECK)["builds"]
    assert [row["can_run"] for row in rows] == [True, False, False, None, True]
    assert rows[1]["modules"][1] == {
        "module": "numpy",
        "outcome": "refuses",
        "optional": False,
        "everywhere": False,
        "reason": "ImportError: no",
    }


def test_table_has_a_row_per_module_and_lines_give_the_reasons():
    assert check_table(CHECK).row_count == len({each.module for each in CHECK.findings})
    assert "  numpy refuses: ImportError: no" in check_lines(CHECK)
    assert "  json fine: without _json" in check_lines(CHECK)


# What other commands make of it


def layouts_of(*texts: str) -> list[Layout]:
    gils = {"own": GilMode.OWN, "disabled": GilMode.DISABLED}
    return [
        Layout(build=build, gil=gils[gil], interpreters=int(count))
        for build, gil, count in (text.split() for text in texts)
    ]


def test_layouts_that_cannot_run_are_set_apart_with_their_reasons():
    given = layouts_of("3.13.0 own 2", "3.13.0 own 1", "3.13.5t disabled 1")
    able, refused = split_refused(given, CHECK.refusals)
    assert able == [given[1]]
    assert refused == {
        "3.13.0:interpreters=2,gil=own": "cannot run: numpy refuses",
        "3.13.5t:threads=1": "cannot run: old fails",
    }


def test_layout_whose_gil_comes_back_can_be_predicted_with_it():
    layouts = [
        Layout(build="3.13.5t", threads=2, gil=gil) for gil in (GilMode.DISABLED, GilMode.SHARED)
    ]
    back = {"3.13.5t free-threaded": "numpy re-enables the GIL"}
    able, refused = split_refused(layouts, back)
    assert able == [layouts[1]]
    assert refused[str(layouts[0])].endswith("gil=shared predicts it with the GIL back")


def test_nothing_left_to_predict_is_refused_with_a_reason():
    with pytest.raises(UnsupportedLayout, match="cannot run: numpy refuses"):
        split_refused(layouts_of("3.13.0 own 2"), CHECK.refusals)


def test_without_a_target_nothing_is_refused():
    assert refusals_of(None, (), ["3.13.0"]) == {}


def test_interpreters_to_check_with_need_a_target():
    with pytest.raises(click.UsageError, match="--check TARGET"):
        refusals_of(None, (Path("python"),), ["3.13.0"])
