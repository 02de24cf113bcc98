"""Which kernels are run on which builds, in which order, and the raw samples that they give.

A calibration is a number of rounds; every round runs every kernel on every build once, in
another order, each in a fresh process. So a drift of the machine (clock frequency, a neighbour
on the host) spreads over all rows instead of falling on one build, and samples of one round may
be compared with each other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.runner import KERNELS, KernelRun, run_kernel
from gilplan.model.errors import MeasurementFailed
from gilplan.model.workload import Work

IDLE_TIMES = ("2e-5", "5e-5", "1e-4", "2e-4", "5e-4", "1e-3", "2e-3", "5e-3", "2e-2")
LONG_IDLE_TIME = "5e-2"
TIMEOUTS = ("1e-4", "2e-4", "5e-4", "1e-3", "2e-3", "5e-3", "1e-2", "2e-2")
INTERVALS = ("5e-4", "1e-3", "5e-3")
KINDS = ",".join(Work)
PROCESS_METHODS = ("fork", "spawn", "forkserver")
#: A run during which the hypervisor took more than this share is repeated once.
STEAL_LIMIT = 0.05

#: Quick calibration takes fewer rounds where there are many builds, to stay near this time.
QUICK_TIME = 70.0
FULL_ROUNDS = 7

Progress = Callable[[str, float], None]
Series = dict[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One kernel with its arguments on one build.

    ``name`` groups the samples: the kernel's, except where one kernel serves two purposes;
    ``expected_time`` what a run takes about, for progress and for the timeout.
    """

    name: str
    kernel: str
    arguments: tuple[str, ...]
    build: Build
    expected_time: float
    site: bool = False

    @property
    def key(self) -> str:
        return f"{self.name}/{self.build.name}"

    @property
    def timeout(self) -> float:
        """Far beyond the expected time: a slow machine is no reason to give a row up."""
        return 10.0 + 10 * self.expected_time


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
        rounds = self.rounds.get(key, {})
        return [x for number in sorted(rounds) for x in rounds[number].get(series, [])]

    def paired(self, key: str, other: str, series: str) -> tuple[list[float], list[float]]:
        """The samples of a series of two keys, paired within each round that has both."""
        pairs = [
            pair
            for number in sorted(self.rounds.get(key, {}).keys() & self.rounds.get(other, {}))
            for pair in zip(
                self.rounds[key][number].get(series, []),
                self.rounds[other][number].get(series, []),
                strict=False,
            )
        ]
        return [a for a, _ in pairs], [b for _, b in pairs]

    def flattened(self) -> dict[str, Series]:
        """All samples, without rounds: ``{"kernel/build": {series: samples}}``."""
        return {
            key: {name: self.pooled(key, name) for first in rounds.values() for name in first}
            for key, rounds in self.rounds.items()
        }


def reference_of(builds: Sequence[Build]) -> Build:
    """Choose the build that measures the machine: the newest with a GIL, else the newest."""
    return max(builds, key=lambda build: (not build.free_threaded, build.version))


def counts_of(cores: int, most: int = 10) -> list[int]:
    """Choose the numbers of active cores to measure: all, or ``most`` spread evenly in ratio."""
    if cores <= most:
        return list(range(1, cores + 1))
    return sorted({round(count) for count in np.geomspace(1, cores, most)})


def rounds_within(time: float, round_time: float) -> int:
    """Choose two or three rounds: two at least, so that drift between rounds can be seen."""
    return max(2, min(3, int(time / round_time)))


def machine_measurements(reference: Build, cores: int, *, quick: bool) -> list[Measurement]:
    """List a round's kernels that measure the machine, with the reference build."""
    scale = 1 if quick else 2
    counts = counts_of(cores)
    pairs = max(3, 12 // len(counts)) * scale
    scaling = [
        Measurement(
            name="scaling",
            kernel="speed",
            arguments=(
                *(kind, "--counts", ",".join(map(str, counts))),
                *("--samples", str(pairs)),
            ),
            build=reference,
            expected_time=0.15 + 0.06 * cores + pairs * len(counts) * 0.066,
        )
        for kind in Work
    ]
    idle_times = ",".join(IDLE_TIMES if quick else (*IDLE_TIMES, LONG_IDLE_TIME))
    others = [
        ("handoff", (",".join(INTERVALS), "--samples", str(130 * scale)), 0.95 * scale),
        ("wake", (idle_times, "--samples", str(70 * scale), "--longest", "0.4"), 1.2 * scale),
        ("timer", (",".join(TIMEOUTS), "--samples", str(18 * scale)), 0.8 * scale),
        ("slice", ("--run-time", str(0.5 * scale)), 0.6 * scale),
        ("preempt", ("--samples", str(60 * scale)), 0.5 * scale),
    ]
    return scaling + [
        Measurement(
            name=kernel,
            kernel=kernel,
            arguments=arguments,
            build=reference,
            expected_time=expected_time,
        )
        for kernel, arguments, expected_time in others
    ]


def build_measurements(build: Build, *, quick: bool) -> list[Measurement]:
    """List a round's kernels that measure one build."""
    scale = 1 if quick else 2

    def plan(
        kernel: str, expected_time: float, *arguments: str, name: str = "", site: bool = False
    ) -> Measurement:
        return Measurement(
            name=name or kernel,
            kernel=kernel,
            arguments=arguments,
            build=build,
            expected_time=expected_time,
            site=site,
        )

    measurements = [
        plan("speed", 0.3 + 0.8 * scale, KINDS, "--samples", str(4 * scale)),
        plan("release", 0.05 + 0.15 * scale, "--samples", str(100 * scale)),
        plan("poll", 0.1 + 0.15 * scale, "--samples", str(60 * scale)),
        plan(
            "startup",
            *(0.15, "thread", "--samples", str(40 * scale), "--alive", "8"),
            site=True,
        ),
    ]
    interpreter = ("interpreter", "--samples", str(4 * scale))
    if build.own_gil_module or build.shared_gil_module:
        measurements += [
            plan("startup", 0.2 * scale, *interpreter, site=True),
            plan("startup", 0.1 * scale, *interpreter, name="startup without site"),
        ]
    measurements += [
        plan(
            "startup",
            *(0.1 + 0.08 * scale, method, "--samples", str(4 * scale), "--alive", "2"),
            site=True,
        )
        for method in PROCESS_METHODS
    ]
    return measurements


def run_campaign(
    builds: Sequence[Build],
    cores: int,
    *,
    quick: bool,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> tuple[Samples, bool]:
    """Run all rounds; return the samples and whether Ctrl-C ended them early.

    What fails is noted and not tried again: a kernel that hangs would hang in every round.
    """
    reference = reference_of(builds)
    of_machine = machine_measurements(reference, cores, quick=quick)
    of_builds = [m for build in builds for m in build_measurements(build, quick=quick)]
    round_time = sum(m.expected_time for m in of_machine + of_builds)
    rounds = rounds_within(QUICK_TIME, round_time) if quick else FULL_ROUNDS
    total = rounds * round_time
    samples, done, failed = Samples(), 0.0, set[Measurement]()
    # Repeats for stolen time may lengthen the whole by a quarter: a busy host is not waited out.
    spare_time = total / 4
    try:
        for number, measurement in _ordered(of_machine, of_builds, rounds, rng):
            if progress is not None:
                text = f"{measurement.kernel} on {measurement.build.name}"
                progress(text, min(1.0, done / total))
            done += measurement.expected_time
            if measurement in failed:
                continue
            try:
                run = _run(measurement)
                if run.steal_share > STEAL_LIMIT and spare_time > measurement.expected_time:
                    spare_time -= measurement.expected_time
                    run = min(run, _run(measurement), key=lambda one: one.steal_share)
            except MeasurementFailed as error:
                failed.add(measurement)
                samples.note(f"{measurement.build.name}: {error}")
            else:
                samples.add(measurement, number, run)
    except KeyboardInterrupt:
        return samples, True
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


def _run(measurement: Measurement) -> KernelRun:
    return run_kernel(
        measurement.build.path,
        KERNELS / f"{measurement.kernel}.py",
        measurement.arguments,
        timeout=measurement.timeout,
        site=measurement.site,
    )
