"""``gilplan calibrate``: measure this machine and its builds into a profile."""

from pathlib import Path

import click

from gilplan.planner.commands.options import PATH, interpreter_option, seed_option


@click.command()
@interpreter_option
@click.option("--quick", is_flag=True, help="Fewer repeats: about a minute in all.")
@click.option(
    "--refresh",
    is_flag=True,
    help="Only measure anew what hand-offs and wake-ups cost: some 80 seconds.",
)
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Default: the user's own profile.")
@seed_option
def calibrate(
    interpreters: tuple[Path, ...], quick: bool, refresh: bool, output: Path | None, seed: int
) -> None:
    """Measure this machine and its CPython builds into a profile.

    All builds that are found, or those that --interpreter names. Ctrl-C keeps what was measured.

    \b
    gilplan calibrate --quick
    gilplan calibrate --interpreter ~/.pyenv/versions/3.13.0/bin/python -o here.json

    The host of a virtual machine changes what hand-offs of the GIL cost, sometimes within minutes.
    --refresh brings a profile up to date with that before you predict.

    \b
    gilplan calibrate --refresh
    """
    from gilplan.planner.commands.profiles import (
        chosen_builds,
        measured_profile,
        refreshed_profile,
    )

    if refresh:
        if quick:
            raise click.UsageError("--refresh and --quick do not go together.")
        refreshed_profile(chosen_builds(interpreters), path=output, seed=seed)
        return
    measured_profile(chosen_builds(interpreters), quick=quick, output=output, seed=seed)
