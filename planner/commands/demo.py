"""``gilplan demo``: calibrate quickly, then rank layouts for the example workload."""

import click

from gilplan.planner.commands.options import seed_option

EXAMPLE = "web_request.toml"
#: Half-width of the throughput: enough to rank, and fast.
PRECISION = 0.02


@click.command()
@seed_option
def demo(seed: int) -> None:
    """Calibrate quickly and rank layouts for the example workload.

    \b
    gilplan demo
    """
    from dataclasses import replace
    from importlib.resources import as_file, files

    from gilplan.calibration.builds import find_builds, newest_of_each_series
    from gilplan.calibration.workload_file import read_workload
    from gilplan.planner.commands.output import print_table, tell
    from gilplan.planner.commands.profiles import measured_profile
    from gilplan.planner.demo import layouts_to_rank, todays_build
    from gilplan.planner.predictions import predict
    from gilplan.planner.progress import counted, progress
    from gilplan.planner.tables import breakdown_table, notes_on, prediction_table

    found, _ = find_builds()
    builds = newest_of_each_series(found)
    tell([f"builds: {', '.join(build.name for build in builds)}"])
    profile = measured_profile(builds, quick=True, output=None, seed=seed)
    with as_file(files("gilplan.planner") / "examples" / EXAMPLE) as path:
        workload, arrivals = read_workload(path)
    today = todays_build(profile)
    layouts = layouts_to_rank(profile, today)
    with progress() as report:
        predictions = predict(
            replace(workload, build=today.build),
            layouts,
            profile,
            arrivals=arrivals,
            seed=seed,
            precision=PRECISION,
            workers=profile.machine.cores,
            on_done=counted(report, "simulated {} of {} layouts", len(layouts)),
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
