"""A layout and its single thread, measured in turns on a machine that changes its speed.

A core's speed depends on what it shares with whom: its clock, its caches, on a virtual machine
the other half of a physical core. It changes by tens of per cent within a second, so that two
runs one after the other cannot be compared. Here both run at the same time and take turns: one
is stopped (SIGSTOP) while the other goes on, for windows shorter than the changes. The single
thread goes round the cores from turn to turn, because a layout uses them all.

What comes out is the layout's throughput relative to the single thread's, and the single
thread's step times, from the same seconds.

A gauge in the worker's loops (`SpeedGauge`) reads how fast the cores are in each window, for what
changes faster than the turns; `at_even_speed` takes it off.

A process that goes on finds its caches cold and starts a little late: a window counts from when
that is over. Else the shorter windows would look slower.

Threads that go on start on whatever core is idle at that moment. Those that share a GIL find
together again on one core within 0.2 s, if others share another GIL; until then it comes from the
other core more often, and the layout is 3 to 14 % slower than if it had not been stopped. Windows
of such a layout count from when that is over, too, and are longer.

Stopping and continuing also leaves the cores' queues unequal for a while, which the longest
response times show. The layout therefore also runs once without being stopped: its tails come from
there.

Limit: timers run on while a process is stopped, so that every window begins with the time-outs
that came due. Windows last at least twenty switch intervals for that reason.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.builds import Build
from gilplan.calibration.child import Child
from gilplan.calibration.harness.worker import usual_reading
from gilplan.calibration.realrun import (
    SET_UP_LIMIT,
    RealRun,
    gauge_of,
    layout_child,
    run_for_real,
    step_samples,
    steps_child,
)
from gilplan.calibration.steps import StepSamples
from gilplan.model.bounds import gil_count
from gilplan.model.errors import MachineBusy, MeasurementFailed
from gilplan.model.layout import GilMode, Layout
from gilplan.model.quota import DEFAULT_PERIOD

INTERVALS_PER_WINDOW = 20
#: A quota's period goes on while a layout is stopped, so that each window begins with a full one.
PERIODS_PER_WINDOW = 10
LEAST_TURNS = 3
#: With fewer there is no scatter.
LEAST_COMPARED = 2
MEDIAN = 50
#: How long a process that goes on is slower than before, seconds. By the stamps of paired runs
#: (three programs, 3.12.1) the first millisecond of a window brought 9 to 77 % of the later
#: progress, the third and fourth 92 to 101 %.
RESUMING_TIME = 0.008
#: What stopping, continuing and moving processes may add to a turn, on a busy machine too: a layout
#: must live as long as its turns.
TURN_OVERHEAD = 0.02
#: How long the kernel takes to spread a layout's threads over the cores (kernel/sched/fair.c
#: balances busy cores every few ticks), and those that share a GIL to find together. In traces of
#: two processes of two and four threads hand-offs from core to core ended 0.2 s after they went on.
SETTLING_TIME = 0.3
#: Windows that begin so late are worth waiting for only if they are as long.
SETTLED_WINDOW = 0.2

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """``count`` windows of the layout of ``window`` seconds each, and the reference's between.

    A layout with a long switch interval gets fewer and longer ones, at least three. It runs
    ``warmup`` seconds before the first. ``uninterrupted`` is the time of its run without turns,
    for the tails of its response times.
    """

    count: int
    window: float
    reference_window: float
    warmup: float
    uninterrupted: float

    def window_of(self, layout: Layout) -> float:
        """The length of a window of this layout."""
        period = 0.0 if layout.quota is None else layout.quota_period or DEFAULT_PERIOD
        return max(
            SETTLED_WINDOW if _groups_form(layout) else self.window,
            INTERVALS_PER_WINDOW * layout.effective_switch_interval,
            PERIODS_PER_WINDOW * period,
        )

    def count_of(self, layout: Layout) -> int:
        """How many windows this layout gets."""
        return max(round(self.count * self.window / self.window_of(layout)), LEAST_TURNS)

    def time_of(self, layout: Layout) -> float:
        """How long the whole takes, both sides' turns together."""
        pause = RESUMING_TIME + TURN_OVERHEAD + self.reference_window
        turn = resuming_time(layout) + TURN_OVERHEAD + self.window_of(layout)
        return self.warmup + self.count_of(layout) * (turn + pause) + pause


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRun:
    """A layout's run with the reference's in between.

    ``run`` counts the time that the layout was not stopped; ``rates`` are its tasks per second
    in each turn and ``reference_rates`` those of the single thread around it, ``(turns,)``;
    ``slowness`` is the logarithm of the gauge's time in the layout over that in the single thread,
    NaN where one of them was not read, ``(turns,)``; ``windows`` is what counts of each turn, in
    seconds of the run, ``(turns, 2)``, empty for all of it; ``reference`` holds the single thread's
    step times. ``uninterrupted`` is the same layout without turns.
    """

    run: RealRun
    uninterrupted: RealRun
    rates: tuple[float, ...]
    reference_rates: tuple[float, ...]
    reference: StepSamples
    slowness: tuple[float, ...] = ()
    windows: tuple[tuple[float, float], ...] = ()

    @property
    def relative_throughput(self) -> float:
        """Throughput over the single thread's: the ratio of the means over the turns."""
        return float(np.mean(self.rates) / np.mean(self.reference_rates))

    def response_time(self, percentile: int, single: float) -> float | None:
        """Return a percentile of the response times in seconds, None where no task completed.

        It is what it would be at the speed at which the single thread does ``single`` tasks per
        second. The median comes from the turns, in whose seconds that speed was measured. The
        tails come from the run without turns, whose mean is brought to the turns' throughput: in
        a closed loop without think time the one is the workers over the other (Little's law).
        """
        if percentile <= MEDIAN:
            windows = self.windows or (self.run.window,)
            times = np.concatenate([self.run.response_times_in(*window) for window in windows])
            pace = float(np.mean(self.reference_rates)) / single
        else:
            times = self.uninterrupted.response_times
            pace = self.uninterrupted.throughput / (single * self.relative_throughput)
        return float(np.percentile(times, percentile)) * pace if len(times) else None

    @property
    def standard_error(self) -> float:
        """Standard error of `relative_throughput`, from the scatter of the turns (delta method)."""
        rates, references = np.asarray(self.rates), np.asarray(self.reference_rates)
        residuals = rates - self.relative_throughput * references
        return float(residuals.std(ddof=1) / np.sqrt(len(rates)) / references.mean())


def measure_paired(
    build: Build,
    program: Path,
    layout: Layout,
    turns: Turns,
    *,
    reference: Build | None = None,
) -> PairedRun:
    """Run the program in the layout and in a single thread by turns.

    The single thread is of the same build, or of ``reference``, so that layouts of several
    builds can be compared.

    Turns that something else took are tried once more. Raises `MeasurementFailed` when either
    cannot run, crashes or does not end, `MachineBusy` when there was no time for their turns.
    """
    beside = reference or build
    try:
        return _measured_in_turns(build, beside, program, layout, turns)
    except MachineBusy:
        return _measured_in_turns(build, beside, program, layout, turns)


def _measured_in_turns(
    build: Build, beside: Build, program: Path, layout: Layout, turns: Turns
) -> PairedRun:
    time = turns.time_of(layout)
    with steps_child(beside, program, time=time + SET_UP_LIMIT, warmup=turns.warmup) as single:
        single.answer(turns.warmup + SET_UP_LIMIT)
        single.stop()
        with layout_child(build, program, layout, time=time) as child:
            started_at = child.answer(SET_UP_LIMIT)["started_at"]
            ends_at = started_at + round(time * 1e9)
            spans, reference_spans = _take_turns(
                child, single, (started_at, ends_at), layout, turns
            )
            if len(spans) <= LEAST_COMPARED:
                raise MachineBusy(
                    f"{program.stem} as {layout}: too few turns in its {time:.2g} s; "
                    "something else keeps the machine busy"
                )
            answer = child.answer(time + SET_UP_LIMIT)
        timed = single.answer(time + SET_UP_LIMIT)
    uninterrupted = run_for_real(
        build, program, layout, warmup=SETTLING_TIME, time=turns.uninterrupted
    )
    return _paired(
        program.stem, layout, (answer, started_at, spans), (timed, reference_spans), uninterrupted
    )


def _take_turns(
    child: Child, reference: Child, lifetime: Span, layout: Layout, turns: Turns
) -> tuple[list[Span], list[Span]]:
    """Let the layout warm up, then alternate; return when each ran, the warm-up first.

    Where something else keeps the machine busy there are as many turns as the layout's
    ``lifetime`` has room for.
    """
    started_at, ends_at = lifetime
    window = resuming_time(layout) + turns.window_of(layout)
    cores = sorted(os.sched_getaffinity(0))[: layout.cores]
    sleep(max(started_at / 1e9 + turns.warmup - perf_counter_ns() / 1e9, 0))
    child.stop()
    spans = [(started_at, perf_counter_ns())]
    reference_spans: list[Span] = []
    count = turns.count_of(layout)
    for turn in range(count + 1):
        os.sched_setaffinity(reference.pid, {cores[turn % len(cores)]})
        for thread in os.listdir(f"/proc/{reference.pid}/task"):
            os.sched_setaffinity(int(thread), {cores[turn % len(cores)]})
        with _running(reference, reference_spans):
            sleep(RESUMING_TIME + turns.reference_window)
        if turn == count or perf_counter_ns() + window * 1e9 > ends_at:
            break
        with _running(child, spans):
            sleep(window)
    child.resume()
    reference.end()
    reference.resume()
    return spans, reference_spans


@contextmanager
def _running(child: Child, spans: list[Span]) -> Iterator[None]:
    began_at = perf_counter_ns()
    child.resume()
    yield
    child.stop()
    spans.append((began_at, perf_counter_ns()))


def _paired(
    program: str,
    layout: Layout,
    measured: tuple[dict[str, Any], int, list[Span]],
    timed: tuple[dict[str, Any], list[Span]],
    uninterrupted: RealRun,
) -> PairedRun:
    answer, started_at, spans = measured
    edges = np.cumsum([0, *(end - begin for begin, end in spans)]) / 1e9
    last = spans[-1][1] - started_at
    rows = tuple(
        tuple(_unstopped([started_at + at for at in row if at <= last], spans).tolist())
        for row in answer["completions"]
    )
    gauge = gauge_of(answer)
    gauge[:, 0] += started_at
    run = RealRun(
        layout=layout,
        completed_at=rows,
        window=(float(edges[1]), float(edges[-1])),
        steal_time=answer["steal_time"],
        gauge=tuple(
            zip(_unstopped(gauge[:, 0], spans).tolist(), (gauge[:, 1] / 1e9).tolist(), strict=True)
        ),
    )
    settled = _settled(timed[1])
    around = _readings(np.reshape(timed[0]["gauge"], (-1, 2)), settled)
    reference = _inside(program, timed[0], settled, around)
    rates = _rates(timed[0], timed[1], reference.stamp_ratio)
    if not np.isfinite(rates).all():
        raise MeasurementFailed(f"{program} as {layout}: a turn of the single thread did no task")
    readings = _readings(gauge, _settled(spans[1:], resuming_time(layout)))
    windows = tuple(
        (float(begin) + resuming_time(layout), float(end)) for begin, end in pairwise(edges[1:])
    )
    return PairedRun(
        run=run,
        uninterrupted=uninterrupted,
        windows=windows,
        rates=tuple(run.throughput_in(*window) for window in windows),
        reference_rates=tuple((before + after) / 2 for before, after in pairwise(rates)),
        reference=reference,
        slowness=tuple(
            (np.log(readings) - (np.log(around[:-1]) + np.log(around[1:])) / 2).tolist()
        ),
    )


def resuming_time(layout: Layout) -> float:
    """Return how long a layout that goes on is slower than before, seconds."""
    return SETTLING_TIME if _groups_form(layout) else RESUMING_TIME


def _groups_form(layout: Layout) -> bool:
    """Return whether there are several GILs, each with several threads."""
    return layout.gil is not GilMode.DISABLED and 1 < gil_count(layout) < layout.workers


def _settled(spans: Sequence[Span], resuming_time: float = RESUMING_TIME) -> list[Span]:
    """Leave out the while for which a process that goes on is slower."""
    return [(begin + round(resuming_time * 1e9), end) for begin, end in spans]


def _readings(gauge: NDArray[Any], spans: Sequence[Span]) -> NDArray[np.float64]:
    """Return the mean undisturbed reading in each span, NaN where there is none."""
    found = []
    for begin, end in spans:
        inside = gauge[(gauge[:, 0] >= begin) & (gauge[:, 0] <= end), 1].tolist()
        found.append(usual_reading(inside) if inside else np.nan)
    return np.array(found, dtype=np.float64)


def _unstopped(
    instants: Sequence[float] | NDArray[np.float64], spans: list[Span]
) -> NDArray[np.float64]:
    """Turn clock readings (ns) into the seconds that a child had been running by then."""
    begins, ends = np.array(spans, dtype=np.float64).T
    ran = np.cumsum(ends - begins)
    knots = np.stack([begins, ends], axis=1).ravel()
    at_knots = np.stack([ran - (ends - begins), ran], axis=1).ravel()
    times: NDArray[np.float64] = np.interp(instants, knots, at_knots) / 1e9
    return times


def _rates(timed: dict[str, Any], spans: list[Span], stamp_ratio: float) -> list[float]:
    """Tasks per second of the single thread in each of its spans.

    Stamped and untouched tasks alternate; progress counts in pairs, parts of a pair included.
    An untouched task is ``stamp_ratio`` times as long as a stamped one.
    """
    marks = _unstopped(np.asarray(timed["whole_at"], dtype=np.float64), spans)
    edges = _unstopped(np.array([spans[0][0], *(end for _, end in spans)], dtype=float), spans)
    # Before the first mark and after the last one there is no progress to read off.
    windows = np.clip([edges[:-1] + RESUMING_TIME, edges[1:]], marks[0], marks[-1])
    pairs = np.diff(np.interp(windows, marks, np.arange(len(marks), dtype=float)), axis=0)[0]
    lengths = np.diff(windows, axis=0)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        rates: list[float] = (pairs / lengths * (1 + stamp_ratio) / stamp_ratio).tolist()
    return rates


def _inside(
    program: str, timed: dict[str, Any], spans: list[Span], gauge: NDArray[np.float64]
) -> StepSamples:
    """Keep the step times of tasks that ran without being stopped.

    ``gauge`` is its reading in each span, ns: ``(spans,)``.
    """
    samples = step_samples(program, timed)
    totals = np.sum([step.times for step in samples.steps], axis=0)
    wholes = np.asarray(samples.whole)
    # The two kinds of task alternate, and only neighbours that both ran through say anything
    # about each other.
    begun = np.asarray(timed["whole_at"])
    kept = _within(np.asarray(timed["stamped_at"]), totals, spans) & _within(begun, wholes, spans)
    span = np.searchsorted([begin for begin, _ in spans], begun, side="right") - 1
    return replace(samples, gauge=tuple((gauge[span] / 1e9).tolist())).selected(kept)


def _within(begun: NDArray[Any], times: NDArray[Any], spans: list[Span]) -> NDArray[np.bool_]:
    """Which tasks lie wholly inside one of the spans, ns."""
    ended = begun + times * 1e9
    inside = [(begun >= begin) & (ended <= end) for begin, end in spans]
    mask: NDArray[np.bool_] = np.any(inside, axis=0)
    return mask
