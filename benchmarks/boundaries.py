"""Executors and event loops for real, beside their predictions: small tasks on every build.

    python benchmarks/boundaries.py measure FILE.json
    python benchmarks/boundaries.py predict FILE.json

Two workers with four tasks under way in each executor, and an event loop with waiting clients,
by turns with the submitting thread alone. Throughput is relative to that thread's, measured
(with its standard error) and predicted from the user's profile. On two cores the submitting
thread, the helpers and the workers share them.
"""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gilplan.calibration.builds import Build, find_builds, newest_of_each_series
from gilplan.calibration.fingerprint import take_fingerprint
from gilplan.calibration.profile import Profile, default_path, load
from gilplan.calibration.runner import KERNELS
from gilplan.model.arrivals import Closed
from gilplan.model.durations import Deterministic
from gilplan.model.layout import GilMode, Layout, WorkerKind
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner.forecast import forecast, scenario_for

HARNESS = KERNELS.parent / "harness"
#: Rounds of the task, for about 20 us, 200 us and 2 ms.
ROUNDS = (400, 4_000, 40_000)
WORKERS, POPULATION = 2, 4
SHAPES = {"thread": "threads", "interpreter": "interpreters", "process": "processes"}


CLIENTS, WAITS = (1, 4, 16), (0.002,)


def run(build: Build, script: str, *arguments: object) -> dict[str, list[float]]:
    """Run one of the harness's scripts on a build."""
    path = os.pathsep.join(map(str, (HARNESS, KERNELS)))
    done = subprocess.run(
        [build.path, "-S", "-B", str(HARNESS / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    rates: dict[str, list[float]] = json.loads(done.stdout)
    return rates


def measure(builds: list[Build]) -> list[dict[str, Any]]:
    """Run every cell."""
    cells: list[dict[str, Any]] = []
    for build, kind, rounds in product(builds, SHAPES, ROUNDS):
        if kind == "interpreter" and not build.own_gil_module:
            continue
        sizes = ("--workers", WORKERS, "--population", POPULATION, "--rounds", rounds)
        rates = run(build, "run_pool.py", kind, *sizes)
        cells.append({"build": build.name, "kind": kind, "rates": rates})
    for build, clients, rounds, wait in product(builds, CLIENTS, ROUNDS, WAITS):
        sizes = ("--clients", clients, "--rounds", rounds, "--wait", wait)
        rates = run(build, "run_loop.py", *sizes)
        cells.append(
            {"build": build.name, "kind": f"loop of {clients}", "clients": clients,
             "wait": wait, "rates": rates}
        )  # fmt: skip
    return cells


def predicted(profile: Profile, cell: dict[str, Any], task_time: float) -> float:
    """Return the predicted tasks per second."""
    runtime = profile.runtime(cell["build"])
    loop = "clients" in cell

    def spin(share: float) -> Segment:
        return Segment(kind=SegmentKind.PYTHON, duration=Deterministic(share * task_time))

    segments: tuple[Segment, ...] = (spin(1.0),)
    if loop:
        wait = Segment(kind=SegmentKind.WAIT, duration=Deterministic(cell["wait"]))
        segments = (spin(0.5), wait, spin(0.5))
    gil = GilMode.DISABLED if runtime.free_threaded else GilMode.OWN
    if not runtime.free_threaded and not runtime.gil_per_interpreter:
        gil = GilMode.SHARED
    worker = WorkerKind.EVENT_LOOP if loop else WorkerKind.POOL
    shape = {} if loop else {SHAPES[cell["kind"]]: WORKERS}
    scenario = scenario_for(
        Workload(name="spin", tasks=(Task(name="spin", segments=segments),)),
        Layout(build=runtime.build, gil=gil, worker=worker, **shape),
        runtime=runtime,
        machine=profile.machine,
        arrivals=Closed(population=cell.get("clients", POPULATION)),
        seed=1,
    )
    return forecast(scenario, precision=0.02, max_replications=4, parameter_draws=0).throughput.mean


def predict(cells: list[dict[str, Any]]) -> None:
    """Print each cell's prediction beside what was measured."""
    profile = load(default_path(), machine_identity=take_fingerprint().identity)
    print("build,kind,task_us,measured,standard_error,predicted,error")
    errors: dict[str, list[float]] = {}
    for cell in cells:
        rates = cell["rates"]
        pool, single = np.array(rates.get("pool") or rates["loop"]), np.array(rates["single"])
        ratio = pool.mean() / single.mean()
        noise = (pool - ratio * single).std(ddof=1) / np.sqrt(len(pool)) / single.mean()
        found = predicted(profile, cell, 1 / single.mean()) / single.mean()
        errors.setdefault(cell["kind"].split()[0], []).append(abs(found / ratio - 1))
        print(f"{cell['build']},{cell['kind']},{1e6 / single.mean():.1f},{ratio:.3f},"
              f"{noise:.3f},{found:.3f},{found / ratio - 1:+.1%}", flush=True)  # fmt: skip
    for kind, found in errors.items():
        print(f"{kind}: median absolute error {np.median(found):.1%}, worst {max(found):.1%}")


def main(what: str, file: Path) -> None:
    if what == "measure":
        file.write_text(json.dumps(measure(newest_of_each_series(find_builds()[0]))))
    else:
        predict(json.loads(file.read_text()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
