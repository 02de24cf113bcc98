"""Is the plan right? Its recommendation, and the rate that it promises, against real runs.

    .venv/bin/python benchmarks/decisions.py layouts [--programs a,b] [--builds 3.14,3.13t]
    .venv/bin/python benchmarks/decisions.py rates [--programs a,b] [--time 4]

``layouts`` runs each program for real in every layout that the plan considers, each in turns
with a single thread of one and the same build, so that layouts and builds can be compared; then
it asks the plan, which knows the program's steps in a single thread, how fast it is in one on
each build, and without a GIL what two threads cost each other. The recommended layout and the
three that measured best are then measured again, in rounds of processes of their own: the best of
many noisy figures is partly the luckiest, and where a process's memory happens to lie makes it some
per cent faster or slower for all its life. From that follows what the recommended one loses, and
from the scatter of the rounds how sure that is: there are eight, and more, up to 32, until it is
known to 1 %.

``rates`` searches the highest rate at which p99 holds under Poisson arrivals for real, and sets
the predicted one beside it. The limit is ten times the task's own time, 50 ms
at least.

Needs an idle machine. One program takes about 3 s per layout and 90 s or more for the finalists,
and 6 trials of ``--time`` per rate. ``--json FILE`` keeps everything.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from chosen_builds import chosen_builds

from gilplan.calibration.builds import Build
from gilplan.calibration.openloop import highest_rate
from gilplan.calibration.other_builds import see_on_builds, worth_seeing
from gilplan.calibration.pairing import Turns, measure_paired
from gilplan.calibration.profile import Profile, default_path, load
from gilplan.calibration.realrun import measure_steps, shipped_programs
from gilplan.calibration.steps import StepSamples, workload_from_steps
from gilplan.calibration.study import natural_gil
from gilplan.calibration.target_validation import with_cold_start
from gilplan.model.errors import MeasurementFailed
from gilplan.model.layout import GilMode, Layout
from gilplan.model.workload import Workload
from gilplan.planner.plans.plan import plan
from gilplan.planner.plans.pool import pool
from gilplan.planner.plans.sustained import capacity_runs, sustainable_rate
from gilplan.planner.plans.target import Slo, Target
from gilplan.planner.plans.trials import Trials

PROGRAMS = (
    "image_filter", "json_transform", "log_regex", "nbody", "password_check", "sha256_ledger",
    "sqlite_report", "zlib_archive", "paced_parser", "edit_distance",
)  # fmt: skip
TURNS = Turns(count=12, window=0.1, reference_window=0.04, warmup=0.15, uninterrupted=0.05)
FINALISTS, ROUNDS, MOST_ROUNDS = 3, 8, 32
#: To what a loss should be known.
SURE = 0.01
LIMIT = 10.0
#: Below this a host that stops a virtual core for a moment decides, not the program.
LEAST_LIMIT = 0.05


def feasible(build: Build, cores: int) -> list[Layout]:
    """Return the layouts of a build that are worth running on so many cores."""
    gil = natural_gil(build)
    shapes = [(1, 1, 1), (1, 1, 2), (1, 1, 4), (cores, 1, 1), (cores, 1, 2)]
    if gil is GilMode.OWN:
        shapes += [(1, cores, 1), (1, cores, 2)]
    return [
        Layout(build=build.name, processes=p, interpreters=i, threads=t, gil=gil, cores=cores)
        for p, i, t in shapes
    ]


def choose_layouts(
    program: str, path: Path, builds: list[Build], profile: Profile, seed: int
) -> dict[str, Any]:
    """Measure every layout, ask the plan, and return both."""
    cores = profile.machine.cores
    reference = max(builds, key=lambda build: (not build.free_threaded, build.version))
    steps = measure_steps(reference, path, time=0.3)
    measured: dict[Layout, tuple[float, float]] = {}
    skipped: dict[str, str] = {}
    order = [(build, layout) for build in builds for layout in feasible(build, cores)]
    np.random.default_rng(seed).shuffle(order)  # type: ignore[arg-type]
    for build, layout in order:
        try:
            run = measure_paired(build, path, layout, TURNS, reference=reference)
        except MeasurementFailed as failure:
            skipped[str(layout)] = str(failure)
            continue
        measured[layout] = (run.relative_throughput, run.standard_error)
        steps = steps.joined(run.reference)
    workload = workload_of(program, path, steps, reference, profile)
    workload, _ = see_on_builds(path, workload, reference, worth_seeing(reference, builds))
    with pool(cores) as executor:
        answer = plan(
            workload,
            Target(cores_up_to=cores),
            profile,
            layouts=sorted(measured, key=str),
            explain=False,
            seed=seed,
            executor=executor,
        )
    assert answer.choice is not None
    recommended = answer.choice.layout
    by_rate = sorted(measured, key=lambda layout: -measured[layout][0])
    finalists = list(dict.fromkeys((recommended, *by_rate[:FINALISTS])))
    final = measure_again(finalists, path, {build.name: build for build in builds}, reference)
    best, loss, noise = loss_of(recommended, final)
    return {
        "program": program,
        "recommended": str(recommended),
        "best": str(best),
        "loss": loss,
        "noise": noise,
        "final": {str(layout): value for layout, value in final.items()},
        "measured": {str(layout): value for layout, value in measured.items()},
        "predicted": {
            str(each.layout): each.capacity.mean / steps.rate for each in answer.evaluations
        },
        "skipped": skipped,
    }


def loss_of(
    recommended: Layout, final: dict[Layout, tuple[float, float]]
) -> tuple[Layout, float, float]:
    """Return the best layout, what the recommended one loses to it, and half its 90 % interval."""
    best = max(final, key=lambda layout: final[layout][0])
    mine, theirs = final[recommended], final[best]
    noise = 1.645 * float(np.hypot(mine[1] / mine[0], theirs[1] / theirs[0]))
    return best, 1 - mine[0] / theirs[0], noise


def measure_again(
    layouts: list[Layout], path: Path, builds: dict[str, Build], reference: Build
) -> dict[Layout, tuple[float, float]]:
    """Return each layout's relative throughput and standard error, measured in rounds.

    The first one is that whose loss should be known.
    """
    runs: dict[Layout, list[float]] = {layout: [] for layout in layouts}
    final: dict[Layout, tuple[float, float]] = {}
    for done in range(1, MOST_ROUNDS + 1):
        for layout, taken in runs.items():
            run = measure_paired(builds[layout.build], path, layout, TURNS, reference=reference)
            taken.append(run.relative_throughput)
        if done < ROUNDS:
            continue
        final = {
            layout: (float(np.mean(taken)), float(np.std(taken, ddof=1) / np.sqrt(done)))
            for layout, taken in runs.items()
        }
        best, _, noise = loss_of(layouts[0], final)
        if best == layouts[0] or noise <= SURE:
            break
    return final


def workload_of(
    program: str, path: Path, steps: StepSamples, build: Build, profile: Profile
) -> Workload:
    """Return what the steps demand, and what the threads pay for each other's turns."""
    return with_cold_start(workload_from_steps(program, steps, build.name), build, path, profile)


def compare_rate(
    program: str, path: Path, build: Build, profile: Profile, *, time: float, seed: int
) -> dict[str, Any]:
    """Search the highest rate for real, predict it, and return both."""
    cores = profile.machine.cores
    gil = natural_gil(build)
    many = cores if gil is GilMode.OWN else 1
    layout = Layout(build=build.name, interpreters=many, threads=4 // many, gil=gil, cores=cores)
    cold = measure_steps(build, path, time=0.3)
    limit = max(LIMIT / cold.rate, LEAST_LIMIT)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    found = highest_rate(
        build, path, layout, limit=limit, at_most=1.3 * layout.workers, time=time, rng=rng
    )
    steps: StepSamples = cold.joined(found.steps)
    workload = workload_of(program, path, steps, build, profile)
    workload, _ = see_on_builds(path, workload, build, worth_seeing(build, [build]))
    trials = Trials(workload=workload, profile=profile, seed=seed)
    target = Target(rate=1.0, slos=(Slo(measure="p99", limit=limit),), cores_up_to=cores)
    capacities = [run["throughput"] for run in capacity_runs(layout, trials)]
    predicted = sustainable_rate(layout, target, trials, capacities, 0.9)
    measured = found.relative_rate * steps.rate
    return {
        "program": program,
        "layout": str(layout),
        "limit": limit,
        "predicted": asdict(predicted),
        "measured": measured,
        "error": predicted.mean / measured - 1 if measured else None,
        "trials": found.trials,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Set plans beside real runs.")
    parser.add_argument("question", choices=["layouts", "rates"])
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--builds", default="", help="such as 3.13,3.13t; default: all known")
    parser.add_argument("--time", type=float, default=4.0, help="seconds of each open-loop trial")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    profile = load(default_path())
    builds = chosen_builds(profile, options.builds)
    paths = shipped_programs()
    rows = []
    for program in options.programs.split(","):
        if options.question == "layouts":
            row = choose_layouts(program, paths[program], builds, profile, options.seed)
            print(
                f"{program}: recommended {row['recommended']}, measured best {row['best']}: "
                f"{row['loss']:.1%} lost (±{row['noise']:.1%} noise)",
                flush=True,
            )
            rows.append(row)
            continue
        for build in builds:
            try:
                row = compare_rate(
                    program, paths[program], build, profile, time=options.time, seed=options.seed
                )
            except MeasurementFailed as failure:
                print(f"{program}: skipped: {failure}", flush=True)
                continue
            print(
                f"{program} {row['layout']}: predicted {row['predicted']['mean']:.4g}/s, "
                f"measured {row['measured']:.4g}/s, error "
                f"{'-' if row['error'] is None else format(row['error'], '+.1%')}",
                flush=True,
            )
            rows.append(row)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
