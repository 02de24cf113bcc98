"""Which layouts a plan considers: builds x processes x interpreters x threads x intervals x cores.

Left out from the start is what cannot help: interpreters that share one GIL (threads do the same
in less memory), more interpreters and processes than cores, more threads than twice what hides
the time without the GIL, more cores than the GILs can feed.
"""

from collections.abc import Iterator, Sequence
from math import ceil

from gilplan.calibration.profile import Profile
from gilplan.model.bounds import Demands
from gilplan.model.layout import GilMode, Layout
from gilplan.model.runtime import Runtime
from gilplan.model.workload import Workload
from gilplan.planner.plans.target import Target
from gilplan.planner.predictions import on_build

#: A responsive one and CPython's own 5 ms (None); a sweep finds the knee between and beyond.
SWITCH_INTERVALS: tuple[float | None, ...] = (0.001, None)
MOST_THREADS = 64


def candidates(
    workload: Workload,
    target: Target,
    profile: Profile,
    *,
    builds: Sequence[str] = (),
    switch_intervals: Sequence[float | None] = SWITCH_INTERVALS,
) -> list[Layout]:
    """Return the layouts to consider on the ``builds``, all of the profile's when none is named.

    Raises `MissingBuild` for a build that the profile does not know.
    """
    runtimes = [profile.runtime(build) for build in builds] or list(profile.runtimes)
    found: list[Layout] = []
    for runtime in dict.fromkeys(runtime.build for runtime in runtimes):
        known = profile.runtime(runtime)
        demands = Demands.of(on_build(workload, known, profile))
        found += _on_runtime(known, demands, target.cores_up_to, switch_intervals)
    return found


def _on_runtime(
    runtime: Runtime, demands: Demands, cores: int, switch_intervals: Sequence[float | None]
) -> Iterator[Layout]:
    # A build without a GIL per interpreter runs one interpreter a process.
    gil = _gil(runtime)
    interpreter_counts = steps(cores) if gil is GilMode.OWN else (1,)
    for processes in steps(cores):
        for interpreters in interpreter_counts:
            if processes * interpreters > cores:
                continue
            gils = processes * interpreters
            for threads in _thread_counts(demands, gil, cores):
                contended = threads > 1 and gil is not GilMode.DISABLED and demands.held > 0
                workers = gils * threads
                usable = _usable_cores(demands, gil, gils, workers, cores)
                for interval in switch_intervals if contended else (None,):
                    for count in steps(usable):
                        yield Layout(
                            build=runtime.build,
                            processes=processes,
                            interpreters=interpreters,
                            threads=threads,
                            gil=gil,
                            switch_interval=interval,
                            cores=count,
                        )


def steps(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4, ... and ``most`` itself."""
    powers = [2**n for n in range(most.bit_length()) if 2**n < most]
    return (*powers, most)


def _gil(runtime: Runtime) -> GilMode:
    if runtime.free_threaded:
        return GilMode.DISABLED
    return GilMode.OWN if runtime.gil_per_interpreter else GilMode.SHARED


def _thread_counts(demands: Demands, gil: GilMode, cores: int) -> tuple[int, ...]:
    """Powers of two up to twice the threads that keep the GIL (without one: the cores) busy."""
    if gil is GilMode.DISABLED:
        busy = cores * demands.total / demands.cpu if demands.cpu else MOST_THREADS
    else:
        busy = demands.total / demands.held if demands.held else MOST_THREADS
    most = min(MOST_THREADS, 1 << ceil(2 * busy - 1e-9).bit_length() - 1)
    return steps(max(2, most))


def _usable_cores(demands: Demands, gil: GilMode, gils: int, workers: int, cores: int) -> int:
    """The cores that the workers can keep busy, at least one."""
    usable = min(workers, cores)
    if gil is not GilMode.DISABLED and demands.held:
        # One more than the GILs can feed: the scheduler's moves then wait for nobody.
        usable = min(usable, ceil(gils * demands.cpu / demands.held - 1e-9) + 1)
    return max(1, usable)
