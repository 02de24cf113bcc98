"""How much faster a sweep is on more local workers than on one, in the same run.

    .venv/bin/python benchmarks/sweep.py [--workers 2] [--rounds 2] [--points 64] [--json]

Sweeps of the example workload on this machine's profile, the numbers of workers taking turns, so
that a machine that changes its speed changes all of them. The start of the workers, which each
import SciPy, is included.
"""

import argparse
import json
import statistics
import time
from importlib.resources import as_file, files

from gilplan.calibration.profile import Profile, default_path, load
from gilplan.calibration.workload_file import read_workload
from gilplan.model.workload import Workload
from gilplan.planner import sweep

LAYOUT = "*:threads=4"


def seconds(workload: Workload, profile: Profile, points: int, workers: int) -> float:
    """Return how long one sweep takes."""
    build = next(runtime.build for runtime in profile.runtimes if not runtime.free_threaded)
    began_at = time.perf_counter()
    sweep(
        workload,
        [LAYOUT],
        profile,
        grid={"build": [build], "switch_interval": f"1ms:5ms:log:{points}"},
        precision=0.05,
        executor=f"local:{workers}",
    )
    return time.perf_counter() - began_at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with as_file(files("gilplan.planner") / "examples" / "web_request.toml") as path:
        workload, _ = read_workload(path)
    profile = load(default_path())
    times: dict[int, list[float]] = {1: [], options.workers: []}
    for _ in range(options.rounds):
        for workers, taken in times.items():
            taken.append(seconds(workload, profile, options.points, workers))
    if options.json:
        print(json.dumps(times))
        return
    ratios = [one / many for one, many in zip(times[1], times[options.workers], strict=True)]
    print(
        f"{options.workers} workers are {statistics.median(ratios):.2f} x one "
        f"({min(ratios):.2f} to {max(ratios):.2f}, {options.rounds} rounds; "
        f"one takes {statistics.median(times[1]):.1f} s)"
    )


if __name__ == "__main__":
    main()
