"""``gilplan plan``: which layout meets a target."""

from pathlib import Path

import click

from gilplan.planner.commands.checks import check_options
from gilplan.planner.commands.options import (
    PATH,
    foreign_option,
    format_option,
    profile_option,
    seed_option,
)


@click.command()
@click.argument("workload", type=PATH, metavar="WORKLOAD.toml")
@click.option("--rate", metavar="RATE", help="Tasks per second to carry; else as many as can be.")
@click.option(
    "--slo", "slos", multiple=True, metavar="LIMIT",
    help='A limit on the response time, such as "p99<50ms". May be given again.',
)  # fmt: skip
@click.option("--memory", metavar="SIZE", help="Memory that the layout may keep: 4GiB.")
@click.option(
    "--cores-up-to", type=click.IntRange(min=1), metavar="N",
    help="Cores that it may use.  [default: the machine's]",
)  # fmt: skip
@click.option("--growth", metavar="SHARE", help="By how much the rate will rise: 30%.")
@click.option(
    "--survive", type=click.IntRange(min=0), default=0, metavar="N",
    help="Processes that may be lost with the target still met.",
)  # fmt: skip
@click.option("--build", "builds", multiple=True, metavar="BUILD", help="Only on this build.")
@click.option(
    "--switch-interval", "intervals", multiple=True, metavar="TIME",
    help="A switch interval to consider.  [default: 1ms and 5ms]",
)  # fmt: skip
@click.option(
    "--what-if", "what_ifs", multiple=True, metavar="CHANGE",
    help='"released:SEGMENT=80%", "build=3.14t", "cores=8". May be given again.',
)  # fmt: skip
@click.option(
    "--confidence", type=click.FloatRange(0.5, 1, min_open=True, max_open=True), default=0.95,
    show_default=True, help="How sure the simulation must be before it stops.",
)  # fmt: skip
@check_options
@profile_option
@foreign_option
@format_option("text", "json")
@seed_option
def plan(
    workload: Path,
    rate: str | None,
    slos: tuple[str, ...],
    memory: str | None,
    cores_up_to: int | None,
    growth: str | None,
    survive: int,
    builds: tuple[str, ...],
    intervals: tuple[str, ...],
    what_ifs: tuple[str, ...],
    confidence: float,
    check_target: str | None,
    check_interpreters: tuple[Path, ...],
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    seed: int,
) -> None:
    """Say which layout meets a target: the smallest, with its margin and its reasons.

    Layouts that the analytic bounds rule out are not simulated; the others are, and most runs
    are spent where the answer is close. Without --rate the answer is the layout that carries
    the most. A change asked about by --what-if is compared with the chosen layout.

    \b
    gilplan plan web.toml --rate 2000 --slo "p99<50ms" --memory 4GiB --cores-up-to 16
    gilplan plan web.toml --rate 600/s --growth 30% --survive 1 --build 3.13 --build 3.14t
    gilplan plan web.toml --rate 2000 --check requirements.txt
    gilplan plan web.toml --what-if "released:parse=80%" --what-if "build=3.14t"

    Exit status 1: no layout meets the target; the answer is then the nearest miss.
    """
    from gilplan.calibration.workload_file import read_workload
    from gilplan.model.arrivals import Closed
    from gilplan.model.units import parse_time
    from gilplan.planner.commands.output import print_json, print_table, tell
    from gilplan.planner.commands.profiles import usable_profile
    from gilplan.planner.commands.targets import read_refusals, read_target
    from gilplan.planner.plans.candidates import SWITCH_INTERVALS
    from gilplan.planner.plans.plan import plan as planned
    from gilplan.planner.plans.pool import pool
    from gilplan.planner.progress import progress

    refusals = {}
    if check_target is not None or check_interpreters:
        refusals = read_refusals(
            usable_profile(profile_path, allow_foreign=allow_foreign),
            builds=builds,
            check_target=check_target,
            check_interpreters=check_interpreters,
        )
    with progress() as report:
        report("reading the workload and the profile", 0.0)
        work, arrivals = read_workload(workload)
        profile = usable_profile(profile_path, allow_foreign=allow_foreign)
        target = read_target(
            profile,
            rate=rate,
            slos=slos,
            memory=memory,
            cores_up_to=cores_up_to,
            growth=growth,
            survive=survive,
        )
        given = [parse_time(text, "switch-interval") for text in intervals]
        with pool(profile.machine.cores) as executor:
            answer = planned(
                work,
                target,
                profile,
                builds=builds,
                switch_intervals=given or SWITCH_INTERVALS,
                refusals=refusals,
                what_ifs=what_ifs,
                confidence=confidence,
                seed=seed,
                executor=executor,
                report=report,
            )
    if form == "json":
        from gilplan.planner.plans.document import plan_document

        print_json(plan_document(answer))
    else:
        from gilplan.planner.plans.plan_tables import plan_tables

        click.echo(answer.verdict)
        print_table(*plan_tables(answer))
        level = f"{2 * confidence - 1:.0%}"
        click.echo(f"{level} intervals; confidence {confidence:.0%}; seed {seed}")
        tell(answer.warnings)
    if arrivals != Closed():
        tell(["the arrivals in the workload file were not used: a plan has its own rate"])
    if not answer.met:
        raise click.exceptions.Exit(1)
