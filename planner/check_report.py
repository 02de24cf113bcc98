"""What a check found, for people and for machines."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gilplan.calibration.checks.check import Check, Finding, Outcome
from gilplan.calibration.profile import gilplan_version


def check_table(check: Check) -> Table:
    """Return a row per module and a column per build; "(optional)" where it can do without."""
    table = Table(title=Text(check.target), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("module", no_wrap=True)
    for build, mode in check.modes:
        table.add_column(f"{build}\n{mode}", no_wrap=True)
    for module in sorted({each.module for each in check.findings}):
        cells = {(f.build, f.mode): _cell(f) for f in check.findings if f.module == module}
        table.add_row(Text(module), *(cells.get(place, "-") for place in check.modes))
    return table


def check_lines(check: Check) -> list[str]:
    """Return a verdict for each build and mode, then the reasons behind it, a line each."""
    lines = []
    for build, mode in check.modes:
        lines.append(f"{build} {mode}: {verdict(check, build, mode)}")
        for each in check.findings:
            told = each.reason and (each.build, each.mode) == (build, mode)
            if told:
                lines.append(f"  {each.module} {each.outcome}: {each.reason}")
    return lines


def verdict(check: Check, build: str, mode: str) -> str:
    """Say in a phrase whether the program can run so."""
    obstacle = check.obstacles.get((build, mode))
    if obstacle is not None:
        return f"cannot run: {obstacle}"
    missing = check.unknown.get((build, mode), [])
    if missing:
        few = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
        return f"not known: {few} not installed; give an environment's --interpreter"
    return "can run"


def unknown_lines(check: Check) -> list[str]:
    """Return a line for each build and mode of which it is not known whether it can run."""
    return [
        f"{build} {mode}: {verdict(check, build, mode)}"
        for build, mode in check.unknown
        if (build, mode) not in check.obstacles
    ]


def check_document(check: Check) -> dict[str, Any]:
    """Return a JSON-ready document; ``can_run`` is null where modules are not installed."""
    return {
        "target": check.target,
        "builds": [
            {
                "build": build,
                "mode": mode,
                "can_run": _can_run(check, build, mode),
                "verdict": verdict(check, build, mode),
                "modules": [
                    {
                        "module": each.module,
                        "outcome": each.outcome.value,
                        "optional": each.optional,
                        "everywhere": each.everywhere,
                        "reason": each.reason,
                    }
                    for each in check.findings
                    if (each.build, each.mode) == (build, mode)
                ],
            }
            for build, mode in check.modes
        ],
        "notes": list(check.notes),
        "version": gilplan_version(),
    }


def _can_run(check: Check, build: str, mode: str) -> bool | None:
    if (build, mode) in check.obstacles:
        return False
    return None if (build, mode) in check.unknown else True


def _cell(finding: Finding) -> str:
    avoidable = finding.is_avoidable or (finding.optional and finding.outcome is Outcome.MISSING)
    return f"{finding.outcome} (optional)" if avoidable else str(finding.outcome)
