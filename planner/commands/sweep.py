"""``gilplan sweep``: layouts of a workload over a grid of their fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gilplan.planner.commands.options import (
    PATH,
    Share,
    foreign_option,
    format_option,
    profile_option,
    seed_option,
)

if TYPE_CHECKING:
    from gilplan.calibration.profile import Profile
    from gilplan.planner.sweeps.sweep import Sweep


@click.command()
@click.argument("workload", type=PATH, metavar="WORKLOAD.toml")
@click.option(
    "--layout", "layouts", multiple=True, metavar="BUILD:KEY=VALUE,...",
    help="A layout to sweep. May be given again; not needed where the grid has builds.",
)  # fmt: skip
@click.option(
    "--grid", "axes", multiple=True, required=True, metavar="FIELD=VALUES",
    help="A field and its values. May be given again.",
)  # fmt: skip
@click.option(
    "--store", type=PATH, metavar="FILE",
    help="Where finished points are kept. Default: one for each workload, in the user's cache.",
)  # fmt: skip
@click.option(
    "--executor", default="local", show_default=True, metavar="local|local:N|dask://HOST:PORT",
    help="A process per core of this machine, N processes, or a Dask cluster.",
)  # fmt: skip
@click.option("-o", "--output", type=PATH, metavar="FILE", help="FILE.parquet or FILE.csv.")
@profile_option
@foreign_option
@format_option("text", "json", "csv")
@seed_option
@click.option(
    "--precision", type=Share(), default="1%", show_default=True,
    help="Relative half-width of the throughput at which a point's simulation stops.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Run the grid however many points it has.")
def sweep(
    workload: Path,
    layouts: tuple[str, ...],
    axes: tuple[str, ...],
    store: Path | None,
    executor: str,
    output: Path | None,
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    seed: int,
    precision: float,
    yes: bool,
) -> None:
    """Predict a workload over a grid: where curves bend, where layouts change places.

    VALUES are a list, 1,2,4,8, or a range FROM:TO:SPACING:COUNT with log or lin as its spacing.
    FIELD is one of

    \b
    processes, interpreters, threads, switch_interval, cores, ...   any key of a layout
    build                        the layouts then read "*:threads=4", or are left away
    rate                         an open stream of so many tasks a second
    population, think_time       a closed loop; jobs: a batch
    duration:SEGMENT             the mean time of a segment of the workload
    share:SEGMENT                its share of its task's time, which stays
    released:SEGMENT             the share of its time that gives up the GIL
    weight:TASK                  how often a task comes, relative to the others

    What is finished is kept: after Ctrl-C, or with a wider grid, the same command runs only what
    is missing.

    \b
    gilplan sweep web.toml --layout 3.13:threads=4 --grid switch_interval=0.1ms:50ms:log:12
    gilplan sweep web.toml --layout 3.13:threads=8 --layout 3.13:interpreters=2,threads=4 \\
        --grid rate=100:2000:lin:20 -o rates.parquet
    gilplan sweep web.toml --grid build=3.12,3.13,3.13t --grid threads=1,2,4,8 --format csv
    gilplan sweep web.toml --layout 3.13:threads=4 --grid released:parse=0%:80%:lin:5 \\
        --executor dask://10.0.0.1:8786 --store web.sqlite
    """
    from gilplan.calibration.atomic_file import require_writable
    from gilplan.calibration.workload_file import read_workload
    from gilplan.planner.commands.output import INTERRUPTED, tell
    from gilplan.planner.commands.profiles import usable_profile
    from gilplan.planner.progress import progress
    from gilplan.planner.sweeps.document import check_suffix, write_frame
    from gilplan.planner.sweeps.executors import opener
    from gilplan.planner.sweeps.grid import read_grid
    from gilplan.planner.sweeps.pace import paced
    from gilplan.planner.sweeps.sweep import sweep as swept
    from gilplan.planner.sweeps.tables import left_out_lines

    grid = _grid(axes)
    read_grid(layouts, grid, allow_many=yes)
    opener(executor)
    if output is not None:
        check_suffix(output)
        require_writable(output)
    work, arrivals = read_workload(workload)
    profile = usable_profile(profile_path, allow_foreign=allow_foreign)
    kept = store or _default_store(workload, profile)
    try:
        with progress() as report:
            result = swept(
                work,
                layouts,
                profile,
                grid=grid,
                arrivals=arrivals,
                seed=seed,
                precision=precision,
                store=kept,
                executor=executor,
                allow_many=yes,
                on_progress=paced(report),
            )
    except KeyboardInterrupt:
        tell([f"gilplan: interrupted; what is finished is in {kept}, the same command goes on"])
        raise click.exceptions.Exit(INTERRUPTED) from None
    if output is not None:
        write_frame(result, output)
    _show(result, form)
    tell(result.notes)
    tell(left_out_lines(result.left_out))
    tell([f"{result.ran:,} points run, {result.found:,} were in {kept}"])


def _grid(axes: tuple[str, ...]) -> dict[str, str]:
    grid: dict[str, str] = {}
    for text in axes:
        field, equals, values = (part.strip() for part in text.partition("="))
        if not field or not equals:
            raise click.UsageError(f"--grid must be FIELD=VALUES, got {text!r}.")
        if field in grid:
            raise click.UsageError(f"--grid {field} must be given once, got {text!r}.")
        grid[field] = values
    return grid


def _default_store(workload: Path, profile: Profile) -> Path:
    """Name a store by all that its points have in common, so that sweeps seldom meet in one."""
    import hashlib

    from platformdirs import user_cache_path

    from gilplan.planner.sweeps.engine import engine_identity

    common = f"{workload.absolute()} {profile.identity} {engine_identity()}"
    name = hashlib.sha256(common.encode()).hexdigest()[:16]
    return user_cache_path("gilplan") / "sweeps" / f"{name}.sqlite"


def _show(result: Sweep, form: str) -> None:
    from gilplan.planner.commands.output import print_json, print_table

    if form == "json":
        from gilplan.planner.sweeps.document import sweep_document

        print_json(sweep_document(result))
    elif form == "csv":
        click.echo(result.frame.to_csv(index=False), nl=False)
    else:
        from gilplan.planner.sweeps.tables import crossing_lines, knee_lines, point_table

        print_table(point_table(result.frame))
        for line in (*knee_lines(result.knees()), *crossing_lines(result.crossings())):
            click.echo(line)
        click.echo(f"90 % intervals; seed {result.frame.attrs['seed']}")
