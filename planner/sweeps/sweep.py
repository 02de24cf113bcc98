"""A sweep: every point of a grid, each simulated once and never again."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Arrivals, Closed
from gilplan.model.checks import require_count, require_positive
from gilplan.model.errors import GilplanError
from gilplan.model.scenario import Scenario
from gilplan.model.statistics import LEVEL
from gilplan.model.workload import Workload
from gilplan.planner.predictions import warnings_on
from gilplan.planner.sweeps.axis import Given
from gilplan.planner.sweeps.crossings import Crossing, crossings
from gilplan.planner.sweeps.engine import engine_identity
from gilplan.planner.sweeps.executors import Opener, given, opener
from gilplan.planner.sweeps.frame import frame_of
from gilplan.planner.sweeps.grid import Grid, LeftOut, Point, read_grid
from gilplan.planner.sweeps.knees import Knee, knees
from gilplan.planner.sweeps.outcome import Outcome
from gilplan.planner.sweeps.run import Compute, run_here, run_on
from gilplan.planner.sweeps.store import FORMAT_VERSION, Store, open_store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a sweep is: points in all, those that were in the store, those run since."""

    points: int
    found: int
    ran: int

    @property
    def missing(self) -> int:
        return self.points - self.found - self.ran


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """What a sweep gives: its frame (see `gilplan.planner.sweeps.frame`), knees and crossings.

    ``left_out`` are the points without an outcome, with the reason; ``notes`` what the reader
    must know of all of them; ``found`` points were in the store, ``ran`` were run.
    """

    frame: "pd.DataFrame"
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    found: int
    ran: int

    def knees(self) -> list[Knee]:
        """Return where throughput and p99 bend against the switch interval, or why not."""
        return knees(self.frame)

    def crossings(self) -> list[Crossing]:
        """Return where two layouts change places along an axis."""
        return crossings(self.frame)

    def _repr_html_(self) -> str:
        from gilplan.planner.display import html_of
        from gilplan.planner.sweeps.tables import (
            crossing_lines,
            knee_lines,
            left_out_lines,
            point_table,
        )

        lines = [
            *knee_lines(self.knees()),
            *crossing_lines(self.crossings()),
            *left_out_lines(self.left_out),
            *self.notes,
        ]
        return html_of([point_table(self.frame)], lines=lines)


def sweep(
    workload: Workload,
    layouts: Sequence[str],
    profile: Profile,
    *,
    grid: Mapping[str, Given],
    arrivals: Arrivals | None = None,
    seed: int = 0,
    precision: float = 0.01,
    max_replications: int = 20,
    store: Path | None = None,
    executor: Executor | str | None = None,
    allow_many: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Sweep:
    """Simulate each layout at each point of ``grid``, all under the same random numbers.

    ``grid`` is by field: ``{"switch_interval": "0.1ms:50ms:log:12", "threads": [1, 2, 4]}``, a
    text or values in base units. Fields are those of a layout, ``build``, ``rate``,
    ``population``, ``think_time``, ``jobs``, and of the workload ``duration:SEGMENT``,
    ``share:SEGMENT``, ``released:SEGMENT`` (the share of its time without the GIL) and
    ``weight:TASK``. Without layouts, ``build`` must be among them.

    ``executor`` is any `concurrent.futures.Executor`, or a text ("local", "dask://HOST:PORT");
    None runs in this process. The frame does not depend on it. ``store`` names the file where
    each finished point is kept and looked up; only the missing ones are run.

    Raises `GilplanError` before anything is simulated where the grid, the store or the workers
    do not fit, and at the end where not one point has an answer.

        >>> sweep(workload, ["3.13:threads=4"], profile,
        ...       grid={"switch_interval": "0.1ms:50ms:log:12"})      # doctest: +SKIP
    """
    require_positive("precision", precision)
    require_count("max_replications", max_replications)
    axes = read_grid(layouts, grid, allow_many=allow_many)
    compute = Compute(
        precision=precision, max_replications=max_replications, engine=engine_identity()
    )
    run = run_here if executor is None else partial(run_on, _opener(executor))
    points, left_out = _points(axes, workload, arrivals or Closed(), profile, seed)
    keys = [_key(point.scenario, compute) for point in points]
    results = _Results(dict(zip(keys, points, strict=True)), on_progress)
    with open_store(store, compute.engine) if store is not None else nullcontext() as kept:
        results.find_in(kept)
        if results.missing:
            run(results.missing, compute, results.record)
    if not results.outcomes:
        raise results.failures[0]
    done = zip(points, keys, strict=True)
    rows = [(point, key, results.outcomes[key]) for point, key in done if key in results.outcomes]
    attributes = {
        "workload": workload.name,
        "profile": profile.identity,
        "seed": seed,
        "version": compute.engine,
        "interval_level": LEVEL,
    }
    return Sweep(
        frame=frame_of(rows, [axis.name for axis in axes.axes], attributes),
        left_out=(*left_out, *results.left_out),
        notes=warnings_on(workload, profile),
        found=results.found,
        ran=results.ran,
    )


class _Results:
    """The outcomes by key as they come in, each kept in the store before it counts."""

    def __init__(self, points: dict[str, Point], on_progress: Callable[[Progress], None]) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.left_out: list[LeftOut] = []
        self.failures: list[GilplanError] = []
        self.found = 0
        self.ran = 0
        self._points = points
        self._on_progress = on_progress
        self._store: Store | None = None

    @property
    def missing(self) -> dict[str, Scenario]:
        return {
            key: point.scenario for key, point in self._points.items() if key not in self.outcomes
        }

    def find_in(self, store: Store | None) -> None:
        """Take what the store has, and keep there what comes in from now on."""
        self._store = store
        self.outcomes = store.find(self._points) if store is not None else {}
        self.found = len(self.outcomes)
        self._tell()

    def record(self, key: str, outcome: Outcome | GilplanError) -> None:
        """Take the outcome of one point, or why it has none."""
        point = self._points[key]
        if isinstance(outcome, GilplanError):
            self.failures.append(outcome)
            self.left_out.append(LeftOut(point=point.text, reason=str(outcome)))
        else:
            if self._store is not None:
                self._store.keep(key, str(point.scenario.layout), outcome)
            self.outcomes[key] = outcome
        self.ran += 1
        self._tell()

    def _tell(self) -> None:
        self._on_progress(Progress(points=len(self._points), found=self.found, ran=self.ran))


def _points(
    grid: Grid, workload: Workload, arrivals: Arrivals, profile: Profile, seed: int
) -> tuple[list[Point], list[LeftOut]]:
    points: list[Point] = []
    left_out: list[LeftOut] = []
    for each in grid.points(workload, arrivals, profile, seed=seed):
        if isinstance(each, Point):
            points.append(each)
        else:
            left_out.append(each)
    return points, left_out


def _key(scenario: Scenario, compute: Compute) -> str:
    """Hash all that the outcome depends on."""
    parts = (
        FORMAT_VERSION,
        compute.engine,
        compute.precision,
        compute.max_replications,
        scenario.key,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _opener(executor: Executor | str) -> Opener:
    return opener(executor) if isinstance(executor, str) else given(executor)
