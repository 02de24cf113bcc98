"""The command line: answers on stdout, one line on stderr for what is wrong, exit statuses."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gilplan.calibration.profile import FORMAT_VERSION, Profile, save
from gilplan.planner.cli import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def profile_path(tmp_path: Path, profile: Profile) -> Path:
    path = tmp_path / "profile.json"
    save(profile, path)
    return path


@pytest.fixture
def predict_arguments(workload_path: Path, profile_path: Path) -> list[str]:
    here = ["--profile", str(profile_path), "--allow-foreign"]
    return ["predict", str(workload_path), *here, "--precision", "5%"]


def refused(arguments: list[str], output: Output) -> str:
    """Run, expect exit status 2 and one line on stderr alone, and return the line."""
    status = main(arguments)
    told = output.readouterr()
    assert (status, told.out) == (2, ""), told
    assert told.err.startswith("gilplan: ")
    assert told.err.count("\n") == 1
    return told.err


def test_predictions_come_as_json_in_the_order_of_the_options(
    predict_arguments: list[str], profile: Profile, capsys: Output
) -> None:
    layouts = ["--layout", "3.13:threads=2", "--layout", "3.13t", "--seed", "7"]
    assert main([*predict_arguments, *layouts, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    first, second = document["predictions"]
    assert [first["layout"]["text"], second["layout"]["text"]] == [
        "3.13.0:threads=2",
        "3.13.5t:threads=1",
    ]
    assert (first["layout"]["threads"], first["layout"]["gil"]) == (2, "own")
    for quantity in (
        first["throughput"],
        *(first["response_time"][name] for name in ("p50", "p95", "p99")),
        *(first["utilisation"][name] for name in ("gil", "cores")),
        *(first["breakdown"][n] for n in ("running", "waiting_gil", "waiting_core", "blocked")),
        first["memory"],
    ):
        assert quantity["lower"] <= quantity["mean"] <= quantity["upper"]
    assert set(first["rules"]) == {"amdahl", "processor_sharing", "one_interval_rule"}
    assert (first["seed"], first["profile"]) == (7, profile.identity)


def test_the_same_seed_gives_the_same_bytes(predict_arguments: list[str], capsys: Output) -> None:
    arguments = [*predict_arguments, "--layout", "3.13:threads=2", "--format", "json"]
    assert main(arguments) == main(arguments) == 0
    text = capsys.readouterr().out
    assert text[: len(text) // 2] == text[len(text) // 2 :]


def test_predictions_come_as_csv(predict_arguments: list[str], capsys: Output) -> None:
    layouts = ["--layout", "3.13", "--layout", "3.12:processes=2"]
    assert main([*predict_arguments, *layouts, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["layout"] for row in rows] == ["3.13.0:threads=1", "3.12.1:processes=2"]
    assert float(rows[0]["throughput_lower"]) <= float(rows[0]["throughput"])


def test_predictions_come_as_tables_with_intervals(
    predict_arguments: list[str], capsys: Output
) -> None:
    assert main([*predict_arguments, "--layout", "3.13", "--layout", "3.13:threads=2"]) == 0
    told = capsys.readouterr()
    assert "3.13.0:threads=2" in told.out
    assert "±" in told.out
    assert "waiting for a GIL" in told.out
    assert "does not name the build" in told.err


def test_the_builds_of_this_machine_are_listed(capsys: Output) -> None:
    assert main(["interpreters", "--format", "json"]) == 0
    builds = json.loads(capsys.readouterr().out)["builds"]
    assert ".".join(map(str, sys.version_info[:2])) in {
        ".".join(map(str, build["version"][:2])) for build in builds
    }
    assert main(["interpreters"]) == 0
    table = capsys.readouterr().out
    assert all(build["path"] in table for build in builds)


@pytest.mark.parametrize(
    ("layout", "part"),
    [
        ("3.13:threads=0", "threads must be a whole number >= 1, got '0'"),
        ("3.13:cores=0", "cores must be a whole number >= 1, got '0'"),
        ("3.13:treads=2", "did you mean 'threads'?"),
        ("3.13:threads=2,threads=2", "threads must be given once"),
        ("3.13:switch_interval=5", "give a unit"),
        ("3.11:interpreters=2,gil=own", "came with CPython 3.12"),
        ("3.13:gil=disabled", "only a free-threaded build"),
        ("3.9", "build '3.9' is not in the profile; there are: 3.11.7, 3.12.1, 3.13.0, 3.13.5t"),
        ("", "layout must be like"),
    ],
)
def test_a_wrong_layout_is_told_in_one_line(
    predict_arguments: list[str], layout: str, part: str, capsys: Output
) -> None:
    assert part in refused([*predict_arguments, "--layout", layout], capsys)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (("duration", "duratoin"), "did you mean 'duration'?"),
        (("500us", "500KiB"), 'a time such as "250us" or "4ms"'),
        (("500us", "-500us"), "finite and >= 0"),
        (('"500us"', "nan"), "got nan"),
        (("[[tasks]]", "[[tasks"), "valid TOML"),
    ],
)
def test_a_wrong_workload_is_told_with_its_line(
    predict_arguments: list[str], change: tuple[str, str], part: str, capsys: Output
) -> None:
    path = Path(predict_arguments[1])
    path.write_text(path.read_text().replace(*change))
    line = refused([*predict_arguments, "--layout", "3.13"], capsys)
    assert part in line
    assert "web.toml:" in line


def test_a_profile_that_cannot_be_used_is_told(
    workload_path: Path, profile_path: Path, capsys: Output
) -> None:
    arguments = ["predict", str(workload_path), "--layout", "3.13", "--profile", str(profile_path)]
    assert "machine must be this one" in refused(arguments, capsys)
    text = profile_path.read_text()
    now = f'"format_version": {FORMAT_VERSION}'
    assert now in text
    profile_path.write_text(text.replace(now, '"format_version": 0'))
    told = refused(arguments, capsys)
    assert f"format_version must be {FORMAT_VERSION}, got 0" in told
    profile_path.write_text(text[:1000])
    assert "truncated or not JSON" in refused(arguments, capsys)
    profile_path.unlink()
    assert "no profile there; run `gilplan calibrate` first" in refused(arguments, capsys)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["predict"], "Missing argument 'WORKLOAD.toml'. Try `gilplan predict --help`."),
        (["predict", "w.toml"], "Missing option '--layout'"),
        (["predcit"], "No such command 'predcit'"),
        (["predict", "w.toml", "--layout", "3.13", "--seed", "-1"], "--seed"),
        (["predict", "w.toml", "--layout", "3.13", "--precision", "0%"], "precision must be above"),
        (["predict", "w.toml", "--layout", "3.13", "--precision", "1ms"], "precision must be a"),
        (["predict", "absent.toml", "--layout", "3.13"], "No such file"),
        (["calibrate", "--interpreter", "/absent"], "'/absent' does not exist"),
        (["calibrate", "--interpreter", __file__], "cannot be run: Permission denied"),
        (["calibrate", "-o", "/dev/null"], "/dev/null: cannot be written: not an ordinary file"),
        (["validate", "--profile", "/absent/profile.json"], "no profile there"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    arguments: list[str], part: str, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert part in refused(arguments, capsys)
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_the_help_is_shown(capsys: Output) -> None:
    assert main([]) == 0
    assert "gilplan predict WORKLOAD.toml" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["interpreters", "calibrate", "predict", "validate", "demo"])
def test_the_help_of_each_command_shows_an_example(command: str, capsys: Output) -> None:
    assert main([command, "--help"]) == 0
    assert f"\n  gilplan {command}" in capsys.readouterr().out


def hear_interrupts() -> None:
    """Undo what a shell does to its background jobs, of which this suite may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_ends_with_one_line_and_status_130(tmp_path: Path) -> None:
    pipe = tmp_path / "workload.toml"
    os.mkfifo(pipe)
    code = "import sys; from gilplan.planner.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", str(pipe), "--layout", "3.13"]
    with (
        subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
        ) as child,
        pipe.open("w"),  # once both ends are open, the command is reading
    ):
        child.send_signal(signal.SIGINT)
        _, told = child.communicate()
    assert (child.returncode, told) == (130, "gilplan: interrupted\n")


def test_a_closed_pipe_ends_quietly() -> None:
    code = "import sys; from gilplan.planner.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "interpreters", "--format", "json"]
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (child.returncode, child.stderr) == (141, "")
