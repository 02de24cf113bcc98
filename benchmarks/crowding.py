"""What threads pay for each other's turns, by their number, their turns' length and their cores.

    .venv/bin/python benchmarks/crowding.py [--builds 3.13,3.14] [--programs sort_records]
        [--time 20]

The processor time that a task takes among other threads of one interpreter, beside that of a
thread alone, for real and in the model. Pinned to one core they leave their data in each other's
caches; on two cores the GIL comes from another core; and more than two that run where they like pay
both. The model's slow-downs are fitted to the points that are marked; the others show how well they
tell of points that were not measured (`ColdStart`). The machine's profile should be fresh. Needs an
idle machine with two cores or more.
"""

from pathlib import Path

from each_program import for_each_program

from gilplan.calibration.builds import Build
from gilplan.calibration.crowd import control_ratios, measure_crowd
from gilplan.calibration.crowd_model import CrowdModel
from gilplan.calibration.harness.crowd import POINTS
from gilplan.calibration.profile import Profile
from gilplan.calibration.realrun import measure_steps
from gilplan.calibration.steps import workload_from_steps

#: Threads, switch interval in seconds, on how many cores: not those that are fitted.
OTHERS = (
    (2, 5e-3, 2),
    (2, 5e-3, 1),
    (2, 2e-2, 1),
    (4, 2e-2, 1),
    (8, 5e-3, 1),
    (4, 5e-4, 0),
    (8, 3e-3, 0),
)

#: How a point's number of cores reads.
CORES = ("any core", "one core", "two cores")


def compare(build: Build, program: Path, profile: Profile, time: float) -> None:
    """Measure one program's crowds and print them beside the model's."""
    name = program.stem
    workload = workload_from_steps(name, measure_steps(build, program, time=0.5), build.name)
    points = measure_crowd(build, program, time=time, points=POINTS + OTHERS)
    fitted = [point for point in points if point.condition in POINTS]
    model = CrowdModel(profile.runtime(build.name), profile.machine, control_ratios([points]))
    cold = model.cold_start(fitted, workload)
    if cold is None:
        print(f"{build.name} {name}: gives up the GIL too often for a fit")
        return
    alone = model.cost(workload, 1, POINTS[0][1]).task_time
    print(f"{build.name} {name}: {cold}")
    for point in points:
        simulated = model.ratio(workload, cold, point.condition, alone)
        print(
            f"  {point.threads} on {CORES[point.cores]} at {point.interval * 1e3:4g} ms: "
            f"x {point.ratio:.2f}, model x {simulated:.2f}"
            f"{' (fitted)' if point.condition in POINTS else ''}",
            flush=True,
        )


if __name__ == "__main__":
    for_each_program(
        compare,
        "What threads pay for each other's turns.",
        programs="sort_records,csv_statistics,json_transform",
        time=20.0,
    )
