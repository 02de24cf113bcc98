"""Which kernels measure the machine and a build, with which arguments."""

import os
from dataclasses import dataclass

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.model.workload import Work

IDLE_TIMES = (
    *("2e-6", "5e-6", "1e-5", "2e-5", "5e-5", "1e-4"),
    *("2e-4", "5e-4", "1e-3", "2e-3", "5e-3", "2e-2"),
)
LONG_IDLE_TIME = "5e-2"
#: How busy the home core is for a thread that wakes there.
HOME_SHARES = ("0.5", "0.6", "0.65", "0.7", "0.75", "0.8", "0.9")
TIMEOUTS = ("1e-4", "2e-4", "5e-4", "1e-3", "2e-3", "5e-3", "1e-2", "2e-2")
INTERVALS = ("1e-4", "5e-4", "1e-3", "5e-3")
#: For how long the GIL's path is not used: `away`.
TIMES_AWAY = ("1e-4", "2e-4", "5e-4", "1e-3", "2e-3", "5e-3")
#: The one who asks has slept for so long: `queue_jump`.
JUMP_INTERVALS = ("5e-4", "1e-3", "5e-3", "2e-2")
KINDS = ",".join(Work)
PROCESS_METHODS = ("fork", "spawn", "forkserver")
#: What the workers of an executor may be.
BOUNDARY_KINDS = ("thread", "interpreter", "process")
PAYLOAD = 64 << 10
LOOP_TASKS = 16


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


def counts_of(cores: int, most: int = 10) -> list[int]:
    """Choose the numbers of active cores to measure: all, or ``most`` spread evenly in ratio."""
    if cores <= most:
        return list(range(1, cores + 1))
    return sorted({round(count) for count in np.geomspace(1, cores, most)})


def available_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def machine_measurements(reference: Build, cores: int, *, quick: bool) -> list[Measurement]:
    """List a round's kernels that measure the machine, with the reference build."""
    scale = 1 if quick else 2
    counts = counts_of(cores)
    pairs = max(6, 32 // len(counts)) * scale
    scaling = [
        Measurement(
            name="scaling",
            kernel="speed",
            arguments=(
                *(kind, "--counts", ",".join(map(str, counts))),
                *("--samples", str(pairs), "--window", "0.03"),
            ),
            build=reference,
            expected_time=0.15 + 0.06 * cores + pairs * len(counts) * 0.035,
        )
        for kind in Work
    ]
    idle_times = ",".join(IDLE_TIMES if quick else (*IDLE_TIMES, LONG_IDLE_TIME))
    others = [
        ("handoff", (",".join(INTERVALS), "--samples", str(130 * scale)), 0.95 * scale),
        ("retry", ("--samples", str(60 * scale)), 0.15 + 0.15 * scale),
        ("away", (",".join(TIMES_AWAY), "--samples", str(20 * scale)), 0.4 + 2.6 * scale),
        ("queue_jump", (",".join(JUMP_INTERVALS), "--samples", str(80 * scale)), 0.2 + 6.4 * scale),
        ("stay", ("--samples", str(60 * scale)), 0.6 + 0.42 * scale),
        ("wake", (idle_times, "--samples", str(70 * scale), "--longest", "0.4"), 1.5 + 1.2 * scale),
        ("room", (",".join(HOME_SHARES), "--samples", str(40 * scale)), 1.9 + 0.3 * scale),
        ("timer", (",".join(TIMEOUTS), "--samples", str(18 * scale)), 0.9 + 0.8 * scale),
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
        plan("collect", 0.05 + 0.17 * scale, "--samples", str(scale)),
        plan(
            "startup",
            *(0.15, "thread", "--samples", str(40 * scale), "--alive", "8"),
            site=True,
        ),
    ]
    if build.free_threaded and available_cores() > 1:
        counts = sorted({2, available_cores()})
        expected_time = 0.05 + 0.13 * scale * (1 + 3 * len(counts))
        arguments = (",".join(map(str, counts)), "--samples", str(2 * scale))
        measurements.append(plan("contention", expected_time, *arguments))
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
    return (
        measurements
        + [
            plan(
                "boundary",
                *(expected_time, kind, "--samples", str(8 * scale), "--bytes", str(PAYLOAD)),
                name=f"boundary {kind}",
            )
            for kind, expected_time in _boundary_times(build, scale).items()
        ]
        + [
            plan(
                "event_loop",
                *(0.15 + 0.15 * scale, "--samples", str(30 * scale), "--tasks", str(LOOP_TASKS)),
            )
        ]
    )


def polled(build: Build) -> bool:
    """Whether interpreters are fed through a queue that has to be polled, for want of a pool."""
    return build.version < (3, 14, 0)


def _boundary_times(build: Build, scale: int) -> dict[str, float]:
    """Return how long measuring each kind of executor takes that the build has."""
    times = {"thread": 0.1 + 0.05 * scale, "process": 0.1 + 0.1 * scale}
    if build.own_gil_module:
        times["interpreter"] = 0.2 + (1.0 if polled(build) else 0.15) * scale
    return times
