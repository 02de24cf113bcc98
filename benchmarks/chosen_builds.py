"""Which builds a benchmark runs on: of the profile's those on the machine, or some of them."""

import argparse

from gilplan.calibration.builds import Build, find_builds, newest_of_each_series
from gilplan.calibration.profile import Profile, default_path, load
from gilplan.model.errors import GilplanError


def chosen_builds(profile: Profile, wanted: str, *, free_threaded: bool = True) -> list[Build]:
    """Return the newest build of each series, only the ``wanted`` ones (such as "3.13,3.13t").

    Without ``free_threaded`` only those with a GIL. Raises `MissingBuild`.
    """
    known = {
        runtime.build for runtime in profile.runtimes if free_threaded or not runtime.free_threaded
    }
    builds = [build for build in newest_of_each_series(find_builds()[0]) if build.name in known]
    if not wanted:
        return builds
    names = {profile.runtime(name).build for name in wanted.split(",")}
    return [build for build in builds if build.name in names]


def profile_and_builds(parser: argparse.ArgumentParser, wanted: str) -> tuple[Profile, list[Build]]:
    """Return the machine's profile and the wanted builds with a GIL; one line if there are none."""
    try:
        profile = load(default_path())
        return profile, chosen_builds(profile, wanted, free_threaded=False)
    except GilplanError as error:
        parser.error(str(error))
