"""``gilplan observe``: its options, and nothing heavy until it runs."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gilplan.planner.commands.options import profile_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from gilplan.calibration.builds import Build
    from gilplan.calibration.observation.observation import Observation
    from gilplan.calibration.profile import Profile

METHODS = ("exact", "sampling", "clock")


@click.command()
@click.argument("target", nargs=-1, metavar="TARGET | -- SCRIPT.py [ARGUMENT ...]")
@click.option("--pid", type=click.IntRange(min=1), help="Observe a process that runs already.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: stdout."
)
@click.option(
    "--interpreter",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="The CPython build that runs the target. Default: the one that runs gilplan.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    help="Default: the best that can be used here, in this order.",
)
@click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="[COUNTED:]FILE",
    help="Take what another tool measured, instead of observing. May be given again.",
)
@click.option("--benchmark", metavar="NAME", help="Which benchmark of a pyperf file.")
@click.option(
    "--also",
    multiple=True,
    metavar="BUILD",
    help="Run TARGET on this build, too: a name, a series or a path; none: on no other. May be "
    "given again. Default: the newest build of each series on this machine.",
)
@click.option("--time", default="2s", show_default=True, help="How long to observe.")
@click.option("--tasks", type=click.IntRange(min=1), help="Stop after so many tasks.")
@profile_option
def observe(
    target: tuple[str, ...],
    pid: int | None,
    output: Path | None,
    interpreter: Path | None,
    method: str | None,
    imports: tuple[str, ...],
    benchmark: str | None,
    also: tuple[str, ...],
    time: str,
    tasks: int | None,
    profile_path: Path | None,
) -> None:
    """Turn a real program into a workload file: what it does with the GIL, and for how long.

    TARGET is path/to/file.py:function or module:function, a callable without arguments that does
    one task. A script or a running process has no tasks: there, one cycle of a thread, from the
    end of one wait to the end of the next, stands for one.

    \b
    exact      probes and scheduler switches through perf; root or CAP_PERFMON
    sampling   the GIL's state read from outside, against the CPU clock; one's own processes
    clock      CPU against wall time, and what a thread of bytecode beside has to miss

    TARGET then runs in threads that take turns (in processes without a GIL), for what cold caches
    cost (beyond what the profile of this machine says that hand-offs do), and on the other builds
    here, for how fast it is there and, without a GIL, what its threads cost each other: some
    seconds each. With --tasks none of that, for it takes many tasks.

    \b
    gilplan observe app.py:handle -o app.toml
    gilplan observe app.py:handle --also 3.14 --also 3.14t -o app.toml
    gilplan observe --interpreter /usr/bin/python3.13 -o job.toml -- job.py --fast
    gilplan observe --pid 4711 --time 10s

    What other tools measured can be taken over with --import. Tachyon (CPython 3.15's
    profiling.sampling) tells every thread's state with --gecko. Recordings of py-spy, and
    Tachyon's --collapsed and --jsonl, count one kind of thread each, so that three are needed:
    with the GIL (gil), on a core (cpu), all (wall). pyperf times whole tasks and knows nothing of
    the GIL: it goes with one of the above.

    \b
    gilplan observe --import tachyon.json --interpreter python3.15 -o app.toml
    gilplan observe --import gil:gil.raw --import cpu:active.raw --import wall:idle.raw \\
        --import bench.json -o app.toml
    """
    from gilplan.model.units import parse_time
    from gilplan.planner.commands.output import tell, write_or_print
    from gilplan.planner.progress import progress

    given = _given(target, pid, imports)
    seconds = parse_time(time, "time")
    if seconds <= 0:
        raise click.UsageError("--time must be longer than no time.")
    if output is not None and not os.access(output.absolute().parent, os.W_OK):
        raise click.UsageError(f"-o {output}: its folder cannot be written.")
    if benchmark is not None and not imports:
        raise click.UsageError("--benchmark is for --import.")
    if imports and (method is not None or tasks is not None):
        raise click.UsageError("--method and --tasks say how to observe; --import does not.")
    if also and (given != "callable" or tasks is not None):
        raise click.UsageError("--also is for a TARGET, without --tasks.")
    if profile_path is not None and (given != "callable" or tasks is not None):
        raise click.UsageError("--profile is for a TARGET, without --tasks.")
    with progress() as report:
        if given == "import":
            from gilplan.calibration.imports.imported import observe_imports

            build = _build(interpreter).name if interpreter else ""
            observation = observe_imports(imports, benchmark=benchmark, build=build)
        elif given == "callable":
            observation = _observe_callable(
                target[0], _build(interpreter), also, method, seconds, tasks, profile_path, report
            )
        else:
            from gilplan.calibration.observation.process import observe_process, observe_script

            if tasks is not None:
                raise click.UsageError("--tasks is for a callable; give --time instead.")
            report(f"observing for {seconds:g} s", 0.2)
            if pid is not None:
                observation = observe_process(pid, time=seconds, method=method)
            else:
                observation = observe_script(
                    target, _build(interpreter), time=seconds, method=method
                )
    write_or_print(observation.to_toml(), output)
    tell([observation.workload.source, *observation.summary, *observation.notes])


def _observe_callable(
    target: str,
    build: Build,
    also: tuple[str, ...],
    method: str | None,
    time: float,
    tasks: int | None,
    profile_path: Path | None,
    report: Callable[[str, float], None],
) -> Observation:
    from gilplan.calibration.observation.observe import Method
    from gilplan.calibration.observation.observe import observe as observe_alone
    from gilplan.calibration.other_builds import worth_seeing
    from gilplan.calibration.whole_observation import observe_whole

    how = Method(method) if method else None
    if tasks is not None:
        return observe_alone(target, build, method=how, time=time, tasks=tasks, progress=report)
    others = worth_seeing(build, _others(also))
    return observe_whole(
        target,
        build,
        others,
        profile=_profile(profile_path),
        method=how,
        time=time,
        progress=report,
    )


def _profile(path: Path | None) -> Profile | None:
    """Return the profile that was named, or the one of this machine if there is any."""
    from gilplan.model.errors import ProfileError
    from gilplan.planner.commands.profiles import usable_profile

    try:
        return usable_profile(path, allow_foreign=False)
    except ProfileError:
        if path is not None:
            raise
        return None


def _others(also: tuple[str, ...]) -> list[Build]:
    """Return the builds that were asked for, else the newest of each series."""
    from gilplan.calibration.builds import find_builds, match_build, newest_of_each_series

    if also == ("none",):
        return []
    if not also:
        return newest_of_each_series(find_builds()[0])
    chosen = [_build(Path(name)) for name in also if os.sep in name]
    names = [name for name in also if os.sep not in name]
    found = {build.name: build for build in find_builds()[0]} if names else {}
    return [*chosen, *(found[match_build(name, found)] for name in names)]


def _given(target: tuple[str, ...], pid: int | None, imports: tuple[str, ...]) -> str:
    """Say which of the four kinds of target was given."""
    if [bool(target), pid is not None, bool(imports)].count(True) != 1:
        raise click.UsageError("Give one of TARGET, --pid PID, -- SCRIPT.py, and --import FILE.")
    if imports:
        return "import"
    if pid is not None:
        return "process"
    if len(target) == 1 and (":" in target[0] or not target[0].endswith(".py")):
        return "callable"
    return "script"


def _build(interpreter: Path | None) -> Build:
    from gilplan.calibration.builds import named_builds

    path = interpreter or Path(sys.executable)
    # Run by the path as given: a link from a virtual environment stands for its packages.
    return replace(named_builds([path])[0], path=str(path.absolute()))
