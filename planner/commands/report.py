"""``gilplan report``: a plan with its reasons and its evidence, as one file."""

from pathlib import Path

import click

from gilplan.planner.commands.options import PATH
from gilplan.planner.commands.plan import plan

#: The plan's own options: a report is a plan that is written down.
PLAN_OPTIONS = [parameter for parameter in plan.params if parameter.name != "form"]
FORMS = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}


@click.command(params=PLAN_OPTIONS)
@click.option(
    "-o", "--output", type=PATH, required=True, metavar="FILE",
    help="The report: FILE.html or FILE.md. May be given again.", multiple=True,
)  # fmt: skip
@click.option(
    "--validation", type=PATH, metavar="FILE",
    help="What `gilplan validate --format json` wrote: how far predictions are off here.",
)  # fmt: skip
def report(
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
    seed: int,
    output: tuple[Path, ...],
    validation: Path | None,
) -> None:
    """Write a plan down: verdict, reasons, charts, evidence, limits, in one file.

    The HTML file needs nothing else: it opens from disk without a network, on a phone, and
    prints. The Markdown file has the same text and tables without the charts. All options of
    `gilplan plan` count.

    \b
    gilplan report web.toml --rate 2000 --slo "p99<50ms" -o report.html
    gilplan validate --quick --format json -o validation.json
    gilplan report web.toml --rate 600/s --growth 30% --what-if "build=3.14t" \\
        --validation validation.json -o report.html -o report.md

    Exit status 1: no layout meets the target; the report is about the nearest miss.
    """
    from gilplan.calibration.atomic_file import require_writable, write_text
    from gilplan.calibration.workload_file import read_workload
    from gilplan.model.units import parse_time
    from gilplan.planner.commands.output import tell
    from gilplan.planner.commands.profiles import usable_profile
    from gilplan.planner.commands.targets import read_refusals, read_target
    from gilplan.planner.plans.candidates import SWITCH_INTERVALS
    from gilplan.planner.plans.plan import plan as planned
    from gilplan.planner.plans.pool import pool
    from gilplan.planner.progress import progress
    from gilplan.planner.reports import gather, html_page, markdown_page, read_measured

    forms = {path: _form(path) for path in output}
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
    measured = None if validation is None else read_measured(validation)
    for path in output:
        require_writable(path)
    refusals = read_refusals(
        profile, builds=builds, check_target=check_target, check_interpreters=check_interpreters
    )
    with progress() as tell_progress, pool(profile.machine.cores) as executor:
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
            report=lambda text, share: tell_progress(text, 0.5 * share),
        )
        material = gather(
            answer,
            work,
            profile,
            arrivals=arrivals,
            measured=measured,
            executor=executor,
            report=lambda text, share: tell_progress(text, 0.5 + 0.5 * share),
        )
    for path, form in forms.items():
        write_text(path, html_page(material) if form == "html" else markdown_page(material))
    click.echo(answer.verdict)
    tell(f"report: {path}" for path in output)
    if not answer.met:
        raise click.exceptions.Exit(1)


def _form(path: Path) -> str:
    """Return what the file's name asks for."""
    from gilplan.model.errors import InvalidValue

    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise InvalidValue("output", "a name that ends in .html or .md", str(path))
    return form
