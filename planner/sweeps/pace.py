"""How long a sweep will still take, from the pace of the points that it has run."""

import time
from collections.abc import Callable

from gilplan.planner.progress import Report
from gilplan.planner.sweeps.sweep import Progress


def paced(
    report: Report, clock: Callable[[], float] = time.monotonic
) -> Callable[[Progress], None]:
    """Return what to call with each `Progress`: it reports points done and the time left.

    At most a hundred texts, so that a log is not flooded.
    """
    began_at = clock()
    told = -1

    def tell(progress: Progress) -> None:
        nonlocal told
        to_run = progress.points - progress.found
        share = progress.ran / to_run if to_run else 1.0
        if int(share * 100) == told:
            return
        told = int(share * 100)
        text = f"{progress.found + progress.ran:,} of {progress.points:,} points"
        if progress.found:
            text += f" ({progress.found:,} were there)"
        if progress.ran and progress.missing:
            left = (clock() - began_at) / progress.ran * progress.missing
            text += f", about {_rough(left)} left"
        report(text, share)

    return tell


def _rough(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
