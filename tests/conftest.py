"""Settings that every test shares, and a small profile, made up."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings

from gilplan.calibration.builds import Build
from gilplan.calibration.profile import Profile
from gilplan.model.durations import Empirical
from gilplan.model.estimate import Estimate
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.runtime import Runtime, StartUp
from gilplan.model.workload import Work

# No deadline: how long an example takes says something about the machine, not about gilplan.
settings.register_profile(
    "gilplan", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gilplan")


def about(value: float) -> Estimate:
    return Estimate(value=value, lower=0.95 * value, upper=1.05 * value, source="made up")


def small_machine() -> Machine:
    costs = dict.fromkeys(
        (
            "signal_time",
            "busy_signal_time",
            "timer_slack",
            "overdue_wait_time",
            "preemption_latency",
            "context_switch_time",
            "forced_switch_time",
        ),
        about(5e-6),
    )
    return Machine(
        identity="two made-up cores",
        cores=2,
        speeds={work: (about(1.0), about(0.95)) for work in Work},
        wake_latency=WakeLatency(
            idle_times=(1e-4, 1e-2), latencies=(Empirical((5e-5, 6e-5)), Empirical((2e-4,)))
        ),
        handoff_latencies=((1e-3, Empirical((1e-5, 2e-5))),),
        overtaking_latencies=((1e-3, Empirical((1e-5, 2e-5))),),
        retry_time=Empirical((0.0,)),
        awake_share=Estimate.exact(0.65, "test"),
        awake_share_beside=Estimate.exact(0.65, "test"),
        stay_share=Estimate.exact(0.0, "test"),
        base_slice=0.0014,
        tick=0.004,
        **costs,
    )


def runtimes() -> tuple[Runtime, ...]:
    start_up = StartUp(time=about(1e-3), memory=about(1e6))
    with_gil = Runtime(
        build="3.13.0",
        version=(3, 13, 0),
        release_time=about(1e-7),
        poll_time=about(1e-6),
        speeds={Work.BYTECODE: about(1.0)},
        start_ups={"thread": start_up, "interpreter": start_up},
        memory=about(1e7),
    )
    return (
        replace(with_gil, build="3.11.7", version=(3, 11, 7)),
        replace(with_gil, build="3.12.1", version=(3, 12, 1)),
        with_gil,
        replace(with_gil, build="3.13.5t", version=(3, 13, 5), free_threaded=True),
    )


@pytest.fixture(scope="session")
def profile() -> Profile:
    return Profile(
        machine=small_machine(),
        runtimes=runtimes(),
        fingerprint={"kernel": "6.18", "cores": 2},
        notes=("3.12.1: made up",),
        samples={"handoff/3.13.0": {"latency": [1e-5, 2e-5]}},
    )


@pytest.fixture(scope="session")
def profile_of(profile: Profile) -> Callable[[Build], Profile]:
    """Return what gives the same profile for a real build."""

    def of(build: Build) -> Profile:
        runtime = replace(
            profile.runtimes[0],
            build=build.name,
            version=build.version,
            free_threaded=build.free_threaded,
        )
        return replace(profile, runtimes=(runtime,))

    return of
