"""Modules that crash, hang, refuse and switch the GIL on, imported under the builds found here."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gilplan.calibration.builds import Build, find_builds, newest_of_each_series
from gilplan.calibration.checks.check import OWN_GIL, Finding, Outcome, check, find, mode_of
from gilplan.calibration.checks.imports import Import
from gilplan.calibration.checks.target import read_target
from gilplan.model.errors import MeasurementFailed
from gilplan.planner.commands.check import check as command

pytestmark = pytest.mark.interpreters

BUILDS = newest_of_each_series(find_builds()[0])
each_build = pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
OWN_GIL_BUILDS = [build for build in BUILDS if mode_of(build) == OWN_GIL]
FREE_THREADED_BUILDS = [build for build in BUILDS if build.free_threaded]

PROGRAMS = {
    "fine": "VALUE = 1",
    "crashes": "import os; os.abort()",
    "hangs": "while True: pass",
    "exits": "raise SystemExit('no more')",
    "ends": "import os; os._exit(0)",
    "raises": "raise ValueError('first line\\nsecond line')",
    "incomplete": "import surely_not_installed",
    "prints": "print('much ado' * 100_000)",
    "starts": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()",
}
#: A module of two phases that leaves out its slots for interpreters and the GIL, or has them.
EXTENSION = """
#include <Python.h>
static PyModuleDef_Slot slots[] = {%s{0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "%s", 0, 0, 0, slots};
PyMODINIT_FUNC PyInit_%s(void) { return PyModuleDef_Init(&module); }
"""
SUPPORTS = "{Py_mod_gil, Py_MOD_GIL_NOT_USED}, "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name, source in PROGRAMS.items():
        (folder / f"module_that_{name}.py").write_text(source)
    return folder


def found(build: Build, module: str, folder: Path | str = "", time_limit: float = 20) -> Finding:
    return find(build, Import(module=module), folder=str(folder), time_limit=time_limit)


@each_build
def test_what_a_module_does_at_import_is_told_and_costs_one_line(build, folder):
    def told(name: str, time_limit: float = 20) -> tuple[Outcome, str]:
        each = found(build, f"module_that_{name}", folder, time_limit)
        return each.outcome, each.reason

    assert told("fine") == (Outcome.FINE, "")
    assert told("prints") == (Outcome.FINE, "")
    assert told("crashes") == (Outcome.CRASHES, "SIGABRT")
    assert told("ends") == (Outcome.CRASHES, "it ends its process with status 0")
    assert told("hangs", 1) == (Outcome.HANGS, "no end after 1 s")
    assert told("exits") == (Outcome.FAILS, "SystemExit: no more")
    assert told("raises") == (Outcome.FAILS, "ValueError: first line")
    assert told("incomplete") == (Outcome.MISSING, "it needs surely_not_installed")
    assert found(build, "surely_not_installed").outcome is Outcome.MISSING
    assert found(build, "json.nothing").outcome is Outcome.MISSING


@each_build
def test_thread_that_a_module_leaves_running_does_not_hang_the_check(build, folder):
    assert found(build, "module_that_starts", folder, 10).outcome is Outcome.FINE


@pytest.mark.parametrize("build", OWN_GIL_BUILDS, ids=lambda build: build.name)
def test_single_phase_module_refuses_isolated_interpreters(build):
    refused = found(build, "_testsinglephase")
    if refused.outcome is Outcome.MISSING:
        pytest.skip("this build comes without CPython's test modules")
    assert refused.outcome is Outcome.REFUSES
    assert "does not support loading in subinterpreters" in refused.reason
    assert not refused.everywhere


@pytest.mark.parametrize("build", OWN_GIL_BUILDS, ids=lambda build: build.name)
def test_module_that_loads_only_once_is_told_from_one_that_never_does(build, tmp_path):
    (tmp_path / "only_once.py").write_text(
        f"import os\nmark = '{tmp_path}/loaded by ' + str(os.getpid())\n"
        "if os.path.exists(mark): raise ImportError('once a process only')\n"
        "open(mark, 'w').close()\n"
    )
    refused = found(build, "only_once", tmp_path)
    assert refused.outcome is Outcome.REFUSES
    assert refused.reason == "in a second interpreter: ImportError: once a process only"


# 3.12.1 crashes when a second interpreter refuses the module that a first one has refused.
SOUND = [build for build in OWN_GIL_BUILDS if build.version >= (3, 13, 0)]


@pytest.mark.parametrize("build", SOUND, ids=lambda build: build.name)
def test_module_that_does_without_its_extension_says_so(build, tmp_path):
    (tmp_path / "falls_back.py").write_text(
        "try:\n    import _testsinglephase\nexcept ImportError:\n    pass\n"
    )
    if found(build, "_testsinglephase").outcome is Outcome.MISSING:
        pytest.skip("this build comes without CPython's test modules")
    each = found(build, "falls_back", tmp_path)
    assert each.outcome is Outcome.FINE
    assert each.reason == "without _testsinglephase: Python code instead"


def compiled(build: Build, name: str, slots: str, folder: Path) -> None:
    """Compile an extension module for the build, or skip the test where that is not possible."""
    question = "import sysconfig as s; print(s.get_path('include'), s.get_config_var('EXT_SUFFIX'))"
    asked = [build.path, "-I", "-c", question]
    include, suffix = subprocess.run(
        asked, capture_output=True, text=True, check=True
    ).stdout.split()
    compiler = shutil.which("cc")
    if compiler is None or not Path(include, "Python.h").is_file():
        pytest.skip("no compiler, or no headers of this build")
    source = folder / f"{name}.c"
    source.write_text(EXTENSION % (slots, name, name))
    output = folder / f"{name}{suffix}"
    command = [compiler, "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(output)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("build", FREE_THREADED_BUILDS, ids=lambda build: build.name)
def test_extension_that_does_not_declare_support_brings_the_gil_back(build, tmp_path, monkeypatch):
    compiled(build, "undeclared", "", tmp_path)
    compiled(build, "declared", SUPPORTS, tmp_path)
    (tmp_path / "wrapper.py").write_text("import undeclared")
    # The environment must not hide it: with this set the GIL would stay off.
    monkeypatch.setenv("PYTHON_GIL", "0")
    assert found(build, "declared", tmp_path).outcome is Outcome.FINE
    assert found(build, "undeclared", tmp_path).outcome is Outcome.ENABLES_GIL
    wrapper = found(build, "wrapper", tmp_path)
    assert (wrapper.outcome, wrapper.reason) == (Outcome.ENABLES_GIL, "its undeclared does")


def test_build_that_does_not_start_is_said_in_a_line(tmp_path):
    build = Build(path=str(tmp_path / "python"), version=(3, 13, 0))
    with pytest.raises(MeasurementFailed, match="does not start"):
        found(build, "json")


def test_requirements_are_looked_up_among_the_distributions_of_the_build(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("Click\nsurely-not-there\nnumpy; python_version < '3'\n")
    (here,) = (build for build in find_builds([Path(sys.executable)])[0][:1])
    here = replace(here, path=sys.executable)
    result = check(read_target(str(path)), [here])
    outcomes = {each.module: each.outcome for each in result.findings}
    assert outcomes == {"click": Outcome.FINE, "surely-not-there": Outcome.MISSING}


def test_command_prints_what_was_found_as_table_and_as_json(folder, tmp_path):
    (tmp_path / "app.py").write_text("import json\nimport surely_not_installed\n")
    arguments = [str(tmp_path / "app.py"), "--interpreter", BUILDS[-1].path]
    text = CliRunner().invoke(command, arguments)
    assert text.exit_code == 0, text.output
    assert "not known: surely_not_installed not installed" in text.stdout
    document = json.loads(CliRunner().invoke(command, [*arguments, "--format", "json"]).stdout)
    (row,) = document["builds"]
    assert row["can_run"] is None
    assert [each["module"] for each in row["modules"]] == ["json", "surely_not_installed"]
