"""``gilplan interpreters``: which CPython builds are here."""

from pathlib import Path

import click

from gilplan.planner.commands.options import format_option, interpreter_option


@click.command()
@interpreter_option
@format_option("text", "json")
def interpreters(interpreters: tuple[Path, ...], form: str) -> None:
    """List the CPython builds of this machine and what each can answer.

    Looks on PATH and among the versions of pyenv and uv.

    \b
    gilplan interpreters
    gilplan interpreters --interpreter /opt/python3.14t/bin/python3 --format json
    """
    from dataclasses import asdict

    from gilplan.calibration.builds import find_builds
    from gilplan.planner.commands.output import print_json, print_table, tell
    from gilplan.planner.tables import build_table

    builds, notes = find_builds(interpreters)
    if form == "json":
        described = [
            {"name": build.name, **asdict(build), "answers": build.answers} for build in builds
        ]
        print_json({"builds": described, "notes": notes})
        return
    print_table(build_table(builds))
    tell(notes)
