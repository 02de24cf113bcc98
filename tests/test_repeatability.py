"""What two runs of a cell differ by says how repeatable its regime is; odd pairs run once more."""

from collections.abc import Sequence

import numpy as np
import pytest

from gilplan.calibration.model_error import Regime
from gilplan.calibration.pairing import PairedRun
from gilplan.calibration.realrun import RealRun
from gilplan.calibration.repeatability import (
    cells_that_disagree,
    runs_worth,
    scatter_between_runs,
    scatter_by_regime,
    scatters_by_regime,
)
from gilplan.calibration.steps import StepSamples
from gilplan.calibration.study import Cell
from gilplan.model.layout import GilMode, Layout

LAYOUT = Layout(build="3.13.0", threads=2, gil=GilMode.OWN)


def run_of(rates: Sequence[float], completions: Sequence[float] = ()) -> PairedRun:
    """A run whose turns have these rates beside a single thread that does 100 tasks a second."""
    run = RealRun(layout=LAYOUT, completed_at=(tuple(completions),), window=(0.0, 1.0))
    return PairedRun(
        run=run,
        uninterrupted=run,
        rates=tuple(rates),
        reference_rates=(100.0,) * len(rates),
        reference=StepSamples(program="p", steps=(), whole=()),
    )


def two_processes(rng: np.random.Generator, between: float) -> list[PairedRun]:
    """Return two runs whose speeds differ by ``between``, and their turns by 2 %."""

    def of_a_process() -> PairedRun:
        speed = 80 * (1 + between * rng.standard_normal())
        return run_of([speed * (1 + 0.02 * rng.standard_normal()) for _ in range(9)])

    return [of_a_process(), of_a_process()]


def cells_of(
    layout: Layout, count: int, between: float, rng: np.random.Generator
) -> dict[Cell, list[PairedRun]]:
    return {
        Cell(program=f"p{n}", mode=layout.mode, layout=layout): two_processes(rng, between)
        for n in range(count)
    }


def test_scatter_between_runs_is_what_that_within_them_leaves():
    rng = np.random.default_rng(3)
    between = 0.03
    cells = [two_processes(rng, between) for _ in range(400)]
    assert scatter_between_runs(cells) == pytest.approx(between, rel=0.1)
    assert scatter_between_runs([runs[:1] for runs in cells]) == 0


def test_each_regime_has_its_own_scatter_where_its_cells_suffice():
    rng = np.random.default_rng(4)
    behind_a_gil, apart = LAYOUT, Layout(build="3.13.0", processes=2, gil=GilMode.OWN)
    crowded = Layout(build="3.13.0", processes=4, gil=GilMode.OWN)

    measured = {
        **cells_of(behind_a_gil, 200, 0.08, rng),
        **cells_of(apart, 200, 0.02, rng),
        **cells_of(crowded, 7, 0.5, rng),
    }
    scatter = scatter_by_regime(measured, cores=2)
    assert scatter[Regime.GIL] == pytest.approx(0.08, rel=0.15)
    assert scatter[Regime.NOTHING] == pytest.approx(0.02, rel=0.15)
    assert scatter[Regime.CORES] == scatter_between_runs(measured.values())
    once = measured | {cell: runs[:1] for cell, runs in measured.items() if cell.layout == apart}
    assert scatter_by_regime(once, cores=2)[Regime.NOTHING] == scatter_between_runs(once.values())


def test_one_disturbed_run_is_not_taken_for_the_scatter_of_the_others():
    rng = np.random.default_rng(5)
    cells = cells_of(LAYOUT, 200, 0.03, rng)
    odd = list(cells)[::10]
    for cell in odd:
        cells[cell][1] = run_of([60.0] * 9)
    assert scatter_between_runs(cells.values()) == pytest.approx(0.03, rel=0.15)
    again = cells_that_disagree(cells, cores=2)
    assert set(odd) <= set(again)
    # One of a hundred undisturbed cells differs by as much by chance.
    assert len(again) < len(odd) + 8


def test_cells_that_are_all_alike_need_no_third_run():
    same = {
        Cell(program=f"p{n}", mode="threads", layout=LAYOUT): [run_of([80.0] * 3)] * 2
        for n in range(20)
    }
    assert cells_that_disagree(same, cores=2) == ()
    once = {cell: runs[:1] for cell, runs in same.items()}
    assert cells_that_disagree(once, cores=2) == ()


def test_a_cell_that_did_nothing_says_nothing_of_the_others():
    rng = np.random.default_rng(10)
    cells = cells_of(LAYOUT, 20, 0.03, rng)
    idle = Cell(program="idle", mode="threads", layout=LAYOUT)
    alone = cells_that_disagree(cells, cores=2)
    with_idle = cells | {idle: [run_of([0.0] * 9)] * 2}
    assert cells_that_disagree(with_idle, cores=2) == (*alone, idle)
    assert scatter_between_runs(with_idle.values()) == scatter_between_runs(cells.values())


def test_a_regime_of_few_cells_is_judged_by_all():
    rng = np.random.default_rng(6)
    apart = Layout(build="3.13.0", processes=2, gil=GilMode.OWN)
    few = cells_of(apart, 3, 0.0, rng)
    few[next(iter(few))][0] = run_of([60.0] * 9)
    again = cells_that_disagree(cells_of(LAYOUT, 100, 0.03, rng) | few, cores=2)
    assert next(iter(few)) in again
    assert not set(list(few)[1:]) & set(again)


def test_response_times_have_a_scatter_of_their_own():
    rng = np.random.default_rng(7)

    def run(scale: float) -> PairedRun:
        return run_of([80.0] * 3, np.arange(0.0, 1.0, 0.01 * scale).tolist())

    measured = {
        Cell(program=f"p{n}", mode="threads", layout=LAYOUT): [
            run(1 + 0.1 * rng.standard_normal()) for _ in range(2)
        ]
        for n in range(800)
    }
    found = scatters_by_regime(measured, cores=2)[Regime.GIL]
    assert found["throughput"] == 0
    assert found["p50"] == pytest.approx(0.1, rel=0.15)
    # The tails are those of the run without turns, brought to the turns' throughput: no scatter.
    assert found["p99"] == pytest.approx(0, abs=0.02)


def test_a_median_is_as_sure_as_the_mean_of_fewer_runs():
    rng = np.random.default_rng(8)
    draws = rng.standard_normal((40_000, 7))
    for count in (1, 2, 3, 7):
        variance = np.median(draws[:, :count], axis=1).var()
        assert 1 / runs_worth(count) == pytest.approx(variance, rel=0.04)
