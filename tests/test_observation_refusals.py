"""What cannot be observed is said in a line, and leaves no workload that looks measured."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gilplan.calibration.builds import probe
from gilplan.calibration.observation import probes
from gilplan.calibration.observation import target as target_module
from gilplan.calibration.observation.observe import Method, observe
from gilplan.calibration.observation.probes import (
    MethodUnavailable,
    await_python,
    tracing_folder,
)
from gilplan.calibration.observation.process import observe_process, observe_script
from gilplan.calibration.observation.recording import perf_path
from gilplan.model.errors import MeasurementFailed
from gilplan.planner.cli import main

pytestmark = pytest.mark.interpreters
OWN = probe(Path(sys.executable))[0]


def permitted() -> str:
    """Return why the exact method cannot be used here, nothing when it can."""
    try:
        tracing_folder()
        perf_path()
    except MethodUnavailable as error:
        return str(error)
    return ""


exact = pytest.mark.skipif(bool(permitted()), reason=permitted() or "can be used")

BAD = """
import os, subprocess, sys, threading, time
def raises(): raise ValueError("no luck")
def leaves(): sys.exit(3)
def ends(): os._exit(4)
def crashes(): os.kill(os.getpid(), 11)
def hangs(): threading.Event().wait()
def asks(argument): pass
async def waits(): pass
def fails_later(calls=[]):
    calls.append(1)
    if len(calls) > 50: raise KeyError("spent")
def prints(): print("hello")
def starts_process(): subprocess.run([sys.executable, "-S", "-c", ""])
def starts_thread():
    thread = threading.Thread(target=lambda: sum(range(300_000)))
    thread.start(); thread.join()
number = 5
"""


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.py"
    path.write_text(BAD)
    return path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("raises", "the target raises ValueError: no luck"),
        ("leaves", "the target ends the process: SystemExit: 3"),
        ("ends", "the target ended its process with status 4"),
        ("crashes", "its process died of SIGSEGV"),
        ("hangs", "no end after 1 s; is it one task, and does it return?"),
        ("asks", "asks needs arguments (missing a required argument: 'argument')"),
        ("waits", "waits is asynchronous or a generator"),
        ("fails_later", "the target raises KeyError: 'spent'"),
        ("number", "number is a int, not a function"),
        ("absent", "has no 'absent'; it has: "),
    ],
)
def test_a_target_that_cannot_be_observed_costs_one_line_and_leaves_no_file(
    name, told, bad, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(target_module, "FIRST_CALL_LIMIT", 1.0)
    output = tmp_path / "bad.toml"
    assert main(["observe", f"{bad}:{name}", "-o", str(output), "--time", "0.2s"]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert told in last
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("prints", "the task prints: its output was thrown away"),
        ("starts_process", "the task starts processes"),
        ("starts_thread", "other threads use"),
    ],
)
def test_what_a_workload_cannot_hold_is_said(name, told, bad, capfd):
    observation = observe(f"{bad}:{name}", OWN, time=0.3, method=Method.SAMPLING)
    assert any(told in note for note in observation.notes)
    assert "hello" not in capfd.readouterr().out


@exact
def test_probes_of_an_observer_that_was_killed_are_removed_by_the_next(bad):
    ended = subprocess.Popen(["true"])
    ended.wait()
    events = tracing_folder() / "uprobe_events"
    libc = next(
        line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()
        if "libc.so" in line
    )  # fmt: skip
    descriptor = os.open(events, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"p:gilplan_{ended.pid}_abc/save {libc}:0x30000\n".encode())
    os.close(descriptor)
    observe(f"{bad}:prints", OWN, time=0.1, method=Method.EXACT)
    assert f"gilplan_{ended.pid}_abc" not in events.read_text()


@pytest.mark.parametrize("target", [["json"], ["absent.py:f"], [], ["a:b", "--pid", "1"]])
def test_a_target_that_says_nothing_is_bad_usage(target, capsys):
    assert main(["observe", *target]) == 2
    assert capsys.readouterr().err.startswith("gilplan: ")


NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


def told_as_nobody(attempt) -> str:
    """Return what an attempt of another user raises, made in a fork of this process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            attempt()
            os.write(writer, b"nothing")
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    told = b"".join(iter(lambda: os.read(reader, 4096), b""))
    os.close(reader)
    os.waitpid(pid, 0)
    return told.decode()


@as_root
def test_without_permission_the_next_method_or_the_reason():
    told = told_as_nobody(tracing_folder)
    assert told.startswith("MethodUnavailable: the kernel takes no probes from this user")
    assert "--method sampling" in told
    told = told_as_nobody(lambda: observe_process(os.getppid(), time=0.1))
    assert told.startswith(f"MeasurementFailed: process {os.getpid()} belongs to another user")


@as_root
def test_root_is_told_that_the_kernel_has_no_tracefs_mounted(tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "TRACING", (tmp_path,))
    with pytest.raises(MethodUnavailable, match=f"mount -t tracefs tracefs {tmp_path}"):
        tracing_folder()


def test_a_python_without_visible_symbols_cannot_be_probed_and_says_so(tmp_path):
    python = tmp_path / "python3"
    python.write_bytes(Path("/bin/sleep").resolve().read_bytes())
    python.chmod(0o755)
    process = subprocess.Popen([python, "60"])
    try:
        with pytest.raises(MethodUnavailable, match="exports no PyEval_SaveThread"):
            await_python(process.pid, limit=0.2)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import os; os._exit(3)", "it ends its own process|ended"),
        ("import sys; sys.exit('bad news')", "it exits with 'bad news'"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "it ends its own process|ended",
        ),
    ],
)
def test_a_script_that_ends_badly_is_no_workload(text, told, tmp_path):
    path = tmp_path / "ends.py"
    path.write_text(text)
    with pytest.raises(MeasurementFailed, match=told):
        observe_script([str(path)], OWN, time=5, method="sampling")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pid", "1", "--also", "3.14"], "--also is for a TARGET"),
        (["app.py:task", "--also", "3.14", "--tasks", "5"], "--also is for a TARGET"),
        (["--pid", "1", "--profile", "p.json"], "--profile is for a TARGET"),
        (["app.py:task", "--profile", "p.json", "--tasks", "5"], "--profile is for a TARGET"),
    ],
)
def test_what_is_for_a_callable_is_refused_elsewhere(arguments, message, capsys):
    assert main(["observe", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_profile_that_is_not_there_is_told_before_anything_is_observed(capsys):
    assert main(["observe", "no_such.py:task", "--profile", "p.json"]) == 2
    assert "p.json: no profile there" in capsys.readouterr().err
