"""The target of a plan, from the options that `plan` and `report` share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gilplan.calibration.profile import Profile
    from gilplan.planner.plans.target import Target


def read_target(
    profile: "Profile",
    *,
    rate: str | None,
    slos: Sequence[str],
    memory: str | None,
    cores_up_to: int | None,
    growth: str | None,
    survive: int,
) -> "Target":
    """Return the target that the options say; the machine's cores unless told.

    Raises `InvalidValue`.
    """
    from gilplan.model.units import parse_rate, parse_size
    from gilplan.planner.plans.target import Target, parse_slo

    return Target(
        rate=None if rate is None else parse_rate(_number(rate), "rate"),
        slos=tuple(parse_slo(text) for text in slos),
        memory=None if memory is None else parse_size(memory, "memory"),
        cores_up_to=cores_up_to or profile.machine.cores,
        growth=0.0 if growth is None else _growth(growth),
        survive=survive,
    )


def read_refusals(
    profile: "Profile",
    *,
    builds: Sequence[str],
    check_target: str | None,
    check_interpreters: Sequence[Path],
) -> dict[str, str]:
    """Return where the program cannot run and why, and tell it; empty where no check is asked."""
    from gilplan.planner.commands.checks import refusals_of
    from gilplan.planner.commands.output import tell

    if check_target is None and not check_interpreters:
        return {}
    named = [profile.runtime(name).build for name in builds]
    names = named or [runtime.build for runtime in profile.runtimes]
    refusals = refusals_of(check_target, tuple(check_interpreters), names)
    tell(f"{place} cannot run: {reason}" for place, reason in refusals.items())
    return refusals


def _number(text: str) -> object:
    """Return a plain number as one: a rate without a unit is per second."""
    try:
        return float(text)
    except ValueError:
        return text


def _growth(text: str) -> float:
    """Read a share that may be above one: "30%", "1.5"."""
    from gilplan.model.errors import InvalidValue

    number = text.strip()
    try:
        return float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        raise InvalidValue("growth", 'a share such as 0.3 or "30%"', text) from None
