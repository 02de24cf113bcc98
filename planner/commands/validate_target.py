"""``gilplan validate TARGET``: one callable in some layouts, predicted and run for real."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gilplan.calibration.atomic_file import require_writable, write_text
from gilplan.calibration.builds import Build
from gilplan.calibration.observation.target_program import program_of
from gilplan.calibration.other_builds import worth_seeing
from gilplan.calibration.profile import Profile
from gilplan.calibration.target_validation import TargetValidation
from gilplan.calibration.target_validation import validate_target as measured_beside
from gilplan.calibration.whole_observation import observe_whole
from gilplan.model.errors import GilplanError, MissingBuild
from gilplan.model.layout import Layout
from gilplan.planner.commands.output import print_table, tell, write_or_print
from gilplan.planner.commands.profiles import calibrated_builds, usable_profile
from gilplan.planner.display import table_text
from gilplan.planner.layout_option import parse_layout
from gilplan.planner.predictions import predict
from gilplan.planner.progress import Report, progress
from gilplan.planner.target_tables import target_csv, target_table


def validate_target(
    target: str,
    layouts: Sequence[str],
    interpreters: Sequence[Path],
    profile_path: Path | None,
    *,
    allow_foreign: bool,
    form: str,
    output: Path | None,
    seed: int,
) -> None:
    """Observe, predict, run and print. Raises `GilplanError` where nothing can be compared."""
    options = [parse_layout(text) for text in layouts]
    profile = usable_profile(profile_path, allow_foreign=allow_foreign)
    resolved = [option.resolve(profile) for option in options]
    builds = _builds(profile, interpreters, resolved)
    if output is not None:
        require_writable(output)
    with progress() as report:
        validation, notes = _validated(target, resolved, builds, profile, report, seed)
    if form == "json":
        document = {**validation.to_json(), "seed": seed, "profile": profile.identity}
        write_or_print(json.dumps(document, indent=1, allow_nan=False) + "\n", output)
    elif form == "csv":
        write_or_print(target_csv(validation), output)
    elif output is None:
        print_table(target_table(validation))
    else:
        write_text(output, table_text(target_table(validation)))
    tell(notes)
    tell(f"skipped {layout}: {reason}" for layout, reason in validation.skipped.items())
    if not validation.rows:
        raise GilplanError(f"{target}: no layout could be run for real")


def _validated(
    target: str,
    layouts: Sequence[Layout],
    builds: dict[str, Build],
    profile: Profile,
    report: Report,
    seed: int,
) -> tuple[TargetValidation, list[str]]:
    first = builds[layouts[0].build]
    others = worth_seeing(first, [builds[name] for name in {each.build: 0 for each in layouts}])
    observation = observe_whole(
        target,
        first,
        others,
        profile=profile,
        progress=lambda text, share: report(text, share * 0.4),
    )
    workload = observation.workload
    with program_of(target) as program:
        report("predicting", 0.4)
        predictions = predict(workload, layouts, profile, seed=seed, precision=0.02)
        validation = measured_beside(
            target,
            program,
            layouts,
            builds,
            observation,
            predictions,
            progress=lambda text, share: report(text, 0.5 + share / 2),
        )
    warnings = [warning for each in predictions for warning in each.warnings]
    notes = [workload.source, *observation.summary, *observation.notes, *dict.fromkeys(warnings)]
    return validation, notes


def _builds(
    profile: Profile, interpreters: Sequence[Path], layouts: Sequence[Layout]
) -> dict[str, Build]:
    """Return the layouts' builds by name; one that was named is run by the path as given.

    A link from a virtual environment stands for its packages.
    """
    found = {build.name: build for build in calibrated_builds(profile, ())}
    for path in interpreters:
        (build,) = calibrated_builds(profile, [path])
        found[build.name] = replace(build, path=str(path.absolute()))
    for layout in layouts:
        if layout.build not in found:
            raise MissingBuild(
                f"layout {layout}: build {layout.build} is in the profile but not found on this "
                "machine; give its --interpreter"
            )
    return found
