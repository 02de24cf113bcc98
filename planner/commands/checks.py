"""``--check TARGET`` of other commands: layouts that the program cannot run in are said first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gilplan.model.layout import Layout


def check_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let the user name a program whose modules decide which layouts can run."""
    target = click.option(
        "--check", "check_target", metavar="TARGET",
        help="A program or a requirements file: layouts that its modules cannot run in are out, "
        "with the reason (see `gilplan check`).",
    )  # fmt: skip
    interpreters = click.option(
        "--check-with", "check_interpreters", multiple=True, metavar="PATH",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="An interpreter to check under, such as a virtual environment's. May be given again.",
    )  # fmt: skip
    return target(interpreters(command))


def refusals_of(
    target: str | None, interpreters: Sequence[Path], builds: Iterable[str]
) -> dict[str, str]:
    """Return why the program cannot run, by build and mode; empty without a target.

    Only the named builds are looked at. Says on stderr what could not be known.
    """
    if target is None:
        if interpreters:
            raise click.UsageError("--check-with is for --check TARGET.")
        return {}
    import os

    from gilplan.calibration.checks.check import check
    from gilplan.calibration.checks.target import read_target
    from gilplan.planner.check_report import unknown_lines
    from gilplan.planner.commands.output import tell
    from gilplan.planner.commands.profiles import builds_with_packages
    from gilplan.planner.progress import progress

    wanted, names = read_target(target), set(builds)
    here = [build for build in builds_with_packages(interpreters) if build.name in names]
    with progress() as report:
        found = check(wanted, here, workers=os.cpu_count() or 1, progress=report)
    absent = sorted(names - {build.name for build in here})
    tell([f"{name}: not checked, not on this machine or not given" for name in absent])
    tell([*unknown_lines(found), *found.notes])
    return found.refusals


def split_refused(
    layouts: Sequence[Layout], refusals: Mapping[str, str]
) -> tuple[list[Layout], dict[str, str]]:
    """Return the layouts that can run, and the reason against each of the others.

    Raises `UnsupportedLayout` when none is left.
    """
    from gilplan.calibration.checks.check import Outcome
    from gilplan.model.errors import UnsupportedLayout
    from gilplan.planner.plans.screening import refusal

    reasons = {str(layout): refusal(layout, refusals) for layout in layouts}
    refused = {text: reason for text, reason in reasons.items() if reason is not None}
    for text, reason in refused.items():
        if Outcome.ENABLES_GIL in reason:
            refused[text] = f"{reason}; gil=shared predicts it with the GIL back"
    able = [layout for layout in layouts if str(layout) not in refused]
    if not able:
        text, reason = next(iter(refused.items()))
        others = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise UnsupportedLayout(f"no layout is left to predict: {text} {reason}{others}")
    return able, refused
