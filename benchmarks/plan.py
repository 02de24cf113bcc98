"""How long `plan` takes over 500 candidate layouts at 2,000 requests/s on this machine.

    .venv/bin/python benchmarks/plan.py [--candidates 500] [--rate 2000] [--json]

The workload is the shipped web request; the candidates are those that `plan` itself considers
for up to 16 cores, thinned evenly to the number asked for. None is left to the bounds alone
because of its number: how many were simulated is printed.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter

from gilplan.calibration.profile import default_path, load
from gilplan.calibration.workload_file import read_workload
from gilplan.planner.plans.candidates import candidates
from gilplan.planner.plans.plan import plan
from gilplan.planner.plans.pool import pool
from gilplan.planner.plans.target import Target, parse_slo

WORKLOAD = Path(__file__).parents[1] / "planner" / "examples" / "web_request.toml"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a plan.")
    parser.add_argument("--candidates", type=int, default=500)
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--cores-up-to", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    profile = load(default_path())
    workload, _ = read_workload(WORKLOAD)
    target = Target(
        rate=options.rate,
        slos=(parse_slo("p99<50ms"),),
        memory=4 * 2**30,
        cores_up_to=options.cores_up_to,
    )
    every = candidates(workload, target, profile)
    step = max(len(every) / options.candidates, 1)
    layouts = [every[int(i * step)] for i in range(min(options.candidates, len(every)))]
    reached: dict[str, float] = {}
    begun = perf_counter()

    def report(text: str, share: float) -> None:
        stage = "simulating" if text.startswith("simulated") else text
        if stage not in reached:
            reached[stage] = perf_counter() - begun
            print(f"[{reached[stage]:5.1f} s] {text}", file=sys.stderr, flush=True)

    with pool(profile.machine.cores) as executor:
        answer = plan(workload, target, profile, layouts=layouts, executor=executor, report=report)
        took = perf_counter() - begun
    result = {
        "candidates": len(layouts),
        "simulated": len(answer.evaluations),
        "time": took,
        "stages": reached,
        "verdict": answer.verdict,
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{len(layouts)} candidates, {len(answer.evaluations)} simulated: {took:.1f} s")
    for stage, at in reached.items():
        print(f"  {at:6.1f} s  {stage}")
    print(answer.verdict)


if __name__ == "__main__":
    main()
