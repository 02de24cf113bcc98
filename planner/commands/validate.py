"""``gilplan validate``: layouts run for real, beside their predictions."""

from pathlib import Path

import click

from gilplan.planner.commands.options import (
    PATH,
    foreign_option,
    format_option,
    interpreter_option,
    profile_option,
    seed_option,
)


@click.command()
@click.argument("target", required=False, metavar="[TARGET]")
@click.option(
    "--layout", "layouts", multiple=True, metavar="BUILD:KEY=VALUE,...",
    help="A layout for TARGET to run in. May be given again.",
)  # fmt: skip
@interpreter_option
@click.option("--quick", is_flag=True, help="Fewer programs, layouts and repeats.")
@click.option(
    "--cells",
    type=click.IntRange(min=1),
    default=240,
    show_default=True,
    help="How many layouts and programs to try, some 25 seconds each (without --quick).",
)
@profile_option
@foreign_option
@format_option("text", "json", "csv")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Default: stdout.")
@seed_option
def validate(
    target: str | None,
    layouts: tuple[str, ...],
    interpreters: tuple[Path, ...],
    quick: bool,
    cells: int,
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    output: Path | None,
    seed: int,
) -> None:
    """Run real programs in layouts for real, beside their predictions.

    Each layout takes turns with a single thread of the same program, so that a machine that
    changes its speed does not spoil the comparison. What hand-offs of the GIL cost is measured anew
    before and after, for the host of a virtual machine changes it within minutes. Prints predicted,
    measured, error and how repeatable the measurement is, with the errors of the rules of thumb
    beside them. The errors found become part of the profile, and of the intervals of later
    predictions.

    \b
    gilplan validate --quick
    gilplan validate --format csv -o validation.csv

    With TARGET, path/to/file.py:function or module:function, the same for your own callable: it is
    observed once, each layout is predicted and then run for real, and throughput and response
    times stand side by side. Its packages must be in the environment of each layout's build.

    \b
    gilplan validate app.py:handle --layout 3.13:threads=4 --layout 3.13t:threads=4
    gilplan validate app.py:handle --layout 3.14:interpreters=2 --interpreter .venv/bin/python
    """
    if (target is None) != (not layouts):
        raise click.UsageError("TARGET and --layout go together.")
    if target is not None:
        from gilplan.planner.commands.validate_target import validate_target

        validate_target(
            target, layouts, interpreters, profile_path,
            allow_foreign=allow_foreign, form=form, output=output, seed=seed,
        )  # fmt: skip
        return
    import json
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import replace
    from functools import partial
    from multiprocessing import get_context

    import numpy as np

    from gilplan.calibration.atomic_file import require_writable, write_text
    from gilplan.calibration.profile import default_path, save
    from gilplan.calibration.realrun import shipped_programs
    from gilplan.calibration.refresh import ROUNDS, refreshed
    from gilplan.calibration.study import Study
    from gilplan.calibration.validation import compare, measure
    from gilplan.model.errors import GilplanError
    from gilplan.planner.commands.output import (
        INTERRUPTED,
        print_table,
        tell,
        write_or_print,
    )
    from gilplan.planner.commands.profiles import calibrated_builds, usable_profile
    from gilplan.planner.display import table_text
    from gilplan.planner.predictions import predict_layout
    from gilplan.planner.progress import progress
    from gilplan.planner.tables import error_table, response_error_table, validation_table

    profile = usable_profile(profile_path, allow_foreign=allow_foreign)
    builds = calibrated_builds(profile, interpreters)
    if output is not None:
        require_writable(output)
    programs = shipped_programs()
    study = (
        Study.quick(builds, programs, seed=seed)
        if quick
        else Study.full(builds, programs, seed=seed, cells=cells)
    )
    pool = ProcessPoolExecutor(profile.machine.cores, get_context("spawn"))
    with pool, progress() as report:
        refreshes = not allow_foreign and not all(build.free_threaded for build in builds)
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        rounds = 1 if quick else ROUNDS
        if refreshes:
            profile = refreshed(profile, builds, rng=rng, rounds=rounds, progress=report)

        def told(text: str, done: int, total: int) -> None:
            report(text, done / total)

        measurements = measure(study, builds, programs, progress=told)
        if refreshes and not measurements.interrupted:
            # What the host did to the cores meanwhile is told by both ends better than by one.
            try:
                profile = refreshed(
                    profile, builds, rng=rng, rounds=rounds, joined=True, progress=report
                )
            except GilplanError as failure:
                tell([f"hand-offs and speeds are those of the beginning: {failure}"])
            except KeyboardInterrupt:
                measurements.interrupted = True
        # A prediction of 2 % is finer than what a cell can be measured to.
        predict = partial(
            predict_layout, profile=profile, seed=seed, precision=0.02, max_replications=6
        )
        validation = compare(
            study, measurements, predict, profile=profile, executor=pool, progress=told
        )
    if form == "json":
        document = {**validation.to_json(), "profile": profile.identity}
        write_or_print(json.dumps(document, indent=1, allow_nan=False) + "\n", output)
    elif form == "csv":
        write_or_print(validation.frame().to_csv(index=False), output)
    else:
        of_all = (validation_table, error_table, response_error_table)
        tables = [table(validation) for table in of_all]
        if output is None:
            print_table(*tables)
        else:
            write_text(output, "\n".join(table_text(table) for table in tables))
    tell(f"skipped {each.cell}: {each.reason}" for each in validation.skipped)
    if validation.interrupted:
        raise click.exceptions.Exit(INTERRUPTED)
    error = validation.model_error
    if error is not None and not allow_foreign:
        path = profile_path or default_path()
        save(replace(profile, model_error=error), path)
        tell([f"added to {path}: the model's error on {error.cells} layouts, for later intervals"])
