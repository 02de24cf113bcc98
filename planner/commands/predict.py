"""``gilplan predict``: a workload under layouts that nobody has run yet."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gilplan.planner.commands.checks import check_options, refusals_of, split_refused
from gilplan.planner.commands.options import (
    PATH,
    Share,
    foreign_option,
    format_option,
    profile_option,
    seed_option,
)

if TYPE_CHECKING:
    from gilplan.model.scenario import Scenario


@click.command()
@click.argument("workload", type=PATH, metavar="WORKLOAD.toml")
@click.option(
    "--layout", "layouts", multiple=True, required=True, metavar="BUILD:KEY=VALUE,...",
    help="A layout to predict. May be given again.",
)  # fmt: skip
@check_options
@profile_option
@foreign_option
@format_option("text", "json", "csv")
@seed_option
@click.option(
    "--precision", type=Share(), default="1%", show_default=True,
    help="Relative half-width of the throughput at which the simulation stops.",
)  # fmt: skip
@click.option(
    "--timeline", type=PATH, metavar="FILE",
    help="Also write the simulated schedules as a trace that ui.perfetto.dev opens.",
)  # fmt: skip
@click.option(
    "--timeline-time", metavar="TIME", help="How much of a schedule: a fifth of a run unless given."
)
def predict(
    workload: Path,
    layouts: tuple[str, ...],
    check_target: str | None,
    check_interpreters: tuple[Path, ...],
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    seed: int,
    precision: float,
    timeline: Path | None,
    timeline_time: str | None,
) -> None:
    """Predict a workload under layouts: throughput, response time, and where the time goes.

    A layout names a build ("3.13" is the newest 3.13 with a GIL, "3.13t" the newest
    free-threaded one) and, after a colon, any of: processes, interpreters, threads (each 1
    unless given), gil (own, shared, disabled), switch_interval, cores; and of sub-interpreters
    config (isolated, legacy) and its flags (allow_threads=no), interval_set_in (each, main).

    \b
    gilplan predict web.toml --layout "3.13:threads=4"
    gilplan predict web.toml --layout 3.13:threads=4 --format json \\
        --layout "3.13:interpreters=2,threads=2,gil=own,switch_interval=1ms,cores=2"
    gilplan predict web.toml --check app.py --layout 3.13:interpreters=4 --layout 3.13t:threads=4
    gilplan predict web.toml --layout 3.13:threads=4 --timeline web.json --timeline-time 200ms
    """
    from gilplan.calibration.atomic_file import require_writable
    from gilplan.calibration.workload_file import read_workload
    from gilplan.planner.commands.output import print_json, print_table, tell
    from gilplan.planner.commands.profiles import usable_profile
    from gilplan.planner.layout_option import parse_layout
    from gilplan.planner.predictions import predict as predicted
    from gilplan.planner.predictions import scenarios_for
    from gilplan.planner.progress import counted, progress

    options = [parse_layout(text) for text in layouts]
    shown_time = _shown_time(timeline, timeline_time)
    if timeline is not None:
        require_writable(timeline)
    work, arrivals = read_workload(workload)
    profile = usable_profile(profile_path, allow_foreign=allow_foreign)
    resolved = [option.resolve(profile) for option in options]
    refusals = refusals_of(check_target, check_interpreters, (layout.build for layout in resolved))
    resolved, refused = split_refused(resolved, refusals)
    if form != "json":
        for text, reason in refused.items():
            click.echo(f"{text} {reason}", err=form == "csv")
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
    scenarios = scenarios_for(work, resolved, profile, arrivals=arrivals, seed=seed)
    if timeline is not None:
        _write_timeline(timeline, scenarios, shown_time)
    if form == "json":
        from gilplan.planner.exports import prediction_document

        document = prediction_document(predictions, scenarios, profile)
        left_out = [{"layout": text, "reason": reason} for text, reason in refused.items()]
        print_json(document | {"cannot_run": left_out} if check_target else document)
    elif form == "csv":
        from gilplan.planner.exports import prediction_csv

        click.echo(prediction_csv(predictions, profile), nl=False)
    else:
        from gilplan.planner.tables import breakdown_table, notes_on, prediction_table

        print_table(prediction_table(predictions, predictions[0], title=work.name))
        print_table(breakdown_table(predictions))
        click.echo(f"90 % intervals; speedup over {predictions[0].layout}; seed {seed}")
        tell(notes_on(predictions))


def _shown_time(timeline: Path | None, text: str | None) -> float | None:
    from gilplan.model.errors import InvalidValue
    from gilplan.model.units import parse_time

    if text is None:
        return None
    if timeline is None:
        raise InvalidValue("timeline-time", "given together with --timeline FILE", text)
    time = parse_time(text, "timeline-time")
    if time <= 0:
        raise InvalidValue("timeline-time", "longer than no time", text)
    return time


def _write_timeline(path: Path, scenarios: "Sequence[Scenario]", time: float | None) -> None:
    import json

    from gilplan.calibration.atomic_file import write_text
    from gilplan.planner.commands.output import tell
    from gilplan.planner.timelines import simulate_schedule, trace_document

    schedules = [simulate_schedule(scenario, time=time) for scenario in scenarios]
    write_text(path, json.dumps(trace_document(schedules), allow_nan=False) + "\n")
    tell([f"timeline: {path}; open it in https://ui.perfetto.dev"])
