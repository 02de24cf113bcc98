"""``gilplan check``: can this program move?"""

from pathlib import Path

import click

from gilplan.planner.commands.options import format_option


@click.command()
@click.argument("target", metavar="TARGET")
@click.option(
    "--interpreter",
    "interpreters",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Check under this interpreter only: a virtual environment's has its packages. "
    "May be given again.",
)
@click.option(
    "--time-limit", default="20s", show_default=True, help="An import that takes longer hangs."
)
@format_option("text", "json")
def check(target: str, interpreters: tuple[Path, ...], time_limit: str, form: str) -> None:
    """Say whether a program can run in own-GIL interpreters and without a GIL.

    TARGET is FILE.py, FILE.py:FUNCTION or MODULE, whose imports are tried, or a requirements
    file (.txt, .in), whose distributions' modules are. Each module is imported in child
    processes, which may crash or hang: in two isolated interpreters with GILs of their own, and
    in a free-threaded build, where one module that does not declare support switches the GIL
    back on for all. Importing a module runs it; FILE.py itself is only read.

    \b
    gilplan check app.py
    gilplan check requirements.txt --interpreter ~/env-3.14/bin/python \\
        --interpreter ~/env-3.14t/bin/python --format json
    """
    import os

    from gilplan.calibration.checks.check import check as checked
    from gilplan.calibration.checks.target import read_target
    from gilplan.model.units import parse_time
    from gilplan.planner.check_report import check_document, check_lines, check_table
    from gilplan.planner.commands.output import print_json, print_table, tell
    from gilplan.planner.commands.profiles import builds_with_packages
    from gilplan.planner.progress import progress

    limit = parse_time(time_limit, "time_limit")
    wanted = read_target(target)
    with progress() as report:
        found = checked(
            wanted,
            builds_with_packages(interpreters),
            time_limit=limit,
            workers=os.cpu_count() or 1,
            progress=report,
        )
    if form == "json":
        print_json(check_document(found))
        return
    print_table(check_table(found))
    for line in check_lines(found):
        click.echo(line)
    tell(found.notes)
