"""``gilplan predict``: a workload under layouts that nobody has run yet."""

from pathlib import Path

import click

from gilplan.planner.commands.options import (
    PATH,
    Share,
    foreign_option,
    format_option,
    profile_option,
    seed_option,
)


@click.command()
@click.argument("workload", type=PATH, metavar="WORKLOAD.toml")
@click.option(
    "--layout", "layouts", multiple=True, required=True, metavar="BUILD:KEY=VALUE,...",
    help="A layout to predict. May be given again.",
)  # fmt: skip
@profile_option
@foreign_option
@format_option("text", "json", "csv")
@seed_option
@click.option(
    "--precision", type=Share(), default="1%", show_default=True,
    help="Relative half-width of the throughput at which the simulation stops.",
)  # fmt: skip
def predict(
    workload: Path,
    layouts: tuple[str, ...],
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    seed: int,
    precision: float,
) -> None:
    """Predict a workload under layouts: throughput, response time, and where the time goes.

    A layout names a build ("3.13" is the newest 3.13 with a GIL, "3.13t" the newest
    free-threaded one) and, after a colon, any of: processes, interpreters, threads (each 1
    unless given), gil (own, shared, disabled), switch_interval, cores.

    \b
    gilplan predict web.toml --layout "3.13:threads=4"
    gilplan predict web.toml --layout 3.13:threads=4 --format json \\
        --layout "3.13:interpreters=2,threads=2,gil=own,switch_interval=1ms,cores=2"
    """
    from gilplan.calibration.workload_file import read_workload
    from gilplan.planner.commands.output import print_json, print_table, tell
    from gilplan.planner.commands.profiles import usable_profile
    from gilplan.planner.layout_option import parse_layout
    from gilplan.planner.predictions import predict as predicted
    from gilplan.planner.predictions import scenarios_for
    from gilplan.planner.progress import counted, progress

    options = [parse_layout(text) for text in layouts]
    work, arrivals = read_workload(workload)
    profile = usable_profile(profile_path, allow_foreign=allow_foreign)
    resolved = [option.resolve(profile) for option in options]
    with progress() as report:
        predictions = predicted(
            work,
            resolved,
            profile,
            arrivals=arrivals,
            seed=seed,
            precision=precision,
            workers=profile.machine.cores,
            on_done=counted(report, "simulated {} of {} layouts", len(resolved)),
        )
    if form == "json":
        from gilplan.planner.exports import prediction_document

        scenarios = scenarios_for(work, resolved, profile, arrivals=arrivals, seed=seed)
        print_json(prediction_document(predictions, scenarios, profile))
    elif form == "csv":
        from gilplan.planner.exports import prediction_csv

        click.echo(prediction_csv(predictions, profile), nl=False)
    else:
        from gilplan.planner.tables import breakdown_table, notes_on, prediction_table

        print_table(prediction_table(predictions, predictions[0], title=work.name))
        print_table(breakdown_table(predictions))
        click.echo(f"90 % intervals; speedup over {predictions[0].layout}; seed {seed}")
        tell(notes_on(predictions))
