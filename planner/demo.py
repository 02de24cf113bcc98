"""The demonstration: calibrate quickly, then rank layouts for the example workload."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files

import click

from gilplan.calibration.builds import find_builds, newest_of_each_series
from gilplan.calibration.profile import Profile
from gilplan.calibration.workload_file import read_workload
from gilplan.model.errors import MissingBuild
from gilplan.model.runtime import Runtime
from gilplan.planner.commands import measured_profile, print_table, tell
from gilplan.planner.predict import predict
from gilplan.planner.progress import progress
from gilplan.planner.tables import breakdown_table, notes_on, prediction_table

EXAMPLE = "web_request.toml"
#: Half-width of the throughput: enough to rank, and fast.
PRECISION = 0.02


def run_demo(*, seed: int) -> None:
    """Find builds, calibrate, predict the example under several layouts, print them ranked."""
    found, _ = find_builds()
    builds = newest_of_each_series(found)
    tell([f"builds: {', '.join(build.name for build in builds)}"])
    profile = measured_profile(builds, quick=True, output=None, seed=seed)
    with as_file(files("gilplan.planner") / "examples" / EXAMPLE) as path:
        workload, arrivals = read_workload(path)
    today = todays_build(profile)
    layouts = layouts_to_rank(profile, today)
    done: list[object] = []
    with progress() as report:

        def count(prediction: object) -> None:
            done.append(prediction)
            text = f"simulated {len(done)} of {len(layouts)} layouts"
            report(text, len(done) / len(layouts))

        predictions = predict(
            replace(workload, build=today.build),
            layouts,
            profile,
            arrivals=arrivals,
            seed=seed,
            precision=PRECISION,
            workers=profile.machine.cores,
            on_done=count,
        )
    baseline = predictions[0]
    ranked = sorted(predictions, key=lambda prediction: -prediction.throughput.mean)
    print_table(prediction_table(ranked, baseline, title=f"{workload.name}, best first"))
    print_table(breakdown_table(ranked))
    click.echo(
        f"90 % intervals; speedup over {baseline.layout}; the workload's times are taken as "
        f"measured on {today.build}; seed {seed}"
    )
    click.echo('your own: gilplan predict WORKLOAD.toml --layout "3.13:threads=4"')
    tell(notes_on(ranked))


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
