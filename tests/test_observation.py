"""From a kernel's record to a workload: parsing, cutting, correcting, fitting."""

import math
import struct
import tempfile
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gilplan.calibration.observation.clock import held_time
from gilplan.calibration.observation.fitted_workload import (
    RELEASES,
    SAMPLES,
    VARIANTS,
    TaskTraits,
    fitted_tasks,
)
from gilplan.calibration.observation.gil_state import from_interval, from_offsets
from gilplan.calibration.observation.observation import (
    Observation,
    mean_estimate,
    observed_from,
    shares_of,
)
from gilplan.calibration.observation.observed_task import (
    ObservedTask,
    ProbeCost,
    corrected,
    shortened,
    simple_task,
)
from gilplan.calibration.observation.probe_place import cheap_place
from gilplan.calibration.observation.probes import PythonObject
from gilplan.calibration.observation.residual import interruption, stretches
from gilplan.calibration.observation.sizes import Sizes
from gilplan.calibration.observation.trace import Did, ThreadTrace, Turn, parse_trace, turns_in
from gilplan.calibration.workload_file import parse_workload
from gilplan.model.durations import Empirical
from gilplan.model.errors import MeasurementFailed
from gilplan.model.estimate import Estimate
from gilplan.model.workload import SegmentKind, Workload

#: Recorded: a task of bytecode, SHA-256 and a sleep of 1 ms under 3.13.0, perf 6.1.
PROCESS = """\
 9531/9531  2675.858321305: gilplan_1_a:restore: (7f65a1866690 <- 7f65a19239d4)
 9531/9531  2675.860044742: PERF_RECORD_SWITCH OUT preempt
 9531/9531  2675.860173613: PERF_RECORD_SWITCH IN
 9531/9531  2675.860612775:    gilplan_1_a:save: (7f65a1866660)
 9531/9531  2675.860860292: gilplan_1_a:restore: (7f65a1866690 <- 7f65a1bf0aba)
 9531/9531  2675.860873752:    gilplan_1_a:save: (7f65a1866660)
 9531/9531  2675.860888935: PERF_RECORD_SWITCH OUT
 9531/9531  2675.861982478: PERF_RECORD_SWITCH IN
 9531/9531  2675.862006333: gilplan_1_a:restore: (7f65a1866690 <- 7f65a19239d4)
"""
WAKINGS = """\
 9597/9597  2675.858275046: sched:sched_waking: comm=python pid=9531 prio=120 target_cpu=000
    0/0     2675.861955608: sched:sched_waking: comm=python pid=9531 prio=120 target_cpu=000
"""
BEGIN, END = 2675_858321305, 2675_862006333 + 100


def ns(text: str) -> int:
    return int(text.replace(".", ""))


def test_a_recorded_task_is_cut_into_held_released_and_blocked_time():
    trace = parse_trace(PROCESS, WAKINGS)
    turns = turns_in((BEGIN, END), trace.thread(9531))
    preempted = ns("860173613") - ns("860044742")
    assert turns[0].held == ns("860612775") - ns("858321305") - preempted
    assert (turns[0].free, turns[0].blocked) == (ns("860860292") - ns("860612775"), 0)
    assert turns[0].queued == preempted
    assert turns[1].blocked == ns("861955608") - ns("860888935")
    assert turns[1].queued == ns("861982478") - ns("861955608")
    assert turns[1].free == (888935 - 873752) + (2006333 - 1982478)
    assert not turns[-1].released
    parts = sum(t.held + t.free + t.blocked + t.queued + t.blocked_holding for t in turns)
    assert parts == END - BEGIN


def test_a_wake_up_that_the_kernel_did_not_tell_of_is_taken_to_be_as_quick_as_others():
    thread = ThreadTrace(1)
    thread.events = [
        *((0, Did.SAVE), (10, Did.OUT), (110, Did.IN), (115, Did.RESTORE)),
        *((200, Did.SAVE), (210, Did.OUT), (410, Did.IN), (415, Did.RESTORE)),
    ]
    thread.wakings = [90]
    turns = turns_in((0, 500), thread)
    assert [turn.blocked for turn in turns] == [80, 180, 0]
    assert [turn.queued for turn in turns] == [20, 20, 0]


def test_waiting_for_a_contended_gil_is_nobodys_demand():
    thread = ThreadTrace(1)
    thread.events = [
        *((10, Did.SAVE), (30, Did.ASKED), (31, Did.OUT), (80, Did.IN), (85, Did.RESTORE)),
        *((100, Did.OUT), (150, Did.IN)),
    ]
    turns = turns_in((0, 200), thread, contended=True)
    assert [(t.held, t.free, t.blocked, t.queued) for t in turns] == [
        (10, 20, 0, 55),
        (65, 0, 0, 50),
    ]
    assert turns_in((0, 200), thread)[1].blocked_holding == 50


def test_lost_events_and_other_lines_are_told_apart():
    text = " 1/1  10.000000001: PERF_RECORD_LOST lost 17\nhello\n 2/3  10.000000002: g:release: x\n"
    trace = parse_trace(text)
    assert trace.lost == 17
    assert trace.threads[3].events == [(10_000000002, Did.SAVE)]
    assert trace.threads[3].process == 2


def test_probe_cost_is_measured_by_a_known_loop_and_taken_off():
    loop = [Turn(held=1500, free=2600, released=True)] * 100
    cost = ProbeCost.measured(loop, release_ns=300, call_ns=200)
    assert (cost.held, cost.free) == (1300, 2500)
    task = corrected([Turn(held=10_650, free=7_500), Turn(held=20_650)], cost)
    assert task.held == pytest.approx((10e-6, 20e-6))
    assert task.released == pytest.approx((5e-6,))


times = st.floats(0, 0.01)


@st.composite
def observed_tasks(draw: st.DrawFn, most: int = 60) -> ObservedTask:
    releases = draw(st.integers(0, most))
    lists = st.lists(times, min_size=releases, max_size=releases)
    held = (*draw(lists), draw(st.floats(1e-6, 0.01)))
    return ObservedTask(held=held, released=tuple(draw(lists)), blocked=tuple(draw(lists)))


@given(observed_tasks(), st.integers(1, 20))
def test_fusing_releases_keeps_held_released_and_blocked_time(task, most):
    short = shortened(task, most)
    assert len(short.released) == min(most, len(task.released))
    assert short.totals == pytest.approx(task.totals, abs=1e-12)


def mean_demands(tasks) -> list[float]:
    workload = Workload(name="w", tasks=tasks)
    held = workload.mean_demand(SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)
    kinds = (SegmentKind.RELEASED_NATIVE, SegmentKind.WAIT)
    return [held, *(workload.mean_demand(kind) for kind in kinds)]


@given(st.lists(observed_tasks(), min_size=1, max_size=30))
def test_a_fitted_workload_keeps_the_mean_of_each_kind_of_time(observed):
    tasks = fitted_tasks("t", observed, TaskTraits())
    assert len(tasks) <= VARIANTS
    assert all(len(task.segments) <= 3 * RELEASES + 1 for task in tasks)
    seen = np.mean([task.totals for task in observed], axis=0)
    assert mean_demands(tasks) == pytest.approx(seen.tolist(), abs=2e-7)


def test_tasks_alike_become_one_sequence_with_a_distribution_for_each_segment():
    rng = np.random.default_rng(1)
    observed = [
        ObservedTask(
            held=(rng.uniform(1e-3, 2e-3), 1e-5, 1e-4),
            released=(rng.uniform(2e-4, 3e-4), 2e-5),
            blocked=(0.0, 1e-3),
        )
        for _ in range(500)
    ]
    (task,) = fitted_tasks("t", observed, TaskTraits())
    # The little processor time of the wait is counted at the release that computes.
    assert [segment.kind.value for segment in task.segments] == [
        *("python", "released_native", "python", "wait", "python")
    ]
    assert all(len(segment.duration.samples) == SAMPLES for segment in task.segments)
    assert task.together


def test_nothing_observed_is_no_workload():
    with pytest.raises(MeasurementFailed, match="nothing was observed"):
        fitted_tasks("t", [simple_task(0.0, 0.0, 0.0)], TaskTraits())


def test_an_observation_reads_back_from_its_own_file():
    seen = [simple_task(1e-3 * k, 2e-3, 5e-4) for k in range(1, 40)]
    rate = Estimate(value=1e5, lower=9e4, upper=1.2e5, source="counted", flags=("doubtful",))
    observed = observed_from(
        "exact",
        [task.totals for task in seen],
        "made up",
        payload_in=Estimate.exact(50, "pickle"),
        payload_out=mean_estimate([2000, 2100], "pickle"),
        allocation_rate=rate,
    )
    traits = TaskTraits(
        payload_in=50,
        payload_out=2050,
        allocation_rate=1e5,
        uninterruptible=Empirical((1e-6, 4e-3)),
    )
    workload = Workload(
        name="t",
        tasks=fitted_tasks("t", seen, traits),
        build="3.13.0",
        source="exact: 39",
        observed=observed,
    )
    text = Observation(workload=workload, notes=("two\nlines",)).to_toml()
    assert parse_workload(text)[0] == workload
    assert "# two lines\n" in text
    assert "# held share 0.8" in text
    assert "# allocation rate 1e+05/s (90 % interval 9e+04/s to 1.2e+05/s) [doubtful]" in text


def test_sizes_say_what_cannot_cross_a_boundary_and_count_containers_per_held_second():
    observed = observed_from("exact", [(0.01, 0.02, 0.0)] * 20, "made up")
    answer = {"call": 40, "results": [100, 102], "objects": [900, 1100], "live": 5000}
    sizes = Sizes.of(answer)
    assert (sizes.payload_in.value, sizes.payload_out.value, sizes.notes) == (40, 101, ())
    assert sizes.allocation_rate(observed).value == pytest.approx(1000 / 0.01)
    answer = {"call": "PicklingError: no", "results": [1, "TypeError: x"], "objects": [], "live": 0}
    sizes = Sizes.of(answer)
    assert (sizes.payload_in, sizes.payload_out, sizes.containers) == (None, None, None)
    assert [note.rpartition(" to another process or interpreter: ")[2] for note in sizes.notes] == [
        "PicklingError: no",
        "TypeError: x",
    ]


def test_intervals_of_shares_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        totals = rng.lognormal(0, 0.4, (60, 3)) * (5, 3, 2)
        share = shares_of([tuple(row) for row in totals], "")[0]["held"]
        covered += share.lower <= 0.5 <= share.upper
    assert 165 <= covered <= 193  # 180 expected; binomial, 3 standard deviations


def test_stretches_are_found_from_the_residuals_that_they_leave():
    rng = np.random.default_rng(5)
    # Half of the time in calls of 4 ms, half in stretches of 50 us: by number, 80 short to 1 long.
    length = np.where(rng.random(6000) < 0.5, 4e-3, 50e-6)
    found = np.asarray(stretches(np.sort(rng.uniform(0, length))).samples)
    long = found[found > 2e-3]
    assert long.sum() / found.sum() == pytest.approx(0.5, abs=0.12)
    assert np.average(long) == pytest.approx(4e-3, rel=0.15)


def test_lateness_like_that_beside_bytecode_is_no_stretch():
    rng = np.random.default_rng(6)
    rounds = [
        (list(rng.uniform(2e-4, 2.5e-4, 50)), list(rng.uniform(2e-4, 2.6e-4, 50))) for _ in range(5)
    ]
    usual = interruption(rounds)
    assert usual.uninterruptible is None
    assert usual.length.value == 0
    assert usual.length.flags == ("no longer than bytecode's own",)
    late = [
        (bytecode, [time + 3e-3 * rng.random() for time in tasks]) for bytecode, tasks in rounds
    ]
    found = interruption(late)
    assert found.uninterruptible is not None
    assert found.typical == pytest.approx(3e-3, rel=0.25)
    assert found.length.lower < 3e-3 < found.length.upper
    one_bad_round = [*rounds[:4], late[4]]
    assert interruption(one_bad_round).uninterruptible is None


@pytest.mark.parametrize(
    ("code", "at_return", "place"),
    [
        ("53 31 ff e8 a8 84 02 00", False, 0),  # push: the kernel does it itself
        ("48 85 ff 74 05 e9 76 c8 02 00", True, 3),  # test; je
        ("f3 0f 1e fa 53 48 85 ff 0f 84 78 0f eb ff", True, 4),  # endbr64; push
        ("f3 0f 1e fa 48 85 ff 0f 84 2f f2 d3 ff", True, 7),
        ("48 c7 c0 f8 ff ff ff 53 64 48 8b 18", False, 7),  # mov; push
        (
            "f3 0f 1e fa 48 83 ec 18 48 89 6c 24 08 48 89 1c 24 64 48 8b 1c 25 e8 ff ff ff "
            "80 63 20 ef c7 43 2c 00 00 00 00 64 48 c7 04 25 e8 ff ff ff 00 00 00 00 "
            "48 8b 43 10 48 8b 68 10 8b 45 10 85 c0 0f 84 38 37 eb ff",
            False,
            63,
        ),
        ("48 83 ec 18 53", True, 0),  # the stack has moved: the return address is not on top
        ("0f a2 53", False, 0),  # not understood
    ],
)
def test_a_probe_is_set_where_the_kernel_does_the_instruction_itself(code, at_return, place):
    padded = bytes.fromhex(code) + b"\xcc" * 40
    assert cheap_place(padded, at_return=at_return) == place


def test_the_gil_is_found_by_its_interval_and_only_when_one_place_looks_like_it():
    gil = struct.pack("<QQiiQ", 4_999_871, 0x7F00_0000_1000, 1, 0, 7)
    other = struct.pack("<QQiiQ", 4_999_871, 3, 77, 0, 7)
    with tempfile.TemporaryFile() as memory:
        content = b"\0" * 64 + other + gil + b"\0" * 64
        memory.write(b"\0" * 4096 + content)
        memory.flush()
        python = PythonObject(path="", offsets={}, runtime=(4096, len(content)), base=0)
        found = from_interval(memory.fileno(), python, 4_999_871)
        assert found is not None
        assert found.locked()
        assert from_interval(memory.fileno(), python, 5000) is None
        assert from_offsets(memory.fileno(), python) is None


def test_the_time_that_a_thread_beside_misses_is_held_time_but_for_the_hand_overs():
    # 1000 sleeps cost it 50 us each; 100 tasks of 3 hand-overs and 2 ms with the GIL.
    sleeps = {"missed": 50e6, "tasks": 500, "blocks": 1000}
    tasks = {"missed": 100 * (3 * 50e3 + 2e6), "tasks": 100, "blocks": 300}
    assert held_time({"sleeps": sleeps, "tasks": tasks}) == pytest.approx(2e-3)
    assert held_time({"sleeps": sleeps, "tasks": {**tasks, "missed": 0}}) == 0


def test_shares_add_up_to_one():
    totals = [(1.0, 0.5, 0.25), (2.0, 0.0, 0.75)]
    shares, task_time = shares_of(totals, "", held_of_busy=(0.8, 0.9))
    assert math.fsum(share.value for share in shares.values()) == pytest.approx(1)
    assert task_time.value == pytest.approx(2.25)
    assert all(a.lower <= a.value <= a.upper for a, _ in pairwise([*shares.values(), task_time]))
