"""A shipped program under Poisson arrivals for real: its response times, and the rate it sustains.

Response times count from the instant of arrival. A task that arrived and was not completed when
the run ended counts with the time that it had waited by then, so that a program that falls
behind cannot look fast.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gilplan.calibration.builds import Build
from gilplan.calibration.child import Child
from gilplan.calibration.realrun import FLAGS, HERE, SET_UP_LIMIT, measure_steps
from gilplan.calibration.steps import StepSamples
from gilplan.model.checks import require_positive
from gilplan.model.errors import MeasurementFailed
from gilplan.model.layout import Layout

HALVINGS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """What a run under arrivals of ``rate`` did; seconds since its start.

    ``arrived_at`` ``(n,)`` are all arrivals of the run, ``response_times`` ``(n,)`` theirs, the
    time waited so far for those that ``unfinished`` counts; ``warmup`` does not count.
    """

    layout: Layout
    rate: float
    arrived_at: NDArray[np.float64]
    response_times: NDArray[np.float64]
    unfinished: int
    warmup: float

    def percentile(self, rank: float) -> float:
        """Return a percentile of the response times of what arrived after the warm-up."""
        counted = self.response_times[self.arrived_at >= self.warmup]
        return float(np.percentile(counted, rank))


def run_open_loop(
    build: Build,
    program: Path,
    layout: Layout,
    *,
    rate: float,
    time: float,
    warmup: float = 0.3,
    rng: np.random.Generator,
) -> OpenRun:
    """Run the program in the layout for ``warmup + time`` seconds under Poisson arrivals.

    Raises `MeasurementFailed` when it cannot run, crashes or does not end.
    """
    require_positive("rate", rate)
    whole = warmup + time
    gaps = rng.exponential(1 / rate, size=round(1.5 * rate * whole) + 50)
    due = np.cumsum(gaps)
    due = due[due < whole]
    if not len(due):
        raise MeasurementFailed(f"{program.stem}: nothing arrives in {whole:g} s; raise the rate")
    with tempfile.TemporaryDirectory(prefix="gilplan-") as scratch:
        schedule = Path(scratch) / "schedule"
        ticks = np.rint(due * 1e9).astype("<i8")
        schedule.write_bytes(ticks.tobytes())
        command = [build.path, *FLAGS, str(HERE / "harness" / "open_loop.py"), str(schedule)]
        command += [str(program), *_arguments(layout), "--time", str(whole), "--scratch", scratch]
        with Child(command, what=f"{program.stem} as {layout}") as child:
            child.answer(SET_UP_LIMIT)
            answer = child.answer(whole + SET_UP_LIMIT)
    return _record(layout, rate, ticks / 1e9, answer["completions"], whole, warmup)


def _arguments(layout: Layout) -> list[str]:
    options = {
        "--processes": layout.processes,
        "--interpreters": layout.interpreters,
        "--threads": layout.threads,
        "--gil": layout.gil.value,
        "--switch-interval": layout.effective_switch_interval,
        "--cores": layout.cores,
    }
    return [
        text for key, value in options.items() if value is not None for text in (key, str(value))
    ]


def _record(
    layout: Layout,
    rate: float,
    arrived_at: NDArray[np.float64],
    rows: list[list[int]],
    end: float,
    warmup: float,
) -> OpenRun:
    pairs = np.array([instant for row in rows for instant in row], dtype=np.float64)
    served, completed = pairs[0::2] / 1e9, pairs[1::2] / 1e9
    # Arrivals are told apart by their instants, which the workers hand back as they were.
    places = np.searchsorted(arrived_at, served - 5e-10)
    completed_at = np.full(len(arrived_at), np.nan)
    completed_at[places] = completed
    unfinished = np.isnan(completed_at)
    completed_at[unfinished] = max(end, float(completed.max(initial=0.0)))
    return OpenRun(
        layout=layout,
        rate=rate,
        arrived_at=arrived_at,
        response_times=completed_at - arrived_at,
        unfinished=int(unfinished.sum()),
        warmup=warmup,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SustainedRun:
    """The highest rate at which p99 held, relative to a single thread's, and how it was found.

    ``relative_rate`` is in units of the single thread's rate at the time, because a machine may
    change its speed between one trial and the next; ``steps`` are the single thread's samples.
    """

    relative_rate: float
    steps: StepSamples
    trials: tuple[tuple[float, float], ...]

    @property
    def rate(self) -> float:
        """Tasks per second, at the single thread's mean speed over the whole search."""
        return self.relative_rate * self.steps.rate


def highest_rate(
    build: Build,
    program: Path,
    layout: Layout,
    *,
    limit: float,
    at_most: float,
    time: float,
    rng: np.random.Generator,
    reference_time: float = 0.4,
) -> SustainedRun:
    """Search the highest rate whose p99 stays within ``limit`` seconds, by halving.

    ``at_most`` is a rate, relative to a single thread's, that is surely too high. A single
    thread is timed before and after each trial.
    """
    before = measure_steps(build, program, time=reference_time)
    steps = before
    low, high = 0.0, at_most
    trials: list[tuple[float, float]] = []
    for _ in range(HALVINGS):
        relative = (low + high) / 2
        run = run_open_loop(build, program, layout, rate=relative * before.rate, time=time, rng=rng)
        after = measure_steps(build, program, time=reference_time)
        steps = steps.joined(after)
        # What was asked, in units of the speed that the machine had meanwhile.
        asked = run.rate / ((before.rate + after.rate) / 2)
        p99 = run.percentile(99)
        trials.append((asked, p99))
        before = after
        if p99 <= limit:
            low = max(low, asked)
        else:
            high = max(min(high, asked), low)
    return SustainedRun(relative_rate=(low + high) / 2, steps=steps, trials=tuple(trials))
