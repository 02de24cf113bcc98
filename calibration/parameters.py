"""From a campaign's raw samples to the machine's and the builds' parameters."""

from math import ceil

import numpy as np

from gilplan.calibration.boundaries import boundaries_from, loop_costs_from
from gilplan.calibration.builds import Build
from gilplan.calibration.campaign import Samples
from gilplan.calibration.fits import (
    Floats,
    assumed,
    fit,
    median_difference,
    median_over_rounds,
    ratio_of_means,
)
from gilplan.calibration.hand_off_costs import hand_off_costs
from gilplan.calibration.measurements import PROCESS_METHODS, counts_of
from gilplan.calibration.object_costs import collector_costs, contentions
from gilplan.calibration.scheduler_costs import (
    busy_signal_time,
    check_turns,
    context_switch_time,
    forced_switch_time,
    packing_room,
    preemption_latency,
    stay_share,
)
from gilplan.calibration.wake_ups import wake_latency
from gilplan.model.errors import MeasurementFailed
from gilplan.model.estimate import Estimate
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.runtime import Runtime, StartUp
from gilplan.model.workload import Work

#: Above any slack that people set; a fit that ends here did not find one.
LONGEST_SLACK = 1e-3
#: Waking by a timer and by another core differ by microseconds: no reason for a note.
SLACK_TOLERANCE = 1e-5


def machine_from(
    samples: Samples,
    reference: str,
    *,
    identity: str,
    cores: int,
    base_slice: float,
    tick: float,
    rng: np.random.Generator,
) -> Machine:
    """Fit the machine to what the reference build measured.

    ``base_slice`` and ``tick`` are what the kernel says of its scheduler, seconds; a turn that
    was measured longer or shorter than they make it is noted.

    Costs of the scheduler that could not be measured are assumed, flagged not identifiable and
    noted. Raises `MeasurementFailed` without speeds, wake-up or hand-off latencies or
    the cost of waiting.
    """
    wake = wake_latency(samples, reference)
    slack = timer_slack(samples, reference, wake, rng)
    check_turns(samples, reference, ceil(base_slice / tick) * tick)
    busy_signal = busy_signal_time(samples, reference, rng)
    switch = context_switch_time(samples, reference, rng)
    same_core = busy_signal.value + switch.value
    return Machine(
        identity=identity,
        cores=cores,
        speeds=speed_curves(samples, reference, cores, rng),
        stay_share=stay_share(samples, reference, rng),
        packing_room=packing_room(samples, reference),
        timer_slack=slack,
        overdue_wait_time=overdue_wait_time(samples, reference, rng),
        preemption_latency=preemption_latency(samples, reference, slack, rng),
        busy_signal_time=busy_signal,
        context_switch_time=switch,
        forced_switch_time=forced_switch_time(samples, reference, rng),
        base_slice=base_slice,
        tick=tick,
        **hand_off_costs(samples, reference, rng, same_core=same_core),
    )


def speed_curves(
    samples: Samples, reference: str, cores: int, rng: np.random.Generator
) -> dict[Work, tuple[Estimate, ...]]:
    """Return each kind of work's `speed_curve`."""
    return {work: speed_curve(samples, reference, work, cores, rng) for work in Work}


def speed_curve(
    samples: Samples, reference: str, work: Work, cores: int, rng: np.random.Generator
) -> tuple[Estimate, ...]:
    """Estimate the speed of each of 1, 2, ... ``cores`` active cores relative to one.

    Each window with ``n`` workers is divided by the window with one that came right before it;
    counts that were not measured are interpolated.
    """
    key = f"scaling/{reference}"
    alone = samples.pooled(key, f"{work} n=1")
    if not alone:
        raise MeasurementFailed(f"speed: the machine's {work} speed was not measured")
    measured = {1: Estimate.exact(1.0, "speed")}
    for n in counts_of(cores)[1:]:
        beside = samples.pooled(key, f"{work} n={n}")
        measured[n] = ratio_of_means(beside, alone, source="speed", rng=rng)
    known = sorted(measured)

    def at(n: int, field: str) -> float:
        return float(np.interp(n, known, [getattr(measured[k], field) for k in known]))

    return tuple(
        measured[n]
        if n in measured
        else Estimate(
            value=at(n, "value"), lower=at(n, "lower"), upper=at(n, "upper"), source="speed"
        )
        for n in range(1, cores + 1)
    )


def overdue_wait_time(samples: Samples, reference: str, rng: np.random.Generator) -> Estimate:
    """Estimate the CPU time of a wait until an instant that has passed."""
    taken = samples.pooled(f"timer/{reference}", "overdue")
    if not taken:
        samples.note("overdue wait: assumed to cost nothing, not measured")
        return assumed(0.0, 0.0, 1e-4, "timer")
    return median_difference(
        taken, samples.pooled(f"timer/{reference}", "call"), source="timer", rng=rng, floor=0.0
    )


def timer_slack(
    samples: Samples, reference: str, wake: WakeLatency, rng: np.random.Generator
) -> Estimate:
    """Fit what the kernel adds to a timed wait: overshoot = slack + wake-up after that idle time.

    The kernel's own figure is not used but compared: a note says where they differ.
    """
    key = f"timer/{reference}"
    waits, overshoots = [], []
    for text, taken in samples.labelled(key, "overshoot").items():
        waits += [float(text)] * len(taken)
        overshoots += taken
    if not overshoots:
        samples.note("timer slack: assumed 50 us (prctl(2)), not measured")
        return assumed(5e-5, 1e-5, 2e-4, "timer")
    call = float(np.median(samples.pooled(key, "call")))

    def curve(parameters: Floats, waited: Floats) -> Floats:
        late: Floats = parameters[0] + call + _typical_wake(wake, waited)
        return late

    (slack,) = fit(
        curve,
        waits,
        overshoots,
        start=[5e-5],
        lower=[0.0],
        upper=[LONGEST_SLACK],
        source="timer",
        rng=rng,
    )
    for setting in samples.pooled(key, "slack setting")[:1]:
        if abs(slack.value - setting) > SLACK_TOLERANCE + slack.half_width:
            samples.note(
                f"timer slack: fitted {slack.value * 1e6:.1f} us "
                f"[{slack.lower * 1e6:.1f}, {slack.upper * 1e6:.1f}], "
                f"the kernel's setting is {setting * 1e6:.1f} us"
            )
    return slack


def runtime_from(
    samples: Samples, build: Build, reference: str, rng: np.random.Generator
) -> Runtime:
    """Fit one build's costs. Raises `MeasurementFailed` without release or poll time."""
    name = build.name
    key = f"release/{name}"
    # What one more stretch of checksum costs below the threshold is no cost of the GIL.
    steps = [
        [r - h - (h - c) for r, h, c in zip(released, held, control, strict=True)]
        for released, held, control in zip(
            samples.by_round(key, "released"),
            samples.by_round(key, "held"),
            samples.by_round(key, "control"),
            strict=True,
        )
    ]
    release_time = median_over_rounds(steps, source="release", rng=rng, floor=0.0)
    polls = samples.by_round(f"poll/{name}", "poll")
    poll_time = median_over_rounds(polls, source="poll", rng=rng)
    return Runtime(
        build=name,
        version=build.version,
        free_threaded=build.free_threaded,
        libc=build.libc,
        release_time=release_time,
        poll_time=poll_time,
        speeds=_speeds(samples, name, reference, rng),
        start_ups=_start_ups(samples, name, rng),
        memory=_optional_median(samples, f"startup/{name}", "bare memory", rng),
        collector=collector_costs(samples, name, rng),
        contention=contentions(samples, name, rng),
        boundaries=boundaries_from(samples, build, rng),
        loop_costs=loop_costs_from(samples, build, rng),
    )


def _speeds(
    samples: Samples, name: str, reference: str, rng: np.random.Generator
) -> dict[Work, Estimate]:
    if name == reference:
        return {work: Estimate.exact(1.0, "speed") for work in Work}
    speeds = {}
    for work in Work:
        ratios = samples.ratios(f"speed/{name}", f"speed/{reference}", f"{work} n=1")
        if any(ratios):
            speeds[work] = median_over_rounds(ratios, source="speed", rng=rng)
    return speeds


def _start_ups(samples: Samples, name: str, rng: np.random.Generator) -> dict[str, StartUp]:
    """Estimate each kind's start-up; kinds that were not measured are left out."""
    key = f"startup/{name}"
    found = {}
    for kind in ("thread", "interpreter", *PROCESS_METHODS):
        time = _optional_median(samples, key, f"{kind} start", rng)
        memory = _optional_median(samples, key, f"{kind} memory", rng)
        if time is not None and memory is not None:
            found[kind] = StartUp(time=time, memory=memory)
    return found


def _optional_median(
    samples: Samples, key: str, series: str, rng: np.random.Generator
) -> Estimate | None:
    rounds = samples.by_round(key, series)
    return median_over_rounds(rounds, source="startup", rng=rng, floor=0.0) if rounds else None


def _typical_wake(wake: WakeLatency, waited: Floats) -> Floats:
    """Median wake-up latency after each idle time, interpolated in its logarithm."""
    medians = [float(np.median(latency.samples)) for latency in wake.latencies]
    typical: Floats = np.interp(np.log(waited), np.log(wake.idle_times), medians)
    return typical
