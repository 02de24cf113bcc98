"""``gilplan interpreters``: which CPython builds are here."""

from pathlib import Path

import click

from gilplan.planner.commands.options import format_option, interpreter_option


@click.command()
@interpreter_option
@click.option(
    "--probe", is_flag=True,
    help="Also show on each build how its version behaves: GIL requests, intervals, collections.",
)  # fmt: skip
@format_option("text", "json")
def interpreters(interpreters: tuple[Path, ...], probe: bool, form: str) -> None:
    """List the CPython builds of this machine and what each can answer.

    Looks on PATH and among the versions of pyenv and uv.

    \b
    gilplan interpreters
    gilplan interpreters --interpreter /opt/python3.14t/bin/python3 --format json
    gilplan interpreters --probe
    """
    from dataclasses import asdict

    from gilplan.calibration.behaviour_probes import shown_behaviours
    from gilplan.calibration.builds import find_builds
    from gilplan.planner.commands.output import print_json, print_table, tell
    from gilplan.planner.tables import behaviour_table, build_table

    builds, notes = find_builds(interpreters)
    shown, failures = shown_behaviours(builds) if probe else ([], [])
    notes += failures
    if form == "json":
        described = [
            {"name": build.name, **asdict(build), "answers": build.answers} for build in builds
        ]
        behaviours = {"behaviours": [asdict(each) for each in shown]} if probe else {}
        print_json({"builds": described, **behaviours, "notes": notes})
        return
    print_table(build_table(builds))
    if probe:
        print_table(behaviour_table(shown))
    tell(notes)
