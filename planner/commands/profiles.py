"""The builds and the profile that a command works with."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from gilplan.calibration.atomic_file import require_writable
from gilplan.calibration.builds import Build, find_builds, named_builds
from gilplan.calibration.fingerprint import take_fingerprint
from gilplan.calibration.profile import CALIBRATE, Profile, default_path, load, save
from gilplan.model.behaviours import DEFAULT_SWITCH_INTERVAL
from gilplan.model.durations import Empirical
from gilplan.model.errors import InvalidValue, ProfileError
from gilplan.model.machine import Machine
from gilplan.model.workload import Work
from gilplan.planner.commands.output import INTERRUPTED, tell
from gilplan.planner.progress import progress


def measured_profile(
    builds: Sequence[Build], *, quick: bool, output: Path | None, seed: int
) -> Profile:
    """Calibrate the builds and save the profile to ``output``, the user's own when None.

    Says where it is and what the measuring noted. After Ctrl-C the profile holds what was
    measured until then, and the command ends.
    """
    from gilplan.calibration.calibrate import calibrate

    path = output or default_path()
    require_writable(path)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    with progress() as report:
        calibration = calibrate(builds, quick=quick, rng=rng, progress=report)
    profile = Profile.of(calibration, quick=quick)
    save(profile, path)
    tell(profile.notes)
    names = ", ".join(runtime.build for runtime in profile.runtimes)
    tell([f"profile {profile.identity} of {names}: {path}"])
    if profile.partial:
        tell(["gilplan: interrupted; the profile holds what was measured until then"])
        raise click.exceptions.Exit(INTERRUPTED)
    return profile


def refreshed_profile(builds: Sequence[Build], *, path: Path | None, seed: int) -> Profile:
    """Measure hand-offs anew for the profile at ``path``, the user's own when None, and save it."""
    from gilplan.calibration.refresh import refreshed

    old = usable_profile(path, allow_foreign=False)
    where = path or default_path()
    require_writable(where)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    with progress() as report:
        profile = refreshed(old, builds, rng=rng, progress=report)
    save(profile, where)
    then, now = old.machine, profile.machine
    tell(
        [
            f"hand-off {_hand_off(then)} -> {_hand_off(now)} us (median, at 5 ms); "
            f"awake when signalled {then.awake_share.value:.0%} -> {now.awake_share.value:.0%}; "
            f"bytecode with all cores busy {_busy_speed(then):.1%} -> {_busy_speed(now):.1%} "
            "of the speed of one",
            f"profile {profile.identity}: {where}",
        ]
    )
    return profile


def _hand_off(machine: Machine) -> str:
    return _median_us(machine.handoff_latency_at(DEFAULT_SWITCH_INTERVAL))


def _busy_speed(machine: Machine) -> float:
    return machine.speeds[Work.BYTECODE][-1].value


def _median_us(latency: Empirical) -> str:
    return f"{np.median(latency.samples) * 1e6:.3g}"


def chosen_builds(paths: Sequence[Path]) -> list[Build]:
    """Return the builds at ``paths``, or all of this machine when none is given."""
    if paths:
        return named_builds(paths)
    builds, _ = find_builds()
    return builds


def builds_with_packages(paths: Sequence[Path]) -> list[Build]:
    """Return the builds at ``paths``, or all of this machine, to run by the path as given.

    A link from a virtual environment stands for its packages: it must not be followed. Raises
    `InvalidValue` where two paths are the same build.
    """
    given = [Path(path).absolute() for path in paths]
    if not given:
        builds, _ = find_builds()
        here = os.path.realpath(sys.executable)
        return [
            replace(each, path=sys.executable) if each.path == here else each for each in builds
        ]
    found: dict[str, Build] = {}
    for path in given:
        (build,) = named_builds([path])
        if build.name in found:
            raise InvalidValue("interpreter", f"one for each build; {build.name} again", str(path))
        found[build.name] = replace(build, path=str(path))
    return list(found.values())


def calibrated_builds(profile: Profile, paths: Sequence[Path]) -> list[Build]:
    """Return the builds at ``paths``, which the profile must know, or all that it knows."""
    builds = chosen_builds(paths)
    if paths:
        for build in builds:
            profile.runtime(build.name)
        return builds
    known = {runtime.build for runtime in profile.runtimes}
    return [build for build in builds if build.name in known]


def usable_profile(path: Path | None, *, allow_foreign: bool) -> Profile:
    """Load the profile, of this machine and its kernel unless a foreign one is allowed."""
    where = path or default_path()
    if allow_foreign:
        return load(where)
    here = take_fingerprint()
    profile = load(where)
    if profile.machine.identity == here.identity:
        return profile
    measured = profile.fingerprint.get("kernel_release")
    same = profile.fingerprint.get("cpu_model") == here.cpu_model
    if same and measured not in (None, here.kernel_release):
        raise ProfileError(
            f"{where}: kernel must be the one that is running, {here.kernel_release}, got "
            f"{measured}; {CALIBRATE} again, or pass --allow-foreign"
        )
    return load(where, machine_identity=here.identity)
