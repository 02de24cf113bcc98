"""Recordings of py-spy 0.4.3 and pyperf 2.10 (real), and of Tachyon (as documented), imported.

The recordings are of one program of bytecode, zlib.crc32 and sleeps under CPython 3.12.1. Tachyon
comes with CPython 3.15; its files here are written by hand in the form that its collectors write.
"""

import json
from pathlib import Path

import pytest

from gilplan.calibration.imports.gecko import read_gecko
from gilplan.calibration.imports.imported import observe_imports
from gilplan.calibration.workload_file import parse_workload
from gilplan.model.errors import InvalidFile, InvalidValue
from gilplan.model.workload import SegmentKind
from gilplan.planner.cli import main

HERE = Path(__file__).parent / "recordings"
RAW = [f"gil:{HERE}/pyspy_gil.raw", f"cpu:{HERE}/pyspy_active.raw", f"wall:{HERE}/pyspy_idle.raw"]
SPEEDSCOPE = [text.replace(".raw", ".speedscope.json") for text in RAW]
BENCH = f"{HERE}/bench.json"


def test_three_recordings_of_py_spy_split_the_task_that_pyperf_timed():
    observation = observe_imports([*RAW, BENCH])
    shares = {name: share.value for name, share in observation.shares.items()}
    assert shares == pytest.approx({"held": 570 / 799, "released": 96 / 799, "blocked": 133 / 799})
    assert observation.shares["held"].lower < 0.70 < observation.shares["held"].upper
    workload = observation.workload
    assert (workload.name, workload.build, observation.tasks) == ("task", "3.12.1", 16)
    assert workload.mean_demand() == pytest.approx(observation.task_time.value, rel=1e-6)
    held = workload.mean_demand(SegmentKind.PYTHON) / workload.mean_demand()
    assert held == pytest.approx(570 / 799, abs=1e-6)
    assert parse_workload(observation.to_toml())[0] == workload


def test_what_the_files_do_not_know_is_said_and_flagged():
    observation = observe_imports(SPEEDSCOPE, build="3.12.1")
    assert observation.task_time.flags == ("assumed",)
    assert any("the files know no tasks" in note for note in observation.notes)
    assert any("allocations and payloads are not in these files" in n for n in observation.notes)
    assert observation.observed.allocation_rate is None
    assert observation.workload.build == "3.12.1"


def gecko(*threads: list[tuple[str, float, float]]) -> dict[str, object]:
    names = sorted({name for markers in threads for name, _, _ in markers})
    return {
        "meta": {"interval": 1.0, "importedFrom": "Tachyon Sampling Profiler"},
        "threads": [
            {
                "markers": {
                    "name": [names.index(name) for name, _, _ in markers],
                    "startTime": [begin for _, begin, _ in markers],
                    "endTime": [end for _, _, end in markers],
                }
            }
            for markers in threads
        ],
        "shared": {"stringArray": names},
    }


def at_work(begin: float) -> list[tuple[str, float, float]]:
    """30 ms with the GIL, 10 on a core without it, 15 blocked, 5 waiting for the GIL."""
    edges = [begin + each for each in (0, 30, 40, 55, 60)]
    return [
        ("Has GIL", edges[0], edges[1]),
        ("No GIL", edges[1], edges[4]),
        ("On CPU", edges[0], edges[2]),
        ("Off CPU", edges[2], edges[4]),
        ("Waiting for GIL", edges[3], edges[4]),
        ("GC Collecting", edges[0], edges[1]),
    ]


def test_tachyon_s_states_leave_out_waiting_for_the_gil_and_idle_threads(tmp_path):
    idle = [("No GIL", 0.0, 60.0), ("Off CPU", 0.0, 60.0)]
    states = read_gecko(gecko(at_work(0), at_work(7), idle), Path("t.json"))
    assert (states.held, states.released, states.blocked) == pytest.approx((0.06, 0.02, 0.03))
    assert any("waited for the GIL for 8.3%" in note for note in states.notes)
    path = tmp_path / "tachyon.json"
    path.write_text(json.dumps(gecko(at_work(0))))
    assert observe_imports([str(path), BENCH]).shares["held"].value == pytest.approx(30 / 55)


def jsonl(mode: str, samples: int) -> str:
    records = [
        {"type": "meta", "v": 1, "run_id": "a", "sample_interval_usec": 1000, "mode": mode},
        {"type": "end", "v": 1, "run_id": "a", "samples_total": samples},
    ]
    return "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)


def test_tachyon_s_other_formats_are_read(tmp_path):
    given = []
    for mode, samples in (("gil", 300), ("cpu", 400), ("wall", 1000)):
        path = tmp_path / f"{mode}.jsonl"
        path.write_text(jsonl(mode, samples))
        given.append(str(path))
    shares = observe_imports(given).shares
    assert [share.value for share in shares.values()] == pytest.approx([0.3, 0.1, 0.6])
    collapsed = tmp_path / "wall.txt"
    collapsed.write_text("tid:7;app.py:<module>:1;app.py:f:3 1000\ntid:8;app.py:wait:9 900\n")
    for mode, count in (("gil", 300), ("cpu", 400)):
        (tmp_path / mode).write_text(f"tid:7;app.py:<module>:1;app.py:f:3 {count}\n")
    stacks = [f"gil:{tmp_path}/gil", f"cpu:{tmp_path}/cpu", f"wall:{collapsed}"]
    assert observe_imports(stacks).shares["held"].value == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([BENCH], "got 'how long whole tasks take'; gil, cpu, wall is missing"),
        (RAW[:1], "got 'part of it'; cpu, wall is missing"),
        ([RAW[0][4:]], "pyspy_gil.raw:1: the recording must be given with which threads"),
        ([*RAW, RAW[0]], "--import must be given once for gil"),
        ([f"gil:{HERE}/pyspy_idle.raw", *RAW[1:]], "recorded alike: no more samples in the first"),
        ([RAW[0], SPEEDSCOPE[1], RAW[2]], "recordings with the same sampling rate"),
        (["absent.raw"], "absent.raw:1: the recording must be a text file that can be read"),
        ([f"gil:{Path(__file__)}"], "a line must be frames and a count of samples"),
    ],
)
def test_files_that_are_no_workload_are_refused_in_a_line(given, told, tmp_path, capsys):
    output = tmp_path / "out.toml"
    options = [option for text in given for option in ("--import", text)]
    assert main(["observe", *options, "-o", str(output)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not output.exists()


def test_damaged_files_and_several_threads_are_refused(tmp_path):
    path = tmp_path / "x"
    for text in ('{"profiles": [{"type": "sampled"}]}', '{"benchmarks": []}', '{"a": 1}', '{"b'):
        path.write_text(text)
        with pytest.raises(InvalidFile):
            observe_imports([str(path)])
    path.write_bytes(b"\x80\x04\x95binary")
    with pytest.raises(InvalidFile, match="pstats and HTML do not hold the GIL's state"):
        observe_imports([str(path)])
    path.write_text("tid:1;a.py:f:1 50\ntid:2;a.py:f:1 50\n")
    with pytest.raises(InvalidValue, match="looks like blocking"):
        observe_imports([f"gil:{path}", f"cpu:{path}", f"wall:{path}"])


def test_a_benchmark_is_named_where_there_are_several(tmp_path):
    document = json.loads(Path(BENCH).read_text())
    second = json.loads(json.dumps(document["benchmarks"][0]))
    second["metadata"] = {"name": "other", "loops": 32}
    document["benchmarks"][0]["metadata"] = {"name": "task", "loops": 32}
    del document["metadata"]["name"]
    document["benchmarks"].append(second)
    path = tmp_path / "two.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidValue, match="--benchmark must be one of 'task', 'other'"):
        observe_imports([*RAW, str(path)])
    assert observe_imports([*RAW, str(path)], benchmark="other").workload.name == "other"
