"""A sweep in a process of its own, to be killed: WORKLOAD PROFILE STORE.

Tells each finished point on stdout as soon as it is counted.
"""

import sys
from pathlib import Path

from gilplan.calibration.profile import load
from gilplan.calibration.workload_file import read_workload
from gilplan.planner import sweep

GRID = {"population": "2,4", "switch_interval": "1ms:5ms:log:8"}


def main(workload: str, profile: str, store: str) -> None:
    work, _ = read_workload(Path(workload))
    sweep(
        work,
        ["3.13:threads=2"],
        load(Path(profile)),
        grid=GRID,
        precision=0.99,
        max_replications=4,
        store=Path(store),
        executor="local:2",
        on_progress=lambda progress: print(progress.found + progress.ran, flush=True),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
