"""``gilplan calibrate``: measure this machine and its builds into a profile."""

from pathlib import Path

import click

from gilplan.planner.commands.options import PATH, interpreter_option, seed_option


@click.command()
@interpreter_option
@click.option("--quick", is_flag=True, help="Fewer repeats: about a minute in all.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Default: the user's own profile.")
@seed_option
def calibrate(interpreters: tuple[Path, ...], quick: bool, output: Path | None, seed: int) -> None:
    """Measure this machine and its CPython builds into a profile.

    All builds that are found, or those that --interpreter names. Ctrl-C keeps what was measured.

    \b
    gilplan calibrate --quick
    gilplan calibrate --interpreter ~/.pyenv/versions/3.13.0/bin/python -o here.json
    """
    from gilplan.planner.commands.profiles import chosen_builds, measured_profile

    measured_profile(chosen_builds(interpreters), quick=quick, output=output, seed=seed)
