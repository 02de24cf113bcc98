"""The installed package is the checkout: names, exports, layers, and what `--help` imports.

Runs on the editable install and, from outside the checkout, on the wheel.
"""

import ast
import doctest
import importlib
import importlib.resources
import importlib.util
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("model", "calibration", "planner")
#: Folders of scripts that other interpreters run by path; they are shipped, not imported.
SCRIPT_FOLDERS = (
    "calibration/harness",
    "calibration/kernels",
    "calibration/probes",
    "calibration/programs",
)
#: CPython's own modules for sub-interpreters, absent from `sys.stdlib_module_names` of some builds.
INTERPRETER_MODULES = {
    "_interpchannels",
    "_interpqueues",
    "_interpreters",
    "_xxinterpchannels",
    "_xxsubinterpreters",
    "concurrent",
}
HEAVY = {"altair", "matplotlib", "pandas", "pydantic", "scipy"}


def installed_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("gilplan", *(part for part in parts if part != "__init__")))


FILES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
SCRIPTS = [
    path
    for path in FILES
    if path.parent.relative_to(ROOT).as_posix() in SCRIPT_FOLDERS and path.name != "__init__.py"
]
EXAMPLES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.toml"))
MODULES = [installed_name(path) for path in FILES if path not in SCRIPTS]


def imported(name: str):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("gilplan"):
            raise
        pytest.fail(not_installed(error.name))


def not_installed(name: str) -> str:
    return (
        f"{name} is not installed: run `make setup` "
        "(a new folder must also be listed under packages in pyproject.toml)"
    )


def test_every_folder_holds_modules():
    layers = {name.split(".")[1] for name in MODULES}
    assert layers == set(LAYERS)


@pytest.mark.parametrize("name", MODULES)
def test_module_is_installed_under_its_gilplan_name(name):
    assert imported(name).__name__ == name


@pytest.mark.parametrize("path", SCRIPTS, ids=installed_name)
def test_script_is_shipped_unchanged(path):
    spec = importlib.util.find_spec(installed_name(path))
    assert spec is not None, not_installed(installed_name(path))
    assert spec.origin is not None
    assert Path(spec.origin).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_example_is_shipped_unchanged(path):
    layer, *parts = path.relative_to(ROOT).parts
    shipped = importlib.resources.files(f"gilplan.{layer}").joinpath(*parts)
    assert shipped.is_file(), not_installed("/".join(parts))
    assert shipped.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", SCRIPTS, ids=installed_name)
def test_script_imports_only_the_standard_library_and_other_scripts(path):
    allowed = sys.stdlib_module_names | INTERPRETER_MODULES | {script.stem for script in SCRIPTS}
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))
    assert imports_of(tree) - allowed == set()


def imports_of(tree: ast.AST) -> set[str]:
    """Name the top-level packages that a module imports anywhere."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else (node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("name", MODULES)
def test_exported_names_are_sorted_and_exist(name):
    module = imported(name)
    exported = getattr(module, "__all__", [])
    assert list(exported) == sorted(set(exported), key=export_order)
    assert [each for each in exported if not hasattr(module, each)] == []


def export_order(name: str) -> tuple[int, str]:
    """Order constants, then classes, then functions, as ruff's RUF022 does."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_model_exports_the_domain():
    assert "Scenario" in imported("gilplan.model").__all__


@pytest.mark.parametrize("name", MODULES)
def test_doctests_of_module_pass(name):
    # Not --doctest-modules: it would import model/x.py a second time, under another name than
    # gilplan.model.x, and enums of the two copies are never identical.
    module = imported(name)
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_help_imports_no_heavy_library():
    script = Path(sysconfig.get_path("scripts"), "gilplan")
    run = subprocess.run(
        [sys.executable, "-X", "importtime", script, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.startswith("Usage: gilplan")
    loaded = set(re.findall(r"^import time:.*\| +(\S+)$", run.stderr, flags=re.MULTILINE))
    assert "gilplan.planner.cli" in loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


def test_imports_go_from_planner_to_calibration_to_model():
    run = subprocess.run(
        [Path(sysconfig.get_path("scripts"), "lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 broken" in run.stdout
