"""Measure again what the host of a virtual machine changes: what hand-offs and wake-ups cost.

How fast one core sees what another has written, and how fast it wakes, depends on where the host
has put the two. That changed within an hour: the waiter that had just asked for the GIL was awake
still in 75 % of the hand-offs, then in 29 % (kernels/queue_jump.py), an idle core woke after 39 us,
then after 26 (kernels/wake.py, idle for 50 us). The rest of a calibration keeps for longer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.campaign import Samples, reference_of, run_measurement
from gilplan.calibration.measurements import machine_measurements
from gilplan.calibration.parameters import hand_off_costs
from gilplan.calibration.profile import Profile
from gilplan.model.errors import MissingBuild

KERNELS = ("handoff", "retry", "queue_jump", "wake")
ROUNDS = 3


def refreshed(
    profile: Profile,
    builds: Sequence[Build],
    *,
    rng: np.random.Generator,
    rounds: int = ROUNDS,
    progress: Callable[[str, float], None] | None = None,
) -> Profile:
    """Return the profile with hand-offs and wake-ups measured anew, some nine seconds a round.

    ``progress`` is told what is measured and the share done. Raises `MissingBuild` without a build
    that the profile knows, and `MeasurementFailed`.
    """
    known = {runtime.build for runtime in profile.runtimes}
    usable = [build for build in builds if build.name in known and not build.free_threaded]
    if not usable:
        raise MissingBuild("no build of the profile that has a GIL is on this machine")
    reference = reference_of(usable)
    measurements = [
        measurement
        for measurement in machine_measurements(reference, profile.machine.cores, quick=False)
        if measurement.name in KERNELS
    ]
    samples = Samples()
    for number in range(rounds):
        for done, index in enumerate(rng.permutation(len(measurements))):
            measurement = measurements[index]
            if progress is not None:
                share = (number + done / len(measurements)) / rounds
                progress(f"{measurement.kernel} on {reference.name}", share)
            samples.add(measurement, number, run_measurement(measurement))
    machine = replace(profile.machine, **hand_off_costs(samples, reference.name, rng))
    old = {
        key: series
        for key, series in profile.samples.items()
        if key.partition("/")[0] not in KERNELS
    }
    return replace(
        profile,
        machine=machine,
        samples=old | samples.flattened(),
        refreshed_at=datetime.now(UTC).isoformat("T", "seconds"),
    )
