"""Measure again what the host of a virtual machine changes: hand-offs, wake-ups, speeds.

How fast one core sees what another has written, how fast it wakes, and how much it slows down
beside the other depends on where the host has put the two. That changed within an hour: an idle
core woke after 39 us, then after 26 (kernels/wake.py, idle for 50 us). The rest of a calibration
keeps for longer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.campaign import Samples, reference_of, run_measurement
from gilplan.calibration.hand_off_costs import hand_off_costs
from gilplan.calibration.measurements import machine_measurements
from gilplan.calibration.parameters import speed_curves
from gilplan.calibration.profile import Profile
from gilplan.calibration.scheduler_costs import stay_share
from gilplan.model.errors import MissingBuild

HAND_OFFS = ("handoff", "retry", "away", "queue_jump", "wake", "stay")
SPEEDS = ("scaling",)
ROUNDS = 3


def refreshed(
    profile: Profile,
    builds: Sequence[Build],
    *,
    rng: np.random.Generator,
    rounds: int = ROUNDS,
    joined: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Profile:
    """Return the profile with hand-offs, wake-ups and speeds measured anew.

    Some 30 seconds a round with two cores, of which 1.5 for each count of active ones. ``joined``:
    together with what was measured of them last, for a time that lies between the two.

    ``progress`` is told what is measured and the share done. Raises `MissingBuild` without a build
    that the profile knows, and `MeasurementFailed`.
    """
    measured = {runtime.build for runtime in profile.runtimes}
    usable = [build for build in builds if build.name in measured and not build.free_threaded]
    if not usable:
        raise MissingBuild("no build of the profile that has a GIL is on this machine")
    reference = reference_of(usable)
    cores = profile.machine.cores
    measurements = [
        measurement
        for names, quick in ((HAND_OFFS, False), (SPEEDS, True))
        for measurement in machine_measurements(reference, cores, quick=quick)
        if measurement.name in names
    ]
    last = {key: {-1: series} for key, series in profile.samples.items() if _is_renewed(key)}
    samples = Samples(rounds=last if joined else {})
    for number in range(rounds):
        for done, index in enumerate(rng.permutation(len(measurements))):
            measurement = measurements[index]
            if progress is not None:
                share = (number + done / len(measurements)) / rounds
                progress(f"{measurement.kernel} on {reference.name}", share)
            samples.add(measurement, number, run_measurement(measurement))
    known = profile.machine
    same_core = known.busy_signal_time.value + known.context_switch_time.value
    machine = replace(
        known,
        speeds=speed_curves(samples, reference.name, cores, rng),
        stay_share=stay_share(samples, reference.name, rng),
        **hand_off_costs(samples, reference.name, rng, same_core=same_core),
    )
    old = {key: series for key, series in profile.samples.items() if not _is_renewed(key)}
    return replace(
        profile,
        machine=machine,
        samples=old | samples.flattened(),
        refreshed_at=datetime.now(UTC).isoformat("T", "seconds"),
    )


def _is_renewed(key: str) -> bool:
    return key.partition("/")[0] in HAND_OFFS + SPEEDS
