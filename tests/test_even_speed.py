"""What a core's speed of the moment adds to rates comes off, and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest

from gilplan.calibration.even_speed import at_even_speed
from gilplan.calibration.pairing import PairedRun
from gilplan.calibration.realrun import RealRun
from gilplan.calibration.steps import StepSamples
from gilplan.model.layout import GilMode, Layout

LAYOUT = Layout(build="3.13.0", threads=2, gil=GilMode.OWN)
RELATIVE, SINGLE, TURNS, RUNS = 1.5, 100.0, 8, 300


def runs(*, follows: float, usual: float = 0.0, seed: int = 0) -> dict[int, list[PairedRun]]:
    """Cells of one run each, on cores that are slower by a fifth and more now and then.

    ``follows``: how closely the program does what the gauge does; ``usual``: how much slower the
    layout has its cores.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for cell in range(RUNS):
        # Neighbouring turns of a run are alike.
        layout = usual + 0.1 * rng.standard_normal() + 0.15 * rng.standard_normal(TURNS)
        single = 0.1 * rng.standard_normal() + 0.15 * rng.standard_normal(TURNS)
        noise = 0.02 * rng.standard_normal((2, TURNS))
        found[cell] = [
            PairedRun(
                run=RealRun(layout=LAYOUT, completed_at=((),), window=(0.0, 1.0)),
                uninterrupted=RealRun(layout=LAYOUT, completed_at=((),), window=(0.0, 1.0)),
                rates=tuple(RELATIVE * SINGLE * np.exp(-follows * layout + noise[0])),
                reference_rates=tuple(SINGLE * np.exp(-follows * single + noise[1])),
                reference=StepSamples(program="p", steps=(), whole=()),
                slowness=tuple(layout - single),
            )
        ]
    return found


def repeated(
    *, follows: float, of_process: float, layouts: int = 100, each: int = 2
) -> dict[int, list[PairedRun]]:
    """Layouts that were measured more than once, whose gauge also differs by process."""
    rng = np.random.default_rng(7)
    singles = [run for (run,) in runs(follows=follows).values()]
    return {
        layout: [
            replace(run, slowness=tuple(np.asarray(run.slowness) + bias))
            for run in singles[layout * each : (layout + 1) * each]
            for bias in [of_process * rng.standard_normal()]
        ]
        for layout in range(layouts)
    }


def corrected(found: dict[int, list[PairedRun]]) -> dict[int, list[PairedRun]]:
    return at_even_speed(found, program=lambda _: "p", alike=lambda _: "all")


def relative(found: dict[int, list[PairedRun]]) -> np.ndarray:
    return np.array([run.relative_throughput for (run,) in found.values()])


@pytest.mark.parametrize("follows", [0.7, 1.0, 1.3])
def test_a_program_that_computes_no_longer_shows_how_fast_its_cores_happened_to_be(follows):
    raw = runs(follows=follows)
    even = corrected(raw)
    assert relative(even).std() < relative(raw).std() / 4
    # The usual slowness is a mean of so many runs itself.
    assert relative(even).mean() == pytest.approx(RELATIVE, rel=0.02)
    errors = [run.standard_error for (run,) in even.values()]
    assert np.mean(errors) < 0.3 * np.mean([run.standard_error for (run,) in raw.values()])


def test_a_program_that_waits_keeps_its_rates():
    raw = runs(follows=0.0)
    assert relative(corrected(raw)) == pytest.approx(relative(raw), rel=0.01)


def test_what_a_layout_loses_as_a_rule_stays():
    assert relative(corrected(runs(follows=1.0, usual=0.2))).mean() == pytest.approx(
        RELATIVE * np.exp(-0.2), rel=0.02
    )


def test_layouts_that_are_not_alike_keep_what_each_loses_as_a_rule():
    both = {("one core", cell): found for cell, found in runs(follows=1.0, seed=1).items()} | {
        ("two cores", cell): found for cell, found in runs(follows=1.0, usual=0.2).items()
    }
    even = at_even_speed(both, program=lambda _: "p", alike=lambda key: key[0])
    for kind, lost in (("one core", 0.0), ("two cores", 0.2)):
        of_kind = [run.relative_throughput for key, (run,) in even.items() if key[0] == kind]
        assert np.mean(of_kind) == pytest.approx(RELATIVE * np.exp(-lost), rel=0.02)


def test_turns_without_a_reading_count_as_the_others_of_their_run():
    raw = runs(follows=1.0)
    gaps = {
        cell: [replace(run, slowness=(float("nan"), *run.slowness[1:]))]
        for cell, (run,) in raw.items()
    }
    assert relative(corrected(gaps)).std() < relative(raw).std() / 2


def test_a_run_whose_gauge_was_never_read_stays_as_it_is():
    raw = runs(follows=1.0)
    blind = replace(raw[0][0], slowness=(float("nan"),) * TURNS)
    assert corrected({**raw, 0: [blind]})[0] == [blind]
    bare = replace(raw[0][0], slowness=())
    assert corrected({0: [bare]}) == {0: [bare]}


def means(found: dict[int, list[PairedRun]]) -> np.ndarray:
    return np.log([run.relative_throughput for group in found.values() for run in group])


def test_what_only_the_gauge_of_a_process_feels_is_not_taken_off():
    raw = repeated(follows=1.0, of_process=0.6)
    even = corrected(raw)
    # The part that the program feels, 0.15 of 0.6, cannot be told from the rest.
    assert means(even).std() < 1.02 * means(raw).std()
    errors = [run.standard_error for group in even.values() for run in group]
    assert np.mean(errors) < 0.3 * np.mean(
        [run.standard_error for group in raw.values() for run in group]
    )


def test_repeated_runs_of_a_program_that_follows_its_gauge_are_corrected_in_full():
    raw = repeated(follows=1.0, of_process=0.0)
    assert means(corrected(raw)).std() < means(raw).std() / 4


def test_few_repeated_runs_are_corrected_as_the_turns_tell():
    raw = repeated(follows=1.0, of_process=0.0, layouts=4)
    spoiled = {
        layout: [first, replace(second, slowness=tuple(np.asarray(second.slowness) + 5.0))]
        for layout, (first, second) in raw.items()
    }
    once = {layout: [first] for layout, (first, _) in spoiled.items()}
    usual = corrected(once)
    both = corrected(spoiled)
    differences = [
        np.log(both[layout][0].relative_throughput / usual[layout][0].relative_throughput)
        for layout in raw
    ]
    # All by the same: what is usual of them has changed, how closely they follow has not.
    assert np.std(differences) < 0.05
