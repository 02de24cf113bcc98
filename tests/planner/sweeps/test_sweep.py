"""Sweeps: the frame, what is run and what is not, and the command."""

import ast
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import gilplan.planner.forecast
from gilplan.calibration.profile import Profile, save
from gilplan.model.arrivals import Closed, Recorded
from gilplan.model.errors import GilplanError, StoreError
from gilplan.model.workload import Workload
from gilplan.planner import predict, sweep
from gilplan.planner.cli import main
from gilplan.planner.sweeps.document import write_frame
from gilplan.planner.sweeps.engine import SOURCES
from gilplan.planner.sweeps.pace import paced
from gilplan.planner.sweeps.sweep import Progress, Sweep

Run = Callable[..., Sweep]
Output = pytest.CaptureFixture[str]


def test_a_row_says_what_predict_says(serial: Sweep, workload: Workload, profile: Profile) -> None:
    layout = "3.13:interpreters=2,switch_interval=5ms"
    (prediction,) = predict(
        workload,
        [layout],
        profile,
        arrivals=Closed(population=4),
        precision=0.99,
        max_replications=4,
    )
    row = serial.frame.iloc[-1]
    assert row["layout"] == str(prediction.layout)
    assert (row["series"], row["population"]) == ("3.13.0:interpreters=2", 4)
    p99 = prediction.response_time["p99"]
    assert (row["response_time_p99"], row["response_time_p99_upper"]) == (p99.mean, p99.upper)
    assert row["throughput_lower"] == prediction.throughput.lower
    assert row["blocked_time"] == prediction.breakdown["blocked"].mean


def test_a_frame_has_a_row_a_point_in_the_order_of_the_grid(serial: Sweep) -> None:
    frame = serial.frame
    assert frame.attrs["axes"] == ["population", "switch_interval"]
    assert list(frame["series"].unique()) == ["3.13.0:threads=2", "3.13.0:interpreters=2"]
    assert list(frame["switch_interval"][:3]) == [0.001, 0.00224, 0.005]
    assert list(frame["population"][:6]) == [2] * 3 + [4] * 3
    assert frame["key"].is_unique
    assert set(frame["cores"]) == {2}


def test_a_sweep_is_a_table_in_a_notebook(serial: Sweep) -> None:
    shown = serial._repr_html_()
    assert all(series in shown for series in serial.frame["series"])


def test_all_layouts_meet_the_same_random_numbers(workload: Workload, profile: Profile) -> None:
    """Two processes and two own-GIL interpreters queue for nothing in common: one answer."""
    layouts = ["3.13:interpreters=2", "3.13:processes=2"]
    frame = sweep(
        workload, layouts, profile, grid={"rate": [300.0]}, precision=0.99, max_replications=4
    ).frame
    interpreters, processes = frame.to_dict("records")
    for measure in ("throughput", "response_time_p99", "running_time", "core_utilisation"):
        assert interpreters[measure] == processes[measure]
    assert interpreters["key"] != processes["key"]


def test_only_what_is_missing_is_run(run: Run, serial: Sweep, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    narrow = run(store=store, grid={"population": "4", "switch_interval": "1ms:5ms:log:3"})
    assert (narrow.ran, narrow.found) == (6, 0)
    wide = run(store=store)
    assert (wide.ran, wide.found) == (6, 6)
    assert_frame_equal(wide.frame, serial.frame)
    again = run(store=store)
    assert (again.ran, again.found) == (0, 12)
    assert_frame_equal(again.frame, serial.frame)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"precision": 0.98}, {"max_replications": 5}], ids=str
)
def test_what_the_answer_depends_on_is_part_of_the_key(
    run: Run, tmp_path: Path, change: dict[str, float]
) -> None:
    few = {"grid": {"population": "2"}, "store": tmp_path / "s.sqlite"}
    run(**few)
    assert run(**few).ran == 0
    assert run(**few, **change).ran == 2


def test_points_that_are_the_same_are_run_once(workload: Workload, profile: Profile) -> None:
    layouts = ["3.13:threads=1", "3.13.0", "3.12"]
    swept = sweep(
        workload, layouts, profile, grid={"population": [2]}, precision=0.99, max_replications=4
    )
    assert (len(swept.frame), swept.ran) == (3, 2)
    assert swept.frame["throughput"][0] == swept.frame["throughput"][1]


def test_a_sweep_that_is_interrupted_goes_on(run: Run, serial: Sweep, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"

    def interrupt(progress: Progress) -> None:
        if progress.ran == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store=store, on_progress=interrupt)
    rest = run(store=store)
    assert (rest.found, rest.ran) == (3, 9)
    assert_frame_equal(rest.frame, serial.frame)


def test_a_point_without_an_answer_is_left_out_and_the_rest_goes_on(
    workload: Workload, profile: Profile
) -> None:
    """The simulation of 60 ms of arrivals is over long before a task of 1000 s is done."""

    def swept(durations: str) -> Sweep:
        return sweep(
            workload,
            ["3.13"],
            profile,
            grid={"duration:compute": durations},
            arrivals=Recorded(arrived_at=tuple(0.003 * n for n in range(20))),
            max_replications=4,
        )

    both = swept("1000s,1ms")
    assert list(both.frame["duration:compute"]) == [0.001]
    (left_out,) = both.left_out
    assert "duration:compute=1000" in left_out.point
    assert "no task completed" in left_out.reason
    with pytest.raises(GilplanError, match="no task completed"):
        swept("1000s")


def test_overloaded_points_have_no_response_time(run: Run) -> None:
    frame = run(grid={"rate": "100,5000"}).frame
    light, heavy = frame.iloc[0], frame.iloc[1]
    assert (bool(light["overloaded"]), bool(heavy["overloaded"])) == (False, True)
    assert np.isfinite(light["response_time_p99"])
    assert np.isnan(heavy["response_time_p99"])
    assert heavy["sustainable_rate"] < 5000
    assert "overloaded" in heavy["warnings"]


def test_parquet_and_csv_hold_the_frame(serial: Sweep, tmp_path: Path) -> None:
    write_frame(serial, tmp_path / "s.parquet")
    read = pd.read_parquet(tmp_path / "s.parquet")
    assert_frame_equal(read, serial.frame)
    assert read.attrs == serial.frame.attrs
    write_frame(serial, tmp_path / "s.csv")
    csv = pd.read_csv(tmp_path / "s.csv")
    assert list(csv.columns) == list(serial.frame.columns)
    assert list(csv["throughput"]) == list(serial.frame["throughput"])


def test_nothing_is_simulated_before_the_store_fits(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    store.write_text("notes" * 99)
    told: list[Progress] = []
    with pytest.raises(StoreError):
        run(store=store, on_progress=told.append)
    assert told == []
    assert store.read_text() == "notes" * 99


def test_the_engine_is_known_by_all_that_a_forecast_imports() -> None:
    source = Path(gilplan.planner.forecast.__file__).read_text(encoding="utf-8")
    imported = {
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gilplan.")
    }
    assert {name for name in imported if not name.startswith("gilplan.model")} <= set(SOURCES)


def test_progress_tells_the_time_left_from_the_points_that_were_run() -> None:
    clock = iter([0.0, 30.0, 60.0, 90.0])
    told: list[tuple[str, float]] = []
    tell = paced(lambda text, share: told.append((text, share)), clock=lambda: next(clock))
    for ran in range(4):
        tell(Progress(points=13, found=10, ran=ran))
    assert told == [
        ("10 of 13 points (10 were there)", 0.0),
        ("11 of 13 points (10 were there), about 60 s left", 1 / 3),
        ("12 of 13 points (10 were there), about 30 s left", 2 / 3),
        ("13 of 13 points (10 were there)", 1.0),
    ]


@pytest.fixture
def arguments(workload_path: Path, profile: Profile, tmp_path: Path) -> list[str]:
    save(profile, tmp_path / "profile.json")
    here = ["--profile", str(tmp_path / "profile.json"), "--allow-foreign", "--precision", "99%"]
    return ["sweep", str(workload_path), *here, "--store", str(tmp_path / "s.sqlite")]


def test_the_command_answers_in_every_form(
    arguments: list[str], capsys: Output, tmp_path: Path
) -> None:
    layouts = ["--layout", "3.13:threads=2", "--layout", "3.13:interpreters=2"]
    grid = ["--grid", "switch_interval=1ms:5ms:log:3", "--executor", "local:1"]
    output = tmp_path / "s.parquet"
    assert main([*arguments, *layouts, *grid, "-o", str(output)]) == 0
    told = capsys.readouterr()
    assert "3.13.0:interpreters=2" in told.out
    assert "±" in told.out
    assert "no knee of throughput against switch_interval" in told.out
    assert "6 points run, 0 were in" in told.err
    assert len(pd.read_parquet(output)) == 6
    assert main([*arguments, *layouts, *grid, "--format", "json"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert "0 points run, 6 were in" in told.err
    assert [point["switch_interval"] for point in document["points"]][:3] == [0.001, 0.00224, 0.005]
    assert document["points"][0]["rate"] is None
    assert {"knees", "crossings", "left_out", "seed", "version", "profile"} <= set(document)
    assert main([*arguments, *layouts, *grid, "--format", "csv"]) == 0
    csv = pd.read_csv(StringIO(capsys.readouterr().out))
    assert list(csv["throughput"]) == [point["throughput"] for point in document["points"]]


def test_the_help_shows_examples(capsys: Output) -> None:
    assert main(["sweep", "--help"]) == 0
    assert capsys.readouterr().out.count("\n  gilplan sweep web.toml") == 4


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        (["--grid", "treads=1"], "did you mean 'threads'?"),
        (["--grid", "threads"], "--grid must be FIELD=VALUES"),
        (["--grid", "threads=1", "--grid", "threads=2"], "--grid threads must be given once"),
        (["--grid", "rate=1:9:lin:10000000"], "10,000,000'; at one second a point"),
        (["--grid", "rate=1", "--executor", "slurm"], "executor must be"),
        (["--grid", "rate=1", "--executor", "local:0"], "executor must be"),
        (["--grid", "rate=1", "-o", "sweep.xlsx"], "named *.parquet or *.csv"),
        (["--grid", "rate=1", "-o", "/dev/null/s.csv"], "cannot be written"),
        (["--grid", "rate=1", "--store", "/dev/null/s.sqlite"], "cannot be opened"),
        (["--grid", "duration:parse=1ms"], "there are request/1, request/2"),
    ],
)
def test_wrong_usage_is_told_in_one_line_before_anything_is_run(
    arguments: list[str], extra: list[str], part: str, capsys: Output
) -> None:
    assert main([*arguments, "--layout", "3.13", *extra]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("gilplan: ")
    assert told.err.count("\n") == 1
    assert part in told.err
