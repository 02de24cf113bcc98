"""A layout and its single thread by turns: clocks that stand still while stopped, fair ratios."""

import os
import signal
import sys
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gilplan.calibration.builds import find_builds
from gilplan.calibration.child import SIGNAL_THREAD, Child
from gilplan.calibration.pairing import (
    LEAST_TURNS,
    RESUMING_TIME,
    SETTLING_TIME,
    PairedRun,
    Turns,
    _rates,
    _readings,
    _unstopped,
    measure_paired,
    resuming_time,
)
from gilplan.calibration.realrun import RealRun, shipped_programs
from gilplan.calibration.steps import StepSamples
from gilplan.calibration.study import candidate_layouts
from gilplan.model.errors import MeasurementFailed
from gilplan.model.layout import GilMode, Layout

LAYOUT = Layout(build="3.13.0", threads=2, gil=GilMode.OWN)
BUILDS = [build for build in find_builds()[0] if build.version >= (3, 12, 0)]
SECOND = 1_000_000_000


def paired(rates, reference_rates) -> PairedRun:
    return PairedRun(
        run=RealRun(layout=LAYOUT, completed_at=((),), window=(0.0, 1.0)),
        uninterrupted=RealRun(layout=LAYOUT, completed_at=((),), window=(0.0, 1.0)),
        rates=tuple(rates),
        reference_rates=tuple(reference_rates),
        reference=StepSamples(program="p", steps=(), whole=()),
    )


def evenly(rate: float) -> RealRun:
    """One worker for a second at a steady rate."""
    completed = tuple((n + 1) / rate for n in range(round(rate)))
    return RealRun(layout=LAYOUT, completed_at=(completed,), window=(0.0, 1.0))


def test_response_times_are_those_at_the_speed_of_the_single_thread():
    # The machine was half as fast in the turns, and a quarter in the run without them.
    run = replace(paired((50.0,) * 5, (50.0,) * 5), run=evenly(50.0), uninterrupted=evenly(25.0))
    assert run.response_time(50, single=100.0) == pytest.approx(0.010)
    assert run.response_time(99, single=100.0) == pytest.approx(0.010)


def test_no_task_has_no_response_time():
    assert paired((50.0,) * 5, (50.0,) * 5).response_time(99, single=100.0) is None


def test_clock_stands_still_while_stopped():
    spans = [(10 * SECOND, 12 * SECOND), (20 * SECOND, 21 * SECOND)]
    instants = np.array([9, 10, 11, 12, 15, 20, 20.5, 21, 30]) * SECOND
    assert _unstopped(instants, spans).tolist() == [0, 0, 1, 2, 2, 2, 2.5, 3, 3]


def test_rate_of_the_single_thread_counts_parts_of_tasks():
    # A pair of tasks, 10 ms each, every 20 ms of running; a pause of 1 s after 0.5 s.
    running = np.arange(0, 1.0, 0.02)
    clock = np.where(running < 0.5, running, running + 1.0) * SECOND
    spans = [(0, SECOND // 2), (3 * SECOND // 2, 2 * SECOND)]
    rates = _rates({"whole_at": clock.tolist()}, spans, stamp_ratio=1.0)
    assert rates == pytest.approx([100.0, 100.0])


def test_the_gauge_is_read_window_by_window_without_what_was_interrupted():
    gauge = np.array([[5, 99], [10, 20], [11, 22], [12, 24], [13, 26], [14, 400], [40, 30]])
    readings = _readings(gauge, [(10, 20), (20, 30), (30, 40)])
    # The mean of four of five, none, and one at the edge.
    assert readings == pytest.approx([23.0, np.nan, 30.0], nan_ok=True)


def test_stamped_tasks_that_take_longer_do_not_slow_the_reference():
    # Stamped 15 ms, untouched 10 ms: a pair every 25 ms; the reference is 100 tasks a second.
    clock = np.arange(0, 1.0, 0.025) * SECOND
    (rate,) = _rates({"whole_at": clock.tolist()}, [(0, SECOND)], stamp_ratio=10 / 15)
    assert rate == pytest.approx(100.0)


def test_late_start_of_a_window_does_not_slow_the_reference():
    # A pair of tasks takes 1 ms; of each window of 0.1 s the first 5 ms pass without progress.
    spans = [(2 * turn * SECOND // 10, (2 * turn + 1) * SECOND // 10) for turn in range(4)]
    clock = [[begin, begin + SECOND // 200, end] for begin, end in spans]
    progress = [[95 * turn, 95 * turn, 95 * turn + 95] for turn in range(4)]
    marks = np.interp(np.arange(380), np.ravel(progress), np.ravel(clock))
    rates = _rates({"whole_at": marks.tolist()}, spans, stamp_ratio=1.0)
    assert rates[:3] == pytest.approx([2000.0] * 3, rel=0.01)


def test_common_slowness_of_a_turn_cancels():
    run = paired([200.0, 100.0, 150.0], [100.0, 50.0, 75.0])
    assert run.relative_throughput == pytest.approx(2.0)
    assert run.standard_error == pytest.approx(0.0)


def test_standard_error_is_honest_about_scatter():
    rng = np.random.default_rng(4)
    misses = 0
    for _ in range(400):
        run = paired(rng.normal(150, 15, 24), rng.normal(100, 10, 24))
        misses += abs(run.relative_throughput - 1.5) > 1.645 * run.standard_error
    # Nominally 40 of 400; five standard deviations of the binomial, and a little for 24 turns.
    assert 12 <= misses <= 80


def test_long_switch_interval_gets_fewer_and_longer_turns():
    turns = Turns(count=24, window=0.1, reference_window=0.04, warmup=0.1, uninterrupted=0.3)
    slow = Layout(build="3.13.0", threads=2, gil=GilMode.OWN, switch_interval=0.05)
    assert turns.count_of(LAYOUT) == 24
    assert turns.window_of(slow) == pytest.approx(1.0)
    assert turns.count_of(slow) == LEAST_TURNS


@pytest.mark.parametrize(
    ("processes", "threads", "settles"), [(2, 2, True), (1, 4, False), (4, 1, False)]
)
def test_windows_of_several_shared_gils_begin_once_their_threads_have_gathered(
    processes: int, threads: int, settles: bool
):
    layout = Layout(build="3.13.0", processes=processes, threads=threads, gil=GilMode.OWN)
    turns = Turns(count=8, window=0.1, reference_window=0.04, warmup=0.1, uninterrupted=0.3)
    assert resuming_time(layout) == (SETTLING_TIME if settles else RESUMING_TIME)
    # As much counts, in fewer turns, and the layout lives for all of them.
    assert turns.count_of(layout) * turns.window_of(layout) == pytest.approx(0.8)
    assert turns.time_of(layout) > turns.count_of(layout) * (
        resuming_time(layout) + turns.window_of(layout) + RESUMING_TIME + turns.reference_window
    )


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS[:2], ids=lambda build: build.name)
def test_real_layout_and_single_thread_take_turns(build):
    mode = build.answers[0]
    layout = next(each for each in candidate_layouts(build, mode) if each.workers == 2)
    turns = Turns(count=5, window=0.1, reference_window=0.03, warmup=0.05, uninterrupted=0.3)
    run = measure_paired(build, shipped_programs()["nbody"], layout, turns)
    assert len(run.rates) == len(run.reference_rates) == turns.count_of(layout)
    assert all(rate > 0 for rate in (*run.rates, *run.reference_rates))
    assert len(run.slowness) == len(run.rates)
    # One loop on one machine: it cannot take several times as long on one side.
    assert all(abs(slowness) < 1 for slowness in run.slowness)
    assert len(run.reference.whole) == len(run.reference.steps[0].times) > 0
    for row in run.run.completed_at:
        assert all(a <= b for a, b in pairwise(row))


def script(text: str) -> Child:
    return Child([sys.executable, "-c", text], what="the script")


def test_answers_come_line_by_line():
    with script("print('{\"a\": 1}', flush=True); print('{\"b\": 2}')") as child:
        assert child.answer(20) == {"a": 1}
        assert child.answer(20) == {"b": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('so what')", "ValueError: so what"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
        ('print(\'{"error": "no such thing"}\')', "no such thing"),
    ],
)
def test_failed_script_costs_one_line(text, words):
    with script(text) as child, pytest.raises(MeasurementFailed, match=words) as failure:
        child.answer(20)
    assert "\n" not in str(failure.value)


def test_script_that_says_nothing_is_given_up_and_killed():
    silent = script("import time; time.sleep(600)")
    with silent as child, pytest.raises(MeasurementFailed, match=r"no end after 0\.2 s"):
        child.answer(0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, signal.SIGCONT)


def test_each_thread_of_a_stopped_script_and_of_its_children_has_a_signal_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
):
    text = """
import os, threading, time
if os.fork():
    print("{}", flush=True)
for _ in range(2):
    threading.Thread(target=lambda: time.sleep(600), daemon=True).start()
time.sleep(600)
"""
    signalled = []

    def send(process: int, thread: int, number: int) -> int:
        signalled.append((process, thread, number))
        return SIGNAL_THREAD(process, thread, number)

    monkeypatch.setattr("gilplan.calibration.child.SIGNAL_THREAD", send)
    with script(text) as child:
        child.answer(20)
        deadline = time.monotonic() + 20
        while len(threads := set(child.threads())) < 6:
            assert time.monotonic() < deadline
        child.stop()
        assert len({process for process, _ in threads}) == 2
        assert sorted(signalled) == sorted((*thread, signal.SIGSTOP) for thread in threads)
        while {state(*thread) for thread in threads} != {"T"}:
            assert time.monotonic() < deadline


def state(process: int, thread: int) -> str:
    with open(f"/proc/{process}/task/{thread}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_stopped_script_can_still_be_ended():
    with script("import time; print('{}', flush=True); time.sleep(600)") as child:
        child.answer(20)
        child.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, signal.SIGCONT)
