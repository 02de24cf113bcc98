"""The behaviours of a version, shown on a real build of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gilplan.calibration.builds import Build
from gilplan.calibration.child import Child
from gilplan.model.behaviours import Behaviours, Collector, IntervalScope
from gilplan.model.errors import MeasurementFailed

PROBES = Path(__file__).parent / "probes"
TIME_LIMIT = 60.0
#: The generations that the collections of each kind of collector name.
GENERATIONS = {
    Collector.GENERATIONAL: [0, 1, 2],
    Collector.INCREMENTAL: [1],
    Collector.STOP_THE_WORLD: [0],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One behaviour: what the version says, and what the build did."""

    build: str
    behaviour: str
    expected: str
    seen: str

    @property
    def agrees(self) -> bool:
        return self.expected == self.seen


def run_probe(build: Build, name: str) -> dict[str, Any]:
    """Run one of the scripts in ``probes`` under the build, and return what it prints.

    Raises `MeasurementFailed` when it crashes, hangs or fails.
    """
    command = [build.path, "-I", "-S", "-B", str(PROBES / f"{name}.py")]
    with Child(command, what=f"probe {name} under {build.name}") as child:
        return child.answer(TIME_LIMIT)


def show_behaviours(build: Build) -> list[Shown]:
    """Run the probes and set what they saw beside what the version says.

    Raises `MeasurementFailed` when a probe cannot run.
    """
    by_version = Behaviours(version=build.version, free_threaded=build.free_threaded)
    rows = _collector_rows(by_version, run_probe(build, "collector"))
    rows += _interval_rows(by_version, run_probe(build, "switch_interval"))
    if not build.free_threaded:
        # At the start, before both spin, the GIL may change hands once without a request.
        preempts = _yes(run_probe(build, "shared_gil")["switches"] > 2)
        expected = _yes(by_version.preempts_across_interpreters)
        rows.append(("preemption across shared-GIL interpreters", expected, preempts))
    return [
        Shown(build=build.name, behaviour=behaviour, expected=expected, seen=seen)
        for behaviour, expected, seen in rows
    ]


def shown_behaviours(builds: Iterable[Build]) -> tuple[list[Shown], list[str]]:
    """Return what the probes saw on each build, and a line for each build where one failed."""
    shown: list[Shown] = []
    failures: list[str] = []
    for build in builds:
        try:
            shown += show_behaviours(build)
        except MeasurementFailed as error:
            failures.append(str(error))
    return shown, failures


def _collector_rows(by_version: Behaviours, seen: dict[str, Any]) -> list[tuple[str, str, str]]:
    kinds = [str(kind) for kind, named in GENERATIONS.items() if named == seen["generations"]]
    at_poll = _yes(seen["in_one_call"] <= 1)
    return [
        ("garbage collector", str(by_version.collector), " or ".join(kinds) or "unknown"),
        ("gc thresholds", _words(by_version.gc_thresholds), _words(seen["thresholds"])),
        ("a due collection waits for a poll", _yes(by_version.collects_at_poll), at_poll),
    ]


def _interval_rows(by_version: Behaviours, seen: dict[str, Any]) -> list[tuple[str, str, str]]:
    own, shared = seen["own"], seen["shared"]
    scopes = {
        (0.003, None): IntervalScope.PROCESS,  # no other GIL there is
        (0.003, 0.002): IntervalScope.GIL,
    }
    scope = scopes.get((shared["main_reads"], own and own["main_reads"]))
    inherited = "no own GIL" if own is None else _yes(own["reads"] == shared["reads"])
    expected = "no" if by_version.configurable_interpreters else "no own GIL"
    return [
        ("switch interval is set for", str(by_version.switch_interval_scope), str(scope)),
        ("an own-GIL interpreter inherits it", expected, inherited),
    ]


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _words(numbers: Any) -> str:
    return " ".join(str(number) for number in numbers)
