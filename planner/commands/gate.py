"""``gilplan gate``: fail a change that moves a layout's capacity out of its band."""

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
@click.argument("file", type=PATH, metavar="FILE")
@click.option("--write", is_flag=True, help="Write FILE from what the layouts can do now.")
@click.option("--workload", type=PATH, metavar="WORKLOAD.toml", help="With --write.")
@click.option(
    "--layout", "layouts", multiple=True, metavar="BUILD:KEY=VALUE,...",
    help="With --write: a layout to guard. May be given again.",
)  # fmt: skip
@click.option("--rate", metavar="RATE", help="With --write: guard p99 at this rate too.")
@click.option(
    "--tolerance", type=Share(), default="5%", show_default=True,
    help="With --write: how far a capacity may move; three times as far for p99.",
)  # fmt: skip
@profile_option
@foreign_option
@format_option("text", "json")
@seed_option
def gate(
    file: Path,
    write: bool,
    workload: Path | None,
    layouts: tuple[str, ...],
    rate: str | None,
    tolerance: float,
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    seed: int,
) -> None:
    """Check that layouts still can do what FILE says, or write FILE with --write.

    For continuous integration: commit FILE, the workload and the profile; simulate again when
    the program was observed anew, a build was calibrated, or gilplan changed. A layout's build
    may be a series ("3.13"), which then means the newest one calibrated.

    \b
    gilplan gate --write gate.toml --workload web.toml --layout "3.13:threads=4" --rate 300
    gilplan gate gate.toml --profile profile.json --allow-foreign

    Exit status 1: something moved out of its band; the table says what.
    """
    import os

    from gilplan.calibration.atomic_file import require_writable
    from gilplan.calibration.workload_file import read_workload
    from gilplan.model.units import parse_rate
    from gilplan.planner.commands.output import print_json, print_table, tell
    from gilplan.planner.commands.profiles import usable_profile
    from gilplan.planner.gates.gate import check, new_gate
    from gilplan.planner.gates.gate_file import read_gate, write_gate
    from gilplan.planner.gates.gate_table import gate_document, gate_table
    from gilplan.planner.progress import counted, progress

    if write:
        if workload is None or not layouts:
            raise click.UsageError("--write needs --workload and at least one --layout.")
        require_writable(file)
        work, _ = read_workload(workload)
        profile = usable_profile(profile_path, allow_foreign=allow_foreign)
        per_second = None if rate is None else parse_rate(_rate(rate), "rate")
        runs = len(layouts) * (1 if per_second is None else 2)
        with progress() as report:
            written = new_gate(
                work,
                os.path.relpath(workload, file.absolute().parent),
                layouts,
                profile,
                rate=per_second,
                tolerance=tolerance,
                seed=seed,
                workers=profile.machine.cores,
                on_done=counted(report, "simulated {} of {}", runs),
            )
        write_gate(written, file)
        tell([f"gate of {len(layouts)} layouts: {file}"])
        return
    if workload is not None or layouts or rate is not None:
        raise click.UsageError("--workload, --layout and --rate go with --write.")
    known = read_gate(file)
    work, _ = read_workload(file.parent / known.workload)
    profile = usable_profile(profile_path, allow_foreign=allow_foreign)
    runs = len(known.guarded) * (1 if known.rate is None else 2)
    with progress() as report:
        passage = check(
            known,
            work,
            profile,
            workers=profile.machine.cores,
            on_done=counted(report, "simulated {} of {}", runs),
        )
    if form == "json":
        print_json(gate_document(passage))
    else:
        print_table(gate_table(passage))
    tell(passage.notes)
    if not passage.passed:
        raise click.exceptions.Exit(1)


def _rate(text: str) -> object:
    """Return a plain number as one: a rate without a unit is per second."""
    try:
        return float(text)
    except ValueError:
        return text
