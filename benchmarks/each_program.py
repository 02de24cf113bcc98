"""The command line of benchmarks that do the same with each build and each shipped program."""

import argparse
from collections.abc import Callable
from pathlib import Path

from chosen_builds import profile_and_builds

from gilplan.calibration.builds import Build
from gilplan.calibration.profile import Profile
from gilplan.calibration.realrun import shipped_programs


def for_each_program(
    show: Callable[[Build, Path, Profile, float], None],
    description: str,
    *,
    programs: str,
    time: float,
) -> None:
    """Show every program that the command line asks for on every build that has a GIL.

    ``show`` gets the build, the program, the machine's profile and the seconds to measure for.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--builds", default="", help="such as 3.13,3.14; default: all known")
    parser.add_argument("--programs", default=programs)
    parser.add_argument("--time", type=float, default=time, help="seconds of each run")
    options = parser.parse_args()
    if options.time <= 0:
        parser.error(f"--time must be more than 0 seconds, got {options.time:g}")
    shipped, names = shipped_programs(), options.programs.split(",")
    if unknown := [name for name in names if name not in shipped]:
        parser.error(f"no program {', '.join(unknown)}; there are {', '.join(sorted(shipped))}")
    profile, builds = profile_and_builds(parser, options.builds)
    for build in builds:
        for name in names:
            show(build, shipped[name], profile, options.time)
