"""Which layouts are worth comparing first for a program that runs in one thread today."""

from collections.abc import Sequence

from gilplan.calibration.profile import Profile
from gilplan.model.errors import MissingBuild
from gilplan.model.runtime import Runtime


def todays_build(profile: Profile) -> Runtime:
    """Return the newest calibrated build with a GIL, or the newest at all."""
    if not profile.runtimes:
        raise MissingBuild("no build was calibrated; name one with --interpreter PATH")
    return max(profile.runtimes, key=lambda r: (not r.free_threaded, r.version))


def layouts_to_rank(profile: Profile, today: Runtime) -> Sequence[str]:
    """Return layouts worth comparing: today's single thread first, then one of each kind.

    Those with several GILs have one for each core, and four threads behind each.
    """
    cores = max(2, profile.machine.cores)
    layouts = [f"{today.build}:threads={threads}" for threads in (1, 2, 4)]
    if today.gil_per_interpreter:
        layouts += [
            f"{today.build}:interpreters={cores},gil=own",
            f"{today.build}:interpreters={cores},threads=4,gil=own",
        ]
    layouts += [
        f"{today.build}:processes={cores}",
        f"{today.build}:processes={cores},threads=4",
    ]
    without = [runtime for runtime in profile.runtimes if runtime.free_threaded]
    if without and not today.free_threaded:
        build = max(without, key=lambda runtime: runtime.version).build
        layouts += [f"{build}:threads={threads}" for threads in (1, 4, 4 * cores)]
    return layouts
