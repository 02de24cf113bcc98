"""Calibrate: measure this machine and its CPython builds, fit, and say how it went."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.campaign import reference_of, run_campaign
from gilplan.calibration.cpu_quota import read_quota, read_slice
from gilplan.calibration.fingerprint import Fingerprint, take_fingerprint
from gilplan.calibration.parameters import machine_from, runtime_from
from gilplan.calibration.scheduler import read_base_slice, read_tick
from gilplan.model.errors import MeasurementFailed, MissingBuild
from gilplan.model.machine import Machine
from gilplan.model.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Parameters of the machine and of each build, and the evidence they rest on.

    ``notes``: one line for each build or kernel that failed, hung or was left out, and why;
    ``samples``: raw samples as ``{"kernel/build": {series: [...]}}``; ``steal_share``: mean
    share of processor time that the hypervisor took during the runs; ``partial``: Ctrl-C ended
    the measuring early.
    """

    machine: Machine
    runtimes: tuple[Runtime, ...]
    notes: tuple[str, ...]
    fingerprint: Fingerprint
    samples: dict[str, dict[str, list[float]]]
    steal_share: float
    partial: bool


def calibrate(
    builds: Sequence[Build],
    *,
    quick: bool,
    rng: np.random.Generator,
    progress: Callable[[str, float], None] | None = None,
) -> Calibration:
    """Measure the machine and the builds, about a minute when ``quick``, else five.

    ``progress`` is told what is measured and the share done. A build or kernel that fails costs
    its own rows and a note. Ctrl-C ends the measuring and what is complete is fitted.

    Raises `MissingBuild` without builds and `MeasurementFailed` when the machine's own part, or
    every build's, could not be measured.
    """
    if not builds:
        raise MissingBuild("no CPython build to calibrate; name one with --interpreter PATH")
    fingerprint = take_fingerprint()
    reference = reference_of(builds).name
    samples, partial = run_campaign(
        builds, fingerprint.cores, quick=quick, rng=rng, progress=progress
    )
    machine = machine_from(
        samples,
        reference,
        identity=fingerprint.identity,
        cores=fingerprint.cores,
        base_slice=read_base_slice(fingerprint.cores),
        tick=read_tick(),
        rng=rng,
    )
    machine = replace(machine, quota=read_quota(), bandwidth_slice=read_slice())
    if machine.quota is not None:
        samples.note(
            f"a CPU quota of {machine.quota.cores:g} cores per {machine.quota.period * 1e3:g} ms "
            "holds here: it was in force while measuring, and is in every layout without its own"
        )
    runtimes = []
    for build in builds:
        try:
            runtimes.append(runtime_from(samples, build, reference, rng))
        except MeasurementFailed as error:
            samples.note(f"{build.name}: left out: {error}")
    if not runtimes:
        raise MeasurementFailed("no build was measured: " + "; ".join(samples.notes))
    shares = samples.steal_shares
    return Calibration(
        machine=machine,
        runtimes=tuple(runtimes),
        notes=tuple(samples.notes),
        fingerprint=fingerprint,
        samples=samples.flattened(),
        steal_share=sum(shares) / len(shares) if shares else 0.0,
        partial=partial,
    )
