"""Can a program move? Each of its modules, imported where it would have to run.

Under a build with sub-interpreters: in two isolated ones with GILs of their own, which refuse
extension modules that do not declare support for it. Under a free-threaded build: in the main
interpreter, where an extension that does not declare support switches the GIL back on for the
whole process. Under any other build: whether it imports at all.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gilplan.calibration.builds import Build
from gilplan.calibration.checks.attempt import Attempt, attempt
from gilplan.calibration.checks.imports import Import
from gilplan.calibration.checks.target import CheckTarget
from gilplan.calibration.child import Child
from gilplan.model.checks import require_positive

#: Called with what is being done now and the share of all that is done, 0 to 1.
Progress = Callable[[str, float], None]
TIME_LIMIT = 20.0
LIST_MODULES = Path(__file__).parent / "list_modules.py"
OWN_GIL, FREE_THREADED, THREADS = "own-GIL interpreters", "free-threaded", "threads"
#: ceval_gil.c / import.c (3.13.5:1492): the warning that names the module.
GIL_ENABLED_BY = re.compile(r"GIL\) has been enabled to load module '([^']+)'")


class Outcome(StrEnum):
    """What became of a module."""

    FINE = "fine"
    REFUSES = "refuses"  # not in interpreters with a GIL of their own
    ENABLES_GIL = "re-enables the GIL"
    CRASHES = "crashes"
    HANGS = "hangs"
    FAILS = "fails"  # under this build at all
    MISSING = "not installed"  # hence not known


#: What keeps a program from running so.
OBSTACLES = (Outcome.REFUSES, Outcome.ENABLES_GIL, Outcome.CRASHES, Outcome.HANGS, Outcome.FAILS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A module under a build and mode: what became of it, and why or at what price.

    ``everywhere`` says that it happens in the main interpreter too, hence in any layout.
    """

    build: str
    mode: str
    module: str
    optional: bool = False
    outcome: Outcome
    reason: str = ""
    everywhere: bool = False

    @property
    def is_obstacle(self) -> bool:
        """Whether the program cannot run so because of it: not where it can do without."""
        return self.outcome in OBSTACLES and not self.is_avoidable

    @property
    def is_avoidable(self) -> bool:
        """Whether the program handles the failure: it catches the ImportError."""
        return self.optional and self.outcome in (Outcome.REFUSES, Outcome.FAILS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """All findings on a target, in the order of builds and modules."""

    target: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def modes(self) -> list[tuple[str, str]]:
        """The (build, mode) pairs that were tried."""
        return list(dict.fromkeys((each.build, each.mode) for each in self.findings))

    @property
    def unknown(self) -> dict[tuple[str, str], list[str]]:
        """The modules that are not installed, by (build, mode): what they would do is not known."""
        missing: dict[tuple[str, str], list[str]] = {}
        for each in self.findings:
            if each.outcome is Outcome.MISSING and not each.optional:
                missing.setdefault((each.build, each.mode), []).append(each.module)
        return missing

    @property
    def obstacles(self) -> dict[tuple[str, str], str]:
        """Why the program cannot run so, by (build, mode); nothing where it can or may."""
        return {
            (build, mode): _summary(
                each for each in self.findings if (each.build, each.mode) == (build, mode)
            )
            for build, mode in self.modes
            if any(
                each.is_obstacle
                for each in self.findings
                if (each.build, each.mode) == (build, mode)
            )
        }

    @property
    def refusals(self) -> dict[str, str]:
        """The obstacles as a plan takes them: keys like "3.13.0 own-GIL interpreters".

        What happens under a build in any layout stands under the build's name alone.
        """
        found: dict[str, list[Finding]] = {}
        for each in self.findings:
            if each.is_obstacle:
                key = each.build if each.everywhere else f"{each.build} {each.mode}"
                found.setdefault(key, []).append(each)
        return {key: _summary(findings) for key, findings in found.items()}


def _summary(findings: Iterable[Finding]) -> str:
    """Return the first obstacle, and how many modules more there are."""
    texts = [f"{each.module} {each.outcome}" for each in findings if each.is_obstacle]
    if len(texts) > 3:
        return f"{', '.join(texts[:2])} and {len(texts) - 2} more"
    return ", ".join(texts)


def check(
    target: CheckTarget,
    builds: Sequence[Build],
    *,
    time_limit: float = TIME_LIMIT,
    workers: int = 2,
    progress: Progress = lambda text, share: None,
) -> Check:
    """Import every module of the target under every build, ``workers`` of them at a time.

    An import that does not end within ``time_limit`` seconds hangs. Raises `MeasurementFailed`
    when a build does not start, and `InvalidValue`.
    """
    require_positive("time_limit", time_limit)
    notes = list(target.notes)
    jobs: list[tuple[Build, Import]] = []
    ready: list[Finding] = []
    for build in builds:
        imports, missing = _imports(target, build, time_limit)
        jobs += [(build, each) for each in imports]
        ready += missing

    def one(job: tuple[Build, Import]) -> Finding:
        build, wanted = job
        return find(build, wanted, folder=target.folder, time_limit=time_limit)

    findings = []
    with ThreadPoolExecutor(workers) as pool:
        for finding in pool.map(one, jobs):
            findings.append(finding)
            progress(f"importing under {finding.build}", len(findings) / len(jobs))
    order = {build.name: number for number, build in enumerate(builds)}
    findings = sorted(findings + ready, key=lambda each: order[each.build])
    return Check(target=target.name, findings=tuple(findings), notes=tuple(notes))


def mode_of(build: Build) -> str:
    """Return the mode of the build whose imports are in question."""
    if build.free_threaded:
        return FREE_THREADED
    return OWN_GIL if build.own_gil_module else THREADS


def find(
    build: Build, wanted: Import, *, folder: str = "", time_limit: float = TIME_LIMIT
) -> Finding:
    """Return what becomes of one module under a build. Raises `MeasurementFailed`."""
    mode, module = mode_of(build), wanted.module

    def finding(outcome: Outcome, reason: str = "", *, everywhere: bool = False) -> Finding:
        return Finding(
            build=build.name,
            mode=mode,
            module=module,
            optional=wanted.optional,
            outcome=outcome,
            reason=reason,
            everywhere=everywhere,
        )

    def tried(isolated: bool) -> Attempt:
        return attempt(build, module, folder=folder, isolated=isolated, time_limit=time_limit)

    plain = tried(isolated=False)
    if plain.ending:
        return finding(*_ended(plain), everywhere=True)
    (answer,) = plain.answers
    if answer["missing"] is not None:
        absent = answer["missing"]
        itself = module == absent or module.startswith(f"{absent}.")
        return finding(Outcome.MISSING, "" if itself else f"it needs {absent}")
    if answer["error"]:
        return finding(Outcome.FAILS, answer["error"], everywhere=True)
    if mode == FREE_THREADED and answer["gil"]:
        return finding(Outcome.ENABLES_GIL, _culprits(answer["warnings"], module))
    if mode != OWN_GIL:
        return finding(Outcome.FINE)
    inside = tried(isolated=True)
    if inside.error:
        again = "" if inside.answers[0]["error"] else "in a second interpreter: "
        return finding(Outcome.REFUSES, again + inside.error)
    if inside.ending:
        outcome, reason = _ended(inside)
        return finding(outcome, ("in a second interpreter: " if inside.answers else "") + reason)
    brought = set(answer["extensions"]) - set(answer["before"])
    lost = sorted(brought - set(inside.answers[0]["extensions"]))
    return finding(Outcome.FINE, f"without {', '.join(lost)}: Python code instead" if lost else "")


def _ended(seen: Attempt) -> tuple[Outcome, str]:
    kind, _, reason = seen.ending.partition(": ")
    return Outcome(kind), reason


def _culprits(warnings: Sequence[str], module: str) -> str:
    """Name the extension module that had the GIL enabled, where it is another one."""
    named = [match[1] for text in warnings if (match := GIL_ENABLED_BY.search(text))]
    others = [name for name in dict.fromkeys(named) if name != module]
    return f"its {', '.join(others)} does" if others else ""


def _imports(
    target: CheckTarget, build: Build, time_limit: float
) -> tuple[list[Import], list[Finding]]:
    """Return what to import under the build, and findings on what is not installed there."""
    if not target.requirements:
        return list(target.imports), []
    names = [each.name for each in target.requirements if each.applies(build.version)]
    command = [build.path, "-P", "-B", str(LIST_MODULES), *names]
    with Child(command, what=f"the distributions of {build.name}") as child:
        modules = child.answer(time_limit)["modules"]
    imports = [Import(module=each) for name in names for each in modules[name] or ()]
    missing = [
        Finding(build=build.name, mode=mode_of(build), module=name, outcome=Outcome.MISSING)
        for name in names
        if modules[name] is None
    ]
    return list(dict.fromkeys(imports)), missing
