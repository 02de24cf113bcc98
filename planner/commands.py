"""What each command does, once its options are read: ask the library, print the answer."""

import json
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from gilplan.calibration.atomic_file import require_writable, write_text
from gilplan.calibration.builds import Build, find_builds, named_builds
from gilplan.calibration.fingerprint import take_fingerprint
from gilplan.calibration.profile import Profile, default_path, load, save
from gilplan.calibration.workload_file import read_workload
from gilplan.planner.layout_option import parse_layout
from gilplan.planner.predict import predict, predict_layout, scenarios_for
from gilplan.planner.progress import progress

INTERRUPTED = 130


def list_interpreters(paths: Sequence[Path], form: str) -> None:
    """Print the builds of this machine."""
    from gilplan.planner.tables import build_table

    builds, notes = find_builds(paths)
    if form == "json":
        described = [
            {"name": build.name, **asdict(build), "answers": build.answers} for build in builds
        ]
        print_json({"builds": described, "notes": notes})
        return
    print_table(build_table(builds))
    tell(notes)


def calibrate_builds(paths: Sequence[Path], *, quick: bool, output: Path | None, seed: int) -> None:
    """Measure the builds at ``paths``, or all that are found, into a profile."""
    measured_profile(chosen_builds(paths), quick=quick, output=output, seed=seed)


def measured_profile(
    builds: Sequence[Build], *, quick: bool, output: Path | None, seed: int
) -> Profile:
    """Calibrate the builds and save the profile to ``output``, the user's own when None.

    Says where it is and what the measuring noted. After Ctrl-C the profile holds what was
    measured until then, and the command ends.
    """
    from gilplan.calibration.calibrate import calibrate

    path = output or default_path()
    require_writable(path)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    with progress() as report:
        calibration = calibrate(builds, quick=quick, rng=rng, progress=report)
    profile = Profile.of(calibration, quick=quick)
    save(profile, path)
    tell(profile.notes)
    names = ", ".join(runtime.build for runtime in profile.runtimes)
    tell([f"profile {profile.identity} of {names}: {path}"])
    if profile.partial:
        tell(["gilplan: interrupted; the profile holds what was measured until then"])
        raise click.exceptions.Exit(INTERRUPTED)
    return profile


def chosen_builds(paths: Sequence[Path]) -> list[Build]:
    """Return the builds at ``paths``, or all of this machine when none is given."""
    if paths:
        return named_builds(paths)
    builds, _ = find_builds()
    return builds


def predict_layouts(
    workload_path: Path,
    layouts: Sequence[str],
    *,
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    seed: int,
    precision: float,
) -> None:
    """Predict and print."""
    options = [parse_layout(text) for text in layouts]
    workload, arrivals = read_workload(workload_path)
    profile = usable_profile(profile_path, allow_foreign=allow_foreign)
    resolved = [option.resolve(profile) for option in options]
    done = 0
    with progress() as report:

        def count(_: object) -> None:
            nonlocal done
            done += 1
            report(f"simulated {done} of {len(resolved)} layouts", done / len(resolved))

        predictions = predict(
            workload,
            resolved,
            profile,
            arrivals=arrivals,
            seed=seed,
            precision=precision,
            workers=profile.machine.cores,
            on_done=count,
        )
    if form == "json":
        from gilplan.planner.exports import prediction_document

        scenarios = scenarios_for(workload, resolved, profile, arrivals=arrivals, seed=seed)
        print_json(prediction_document(predictions, scenarios, profile))
    elif form == "csv":
        from gilplan.planner.exports import prediction_csv

        click.echo(prediction_csv(predictions, profile), nl=False)
    else:
        from gilplan.planner.tables import breakdown_table, notes_on, prediction_table

        print_table(prediction_table(predictions, predictions[0], title=workload.name))
        print_table(breakdown_table(predictions))
        click.echo(f"90 % intervals; speedup over {predictions[0].layout}; seed {seed}")
        tell(notes_on(predictions))


def validate_predictions(
    paths: Sequence[Path],
    *,
    quick: bool,
    cells: int,
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    output: Path | None,
    seed: int,
) -> None:
    """Run the study for real, predict it, and print or write both."""
    from gilplan.calibration.realrun import shipped_programs
    from gilplan.calibration.study import Study
    from gilplan.calibration.validation import validate
    from gilplan.planner.tables import error_table, validation_table

    profile = usable_profile(profile_path, allow_foreign=allow_foreign)
    builds = calibrated_builds(profile, paths)
    if output is not None:
        require_writable(output)
    programs = shipped_programs()
    study = (
        Study.quick(builds, programs, seed=seed)
        if quick
        else Study.full(builds, programs, seed=seed, cells=cells)
    )
    cores = profile.machine.cores
    pool = ProcessPoolExecutor(cores, get_context("spawn"))
    with pool, progress() as report:
        validation = validate(
            study,
            builds,
            programs,
            # A prediction of 2 % is finer than what a cell can be measured to.
            partial(predict_layout, profile=profile, seed=seed, precision=0.02, max_replications=6),
            cores=cores,
            executor=pool,
            progress=lambda text, done, total: report(text, done / total),
        )
    if form == "json":
        document = {**validation.to_json(), "profile": profile.identity}
        write_or_print(json.dumps(document, indent=1, allow_nan=False) + "\n", output)
    elif form == "csv":
        write_or_print(validation.frame().to_csv(index=False), output)
    else:
        tables = [validation_table(validation), error_table(validation)]
        if output is None:
            print_table(*tables)
        else:
            write_text(output, "\n".join(table_text(table) for table in tables))
    tell(f"skipped {each.cell}: {each.reason}" for each in validation.skipped)
    if validation.interrupted:
        raise click.exceptions.Exit(INTERRUPTED)


def calibrated_builds(profile: Profile, paths: Sequence[Path]) -> list[Build]:
    """Return the builds at ``paths``, which the profile must know, or all that it knows."""
    builds = chosen_builds(paths)
    if paths:
        for build in builds:
            profile.runtime(build.name)
        return builds
    known = {runtime.build for runtime in profile.runtimes}
    return [build for build in builds if build.name in known]


def usable_profile(path: Path | None, *, allow_foreign: bool) -> Profile:
    """Load the profile, of this machine unless a foreign one is allowed."""
    identity = None if allow_foreign else take_fingerprint().identity
    return load(path or default_path(), machine_identity=identity)


def print_table(*tables: Table) -> None:
    """Print tables as wide as they are: a cropped number would be a wrong one."""
    for table in tables:
        console = Console(file=sys.stdout, highlight=False)
        console.width = max(console.width, natural_width(table))
        console.print(table)


def table_text(table: Table) -> str:
    """Return a table as plain text."""
    console = Console(width=natural_width(table), color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def natural_width(table: Table) -> int:
    """Return the columns that the table takes when nothing is cropped."""
    console = Console(width=10_000)
    return console.measure(table).maximum


def print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=1, allow_nan=False))


def write_or_print(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)


def tell(lines: Iterable[str]) -> None:
    """Print lines to stderr."""
    for line in lines:
        click.echo(line, err=True)
