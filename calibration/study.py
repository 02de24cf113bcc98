"""Which layouts a validation runs: cells balanced over builds, modes, workers, intervals, programs.

The full grid is thousands of cells; a study takes a subset of it in which every value of every
factor appears about equally often, chosen by a fixed seed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.pairing import Turns
from gilplan.model.behaviours import DEFAULT_SWITCH_INTERVAL
from gilplan.model.checks import require_count
from gilplan.model.errors import InvalidValue
from gilplan.model.layout import GilMode, Layout

SWITCH_INTERVALS = (0.0001, 0.0005, 0.005, 0.05)
#: Per mode: the shapes (processes, interpreters, threads) of 1, 2, 4 and 8 workers.
SHAPES = {
    "threads": ((1, 1, 1), (1, 1, 2), (1, 1, 4), (1, 1, 8)),
    "free-threaded": ((1, 1, 1), (1, 1, 2), (1, 1, 4), (1, 1, 8)),
    "shared-GIL interpreters": ((1, 2, 1), (1, 4, 1), (1, 2, 2), (1, 4, 2), (1, 8, 1)),
    "own-GIL interpreters": ((1, 2, 1), (1, 2, 2), (1, 4, 1), (1, 2, 4), (1, 4, 2), (1, 8, 1)),
    "processes": ((2, 1, 1), (2, 1, 2), (4, 1, 1), (2, 1, 4), (4, 1, 2), (8, 1, 1)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One thing to predict and to measure: a program in a layout of a build."""

    program: str
    mode: str
    layout: Layout

    def __str__(self) -> str:
        return f"{self.program} as {self.layout}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Cells and how to measure them.

    Each of ``repeats`` rounds runs every cell once, in ``turns`` with a single thread of its
    program; ``cold_time`` seconds per build and program find what a thread pays for cold caches.
    ``seed`` fixes the order.
    """

    cells: tuple[Cell, ...]
    repeats: int
    turns: Turns
    cold_time: float = 10.0
    seed: int

    def __post_init__(self) -> None:
        if not self.cells:
            raise InvalidValue("cells", "at least one cell", [], "give a build to validate on")
        require_count("repeats", self.repeats)
        require_count("seed", self.seed, least=0)

    @classmethod
    def quick(cls, builds: Sequence[Build], programs: Iterable[str], *, seed: int) -> "Study":
        """About 40 cells in some three minutes of measuring."""
        cells = balanced_cells(builds, programs, count=40, seed=seed)
        turns = Turns(count=16, window=0.08, reference_window=0.04, warmup=0.1, uninterrupted=0.7)
        return cls(cells=cells, repeats=1, turns=turns, cold_time=5.0, seed=seed)

    @classmethod
    def full(
        cls, builds: Sequence[Build], programs: Iterable[str], *, seed: int, cells: int = 240
    ) -> "Study":
        """``cells`` cells, some ten seconds of measuring for each of two runs."""
        chosen = balanced_cells(builds, programs, count=cells, seed=seed)
        turns = Turns(count=8, window=0.1, reference_window=0.04, warmup=0.15, uninterrupted=2.0)
        return cls(cells=chosen, repeats=2, turns=turns, seed=seed)


def natural_gil(build: Build) -> GilMode:
    """Return the GIL mode of the build's main interpreter."""
    if build.free_threaded:
        return GilMode.DISABLED
    return GilMode.OWN if build.version >= (3, 12, 0) else GilMode.SHARED


def candidate_layouts(build: Build, mode: str) -> Iterator[Layout]:
    """Yield the layouts of a mode; the interval varies only where threads share a GIL."""
    gil = natural_gil(build)
    if mode.endswith("interpreters"):
        gil = GilMode.OWN if mode.startswith("own") else GilMode.SHARED
    for processes, interpreters, threads in SHAPES[mode]:
        per_gil = threads * (interpreters if gil is GilMode.SHARED else 1)
        contended = per_gil > 1 and gil is not GilMode.DISABLED
        for interval in SWITCH_INTERVALS if contended else (DEFAULT_SWITCH_INTERVAL,):
            yield Layout(
                build=build.name,
                processes=processes,
                interpreters=interpreters,
                threads=threads,
                gil=gil,
                switch_interval=interval,
            )


def balanced_cells(
    builds: Sequence[Build], programs: Iterable[str], *, count: int, seed: int
) -> tuple[Cell, ...]:
    """Choose ``count`` cells: (build, mode) in turn, and of each the values seen least so far.

    Fewer where the builds and programs do not have as many.
    """
    rng = np.random.default_rng(np.random.SeedSequence(entropy=seed))
    names = sorted(programs)
    pools = {
        (build.name, mode): list(candidate_layouts(build, mode))
        for build in builds
        for mode in build.answers
    }
    seen: Counter[object] = Counter()
    chosen: dict[Cell, None] = {}
    while len(chosen) < count:
        before = len(chosen)
        for (_build, mode), layouts in pools.items():
            cells = [
                cell
                for layout in layouts
                for name in names
                if (cell := Cell(program=name, mode=mode, layout=layout)) not in chosen
            ]
            if not cells or len(chosen) == count:
                continue
            ties = rng.random(len(cells))
            scores = [
                sum(weight * seen[value] for value, weight in _factors(cell).items())
                for cell in cells
            ]
            cell = cells[min(range(len(cells)), key=lambda n: (scores[n], ties[n]))]
            chosen[cell] = None
            seen.update(_factors(cell).keys())
        if len(chosen) == before:
            break
    return tuple(chosen)


def _factors(cell: Cell) -> dict[object, float]:
    """Return what should appear equally often, with its weight.

    Balance within a mode weighs more than over all: a mode that few builds have must show its
    range of workers too.
    """
    layout = cell.layout
    shape = (layout.processes, layout.interpreters, layout.threads)
    return {
        ("program", cell.program): 1.0,
        ("program", cell.program, layout.build): 1.0,
        ("program", cell.program, cell.mode): 1.0,
        ("interval", layout.switch_interval): 0.2,
        ("interval", layout.switch_interval, cell.mode): 1.0,
        ("workers", layout.workers): 0.2,
        ("workers", layout.workers, cell.mode): 2.0,
        ("shape", shape, cell.mode): 1.0,
    }
