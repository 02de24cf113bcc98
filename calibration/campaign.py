"""Run the kernels on the builds in rounds, and keep the raw samples that they give.

A calibration is a number of rounds; every round runs every kernel on every build once, in
another order, each in a fresh process. So a drift of the machine (clock frequency, a neighbour
on the host) spreads over all rows instead of falling on one build, and samples of one round may
be compared with each other.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.measurements import (
    Measurement,
    build_measurements,
    machine_measurements,
)
from gilplan.calibration.runner import (
    KERNELS,
    KernelRun,
    ProcessorClock,
    run_kernel,
)
from gilplan.model.errors import MeasurementFailed

#: A run during which the hypervisor took more than this share is repeated once.
STEAL_LIMIT = 0.05

#: Quick calibration takes fewer rounds where there are many builds, to stay near this time.
QUICK_TIME = 70.0
#: Beyond this time a quick calibration on a slow or busy machine starts nothing more.
QUICK_LIMIT = 78.0
#: Other processes that use more than this share of the machine disturb what is measured.
OTHERS_LIMIT = 0.05
FULL_ROUNDS = 7

Progress = Callable[[str, float], None]
Series = dict[str, list[float]]


@dataclass(slots=True, kw_only=True)
class Samples:
    """Raw samples as they come in: ``rounds["kernel/build"][round][series]``."""

    rounds: dict[str, dict[int, Series]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    steal_shares: list[float] = field(default_factory=list)

    def add(self, measurement: Measurement, number: int, run: KernelRun) -> None:
        """Keep one run's samples."""
        series = self.rounds.setdefault(measurement.key, {}).setdefault(number, {})
        for name, values in run.series.items():
            series.setdefault(name, []).extend(values)
        self.steal_shares.append(run.steal_share)
        for text in run.notes:
            self.note(f"{measurement.build.name}: {text}")

    def note(self, text: str) -> None:
        """Keep a line for the reader, once."""
        if text not in self.notes:
            self.notes.append(text)

    def pooled(self, key: str, series: str) -> list[float]:
        """All rounds' samples of a series, in order; empty when there are none."""
        return [sample for taken in self.by_round(key, series) for sample in taken]

    def labelled(self, key: str, kind: str) -> dict[str, list[float]]:
        """All rounds' samples of the series called ``"kind LABEL"``, by label, in its order."""
        names = {name for taken in self.rounds.get(key, {}).values() for name in taken}
        return {
            name.removeprefix(f"{kind} "): self.pooled(key, name)
            for name in sorted(names)
            if name.startswith(f"{kind} ")
        }

    def by_round(self, key: str, series: str) -> list[list[float]]:
        """The samples of a series, round by round, without the rounds that have none."""
        rounds = self.rounds.get(key, {})
        return [rounds[number][series] for number in sorted(rounds) if series in rounds[number]]

    def ratios(self, key: str, other: str, series: str) -> list[list[float]]:
        """The ratios of two keys' samples, round by round, where a round has both."""
        mine, others = self.rounds.get(key, {}), self.rounds.get(other, {})
        return [
            [
                a / b
                for a, b in zip(
                    mine[number].get(series, []), others[number].get(series, []), strict=False
                )
            ]
            for number in sorted(mine.keys() & others.keys())
        ]

    def flattened(self) -> dict[str, Series]:
        """All samples, without rounds: ``{"kernel/build": {series: samples}}``."""
        return {
            key: {name: self.pooled(key, name) for first in rounds.values() for name in first}
            for key, rounds in self.rounds.items()
        }


def reference_of(builds: Sequence[Build]) -> Build:
    """Choose the build that measures the machine: the newest with a GIL, else the newest."""
    return max(builds, key=lambda build: (not build.free_threaded, build.version))


def rounds_within(time: float, round_time: float) -> int:
    """Choose two or three rounds: two at least, so that drift between rounds can be seen."""
    return max(2, min(3, int(time / round_time)))


def run_campaign(
    builds: Sequence[Build],
    cores: int,
    *,
    quick: bool,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> tuple[Samples, bool]:
    """Run all rounds; return the samples and whether Ctrl-C ended them early.

    What fails on a build is noted and not tried again: a kernel that hangs would hang in every
    round. What measures the machine has a second chance, for nothing can be predicted without.
    """
    reference = reference_of(builds)
    of_machine = machine_measurements(reference, cores, quick=quick)
    of_builds = [m for build in builds for m in build_measurements(build, quick=quick)]
    round_time = sum(m.expected_time for m in of_machine + of_builds)
    rounds = rounds_within(QUICK_TIME, round_time) if quick else FULL_ROUNDS
    total = rounds * round_time
    samples, done, chances = Samples(), 0.0, dict.fromkeys(of_machine, 2)
    clock, began = ProcessorClock(), time.monotonic()
    # Repeats for stolen time may lengthen the whole by a quarter: a busy host is not waited out.
    spare_time = total / 4
    try:
        for number, measurement in _ordered(of_machine, of_builds, rounds, rng):
            if progress is not None:
                text = f"{measurement.kernel} on {measurement.build.name}"
                progress(text, min(1.0, done / total))
            done += measurement.expected_time
            if chances.get(measurement, 1) == 0:
                continue
            if quick and number > 0 and time.monotonic() - began > QUICK_LIMIT:
                samples.note(f"slow or busy machine: cut short in round {number + 1} of {rounds}")
                break
            try:
                run = run_measurement(measurement)
                if run.paused_time:
                    began += run.paused_time
                    run = run_measurement(measurement)
                if run.steal_share > STEAL_LIMIT and spare_time > measurement.expected_time:
                    spare_time -= measurement.expected_time
                    run = min(run, run_measurement(measurement), key=lambda one: one.steal_share)
            except MeasurementFailed as error:
                chances[measurement] = chances.get(measurement, 1) - 1
                samples.note(f"{measurement.build.name}: {error}")
            else:
                samples.add(measurement, number, run)
    except KeyboardInterrupt:
        return samples, True
    if clock.others_share > OTHERS_LIMIT:
        samples.note(
            f"other processes used {clock.others_share:.0%} of the machine meanwhile: "
            "calibrate again when it is quiet"
        )
    if progress is not None:
        progress("fitting", 1.0)
    return samples, False


def _ordered(
    of_machine: list[Measurement],
    of_builds: list[Measurement],
    rounds: int,
    rng: np.random.Generator,
) -> Iterator[tuple[int, Measurement]]:
    """Yield every round's measurements; in the first round the machine comes first.

    Then an early Ctrl-C leaves a machine and some builds instead of nothing to use.
    """
    for measurement in of_machine + of_builds:
        yield 0, measurement
    everything = of_machine + of_builds
    for number in range(1, rounds):
        for index in rng.permutation(len(everything)):
            yield number, everything[index]


def run_measurement(measurement: Measurement) -> KernelRun:
    """Run a kernel once. Raises `MeasurementFailed`."""
    return run_kernel(
        measurement.build.path,
        KERNELS / f"{measurement.kernel}.py",
        measurement.arguments,
        timeout=measurement.timeout,
        site=measurement.site,
    )
