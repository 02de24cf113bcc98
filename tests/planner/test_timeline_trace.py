"""Simulated schedules and their traces: conservation, and the rules of the Trace Event Format."""

import itertools
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gilplan.calibration.profile import Profile, save
from gilplan.model.arrivals import Arrivals, Batch, Closed
from gilplan.model.durations import Deterministic
from gilplan.model.errors import InvalidValue
from gilplan.model.recorder import State
from gilplan.model.scenario import Scenario
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner.cli import main
from gilplan.planner.predictions import scenarios_for
from gilplan.planner.timelines import Schedule, simulate_schedule, trace_document
from gilplan.planner.timelines.schedule import gil_of

NANOSECOND = 1e-9
COMPUTE = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(1e-3))
WAIT = Segment(kind=SegmentKind.WAIT, duration=Deterministic(2e-3))


def scenario(
    profile: Profile, layout: str, *segments: Segment, arrivals: Arrivals | None = None
) -> Scenario:
    workload = Workload(name="w", tasks=(Task(name="request", segments=segments or (COMPUTE,)),))
    (one,) = scenarios_for(workload, [layout], profile, arrivals=arrivals or Closed(), seed=3)
    return one


@pytest.fixture(scope="module")
def threads(profile: Profile) -> Schedule:
    return simulate_schedule(scenario(profile, "3.13:threads=4", COMPUTE, WAIT), time=0.2)


@pytest.fixture(scope="module")
def interpreters(profile: Profile) -> Schedule:
    layout = "3.13:processes=2,interpreters=2,threads=2,gil=own"
    return simulate_schedule(scenario(profile, layout), time=0.1)


def overlaps(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    ordered = sorted(spans)
    return [b for a, b in itertools.pairwise(ordered) if b[0] < a[1] - NANOSECOND / 2]


def test_each_thread_is_in_one_state_at_every_instant(threads: Schedule) -> None:
    for thread in range(4):
        spans = [span for span in threads.states if span.thread == thread]
        assert spans[0].start_at == 0
        assert spans[-1].end_at == pytest.approx(0.2)
        for before, after in itertools.pairwise(spans):
            assert before.end_at == after.start_at
            assert before.state is not after.state


@pytest.mark.parametrize("fixture", ["threads", "interpreters"])
def test_a_core_runs_and_a_gil_has_one_thread_at_a_time(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    schedule: Schedule = request.getfixturevalue(fixture)
    by_core, by_gil = defaultdict(list), defaultdict(list)
    for span in schedule.states:
        assert (span.core is not None) == (span.state is State.RUNNING)
        if span.core is not None:
            by_core[span.core].append((span.start_at, span.end_at))
    for hold in schedule.holds:
        by_gil[hold.gil].append((hold.start_at, hold.end_at))
        assert gil_of(schedule.layout, hold.thread) == hold.gil
    assert set(by_core) == {0, 1}
    assert set(by_gil) == ({0} if fixture == "threads" else {0, 1, 2, 3})
    for spans in (*by_core.values(), *by_gil.values()):
        assert overlaps(spans) == []


def test_a_thread_that_waits_for_its_gil_does_not_hold_it(threads: Schedule) -> None:
    for wait in (span for span in threads.states if span.state is State.WAITING_GIL):
        own = [hold for hold in threads.holds if hold.thread == wait.thread]
        assert all(
            hold.end_at <= wait.start_at + NANOSECOND or hold.start_at >= wait.end_at - NANOSECOND
            for hold in own
        )


def test_a_free_threaded_build_has_no_gil_to_hold(profile: Profile) -> None:
    schedule = simulate_schedule(scenario(profile, "3.13t:threads=3"), time=0.05)
    assert schedule.holds == ()
    assert not schedule.has_gil
    assert gil_of(schedule.layout, 2) is None
    groups = {e["args"]["name"] for e in events(schedule) if e["name"] == "process_name"}
    assert groups == {"3.13.5t:threads=3  cores", "3.13.5t:threads=3  threads"}


def test_a_part_of_a_schedule_is_cut_at_its_ends(threads: Schedule) -> None:
    part = threads.between(0.05, 0.06)
    spans = [*part.states, *part.holds, *part.tasks]
    assert (part.start_at, part.end_at) == (0.05, 0.06)
    assert all(0.05 <= span.start_at < span.end_at <= 0.06 for span in spans)
    per_thread = sum(span.end_at - span.start_at for span in part.states)
    assert per_thread == pytest.approx(4 * 0.01)


def test_a_batch_is_shown_to_its_end(profile: Profile) -> None:
    batch = scenario(profile, "3.13:threads=2", arrivals=Batch(jobs=5))
    schedule = simulate_schedule(batch, time=10.0)
    assert len(schedule.tasks) == 5
    assert schedule.end_at == max(task.end_at for task in schedule.tasks)


def test_a_schedule_of_no_time_is_refused(profile: Profile) -> None:
    with pytest.raises(InvalidValue, match="time must be"):
        simulate_schedule(scenario(profile, "3.13"), time=0.0)


def events(*schedules: Schedule) -> list[dict[str, Any]]:
    document = json.loads(json.dumps(trace_document(schedules), allow_nan=False))
    found: list[dict[str, Any]] = document["traceEvents"]
    return found


#: What the Trace Event Format asks of each phase that is used, beside name and pid.
REQUIRED = {
    "X": {"ts": float, "dur": float, "tid": int, "cat": str},
    "M": {"tid": int, "args": dict},
    "C": {"ts": float, "args": dict},
    "b": {"ts": float, "id": str, "cat": str, "tid": int},
    "e": {"ts": float, "id": str, "cat": str, "tid": int},
}
METADATA = {"process_name", "process_sort_index", "thread_name", "thread_sort_index"}


def test_every_event_keeps_to_the_trace_event_format(
    threads: Schedule, interpreters: Schedule
) -> None:
    seen = set()
    for event in events(threads, interpreters):
        required = REQUIRED[event["ph"]]
        seen.add(event["ph"])
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        for field, kind in required.items():
            assert isinstance(event[field], kind), event
        if "dur" in event:
            assert event["ts"] >= 0 < event["dur"]
        if event["ph"] == "M":
            assert event["name"] in METADATA
            assert set(event["args"]) == {
                "sort_index" if event["name"].endswith("index") else "name"
            }
        if event["ph"] == "C":
            assert all(value >= 0 for value in event["args"].values())
    assert seen == set(REQUIRED)


def test_slices_of_one_track_never_overlap_and_every_track_has_a_name(
    threads: Schedule, interpreters: Schedule
) -> None:
    tracks, named = defaultdict(list), set()
    for event in events(threads, interpreters):
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        elif event["name"] == "thread_name":
            named.add((event["pid"], event["tid"]))
    assert set(tracks) <= named
    for spans in tracks.values():
        ordered = sorted(spans)
        assert all(b[0] >= a[1] - 1e-4 for a, b in itertools.pairwise(ordered))


def test_the_tracks_are_the_cores_the_gils_and_the_threads(interpreters: Schedule) -> None:
    names = [e["args"]["name"] for e in events(interpreters) if e["name"] == "thread_name"]
    assert names[:2] == ["core 0", "core 1"]
    assert names[2:6] == [f"GIL {gil}" for gil in range(4)]
    assert names[6:] == [f"thread {t}, interpreter {t // 2}, process {t // 4}" for t in range(8)]


def test_tasks_begin_and_end_once_each(threads: Schedule) -> None:
    begun = [e["id"] for e in events(threads) if e["ph"] == "b"]
    ended = [e["id"] for e in events(threads) if e["ph"] == "e"]
    assert len(set(begun)) == len(begun) == len(threads.tasks) > 0
    assert sorted(begun) == sorted(ended)


def test_the_waiting_counter_ends_where_nobody_waits(threads: Schedule) -> None:
    lengths = [e["args"]["threads"] for e in events(threads) if e["ph"] == "C"]
    assert max(lengths) >= 2
    assert lengths[-1] == 0


def test_predict_writes_the_timeline_of_every_layout(
    tmp_path: Path, profile: Profile, workload_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile_path, trace = tmp_path / "profile.json", tmp_path / "trace.json"
    save(replace(profile, runtimes=profile.runtimes[2:]), profile_path)
    here = ["predict", str(workload_path), "--profile", str(profile_path), "--allow-foreign"]
    layouts = ["--layout", "3.13:threads=2", "--layout", "3.13t", "--precision", "10%"]
    shown = ["--timeline", str(trace), "--timeline-time", "30ms"]
    assert main([*here, *layouts, *shown]) == 0
    assert "ui.perfetto.dev" in capsys.readouterr().err
    document = json.loads(trace.read_text())
    groups = {e["args"]["name"] for e in document["traceEvents"] if e["name"] == "process_name"}
    assert {"3.13.0:threads=2  GILs", "3.13.5t:threads=1  cores"} <= groups
    assert max(e.get("ts", 0) + e.get("dur", 0) for e in document["traceEvents"]) <= 30_000


def test_a_timeline_that_cannot_be_is_refused_before_anything_is_simulated(
    tmp_path: Path, workload_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["predict", str(workload_path), "--layout", "3.13"]
    for wrong, part in (
        (["--timeline-time", "1s"], "together with --timeline"),
        (["--timeline", str(tmp_path / "t.json"), "--timeline-time", "0s"], "longer than no time"),
        (["--timeline", str(tmp_path / "t.json"), "--timeline-time", "soon"], "a time such as"),
        (["--timeline", str(tmp_path)], "cannot be written"),
    ):
        assert main([*here, *wrong]) == 2
        told = capsys.readouterr().err
        assert part in told
        assert told.count("\n") == 1
    assert not (tmp_path / "t.json").exists()
