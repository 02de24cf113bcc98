"""What waking, signalling and handing a GIL over cost, from the samples of a campaign."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from gilplan.calibration.campaign import Samples
from gilplan.calibration.fits import assumed, median_difference, ratio_of_means, thinned
from gilplan.calibration.wake_ups import DISTURBED, signals, wake_latency
from gilplan.model.durations import Empirical
from gilplan.model.errors import MeasurementFailed
from gilplan.model.estimate import Estimate
from gilplan.model.latency import usual_latency_by_idle_time
from gilplan.model.machine import IntervalFactors, IntervalLatencies, TimesAway, WakeLatency
from gilplan.model.streams import to_ns

HANDOFF_SAMPLES = 400
#: With fewer an interval's own say less than its neighbours'.
FEWEST_LATENCIES = 30
#: How often the one who asked has the signal, where nobody measured, by the older one's place.
ASSUMED = {
    "lost": ("nine of ten", 0.9),
    "beside": ("half of the", 0.5),
}


def hand_off_costs(
    samples: Samples, reference: str, rng: np.random.Generator, *, same_core: float
) -> dict[str, Any]:
    """Return what waking, signalling and handing over cost, by the name of `Machine`'s field.

    ``same_core`` is what it takes to wake a thread on one's own core and to switch to it, seconds.
    Raises `MeasurementFailed` without wake-up or hand-off latencies or the cost of waiting.
    """
    awake = awake_share(samples, reference, rng, kind="lost")
    beside = awake_share(samples, reference, rng, kind="beside")
    wake = wake_latency(samples, reference)
    signal = median_difference(
        signals(samples, reference),
        samples.pooled(f"wake/{reference}", "quiet write"),
        source="wake",
        rng=rng,
        floor=0.0,
    )
    return {
        "wake_latency": wake,
        "handoff_latencies": handoff_latencies(samples, reference),
        "overtaking_latencies": overtaking_latencies(samples, reference),
        "retry_time": retry_time(samples, reference),
        "awake_share": awake,
        "awake_factors": awake_factors(samples, reference, awake.value, kind="lost"),
        "awake_share_beside": beside,
        "awake_factors_beside": awake_factors(samples, reference, beside.value, kind="beside"),
        "signal_time": signal,
        **path_times(samples, reference, wake=wake, signal=signal.value, same_core=same_core),
    }


def handoff_latencies(samples: Samples, reference: str) -> IntervalLatencies:
    """Return the hand-off gaps at each switch interval."""
    found = latencies_by_interval(samples.labelled(f"handoff/{reference}", "gap"))
    if not found:
        raise MeasurementFailed(
            "handoff: the GIL's hand-off latency was not measured; name a build with a GIL"
        )
    return found


def overtaking_latencies(samples: Samples, reference: str) -> IntervalLatencies:
    """Return the times of the hand-offs to one who overtook an older waiter, at each interval."""
    found = latencies_by_interval(samples.labelled(f"queue_jump/{reference}", "overtaking"))
    if not found:
        samples.note("hand-off: assumed to take no longer past an older waiter, not measured")
        return handoff_latencies(samples, reference)
    return found


def latencies_by_interval(measured: dict[str, list[float]]) -> IntervalLatencies:
    """Thin out the latencies at each interval, without those in which something else ran.

    That are those beyond ten times the median over all intervals. An interval with few is left out.
    """
    pooled = list(chain(*measured.values()))
    if not pooled:
        return ()
    limit = DISTURBED * float(np.median(pooled))
    usable = {text: [time for time in times if time <= limit] for text, times in measured.items()}
    least = min(FEWEST_LATENCIES, max(map(len, usable.values())))
    return tuple(
        (float(text), thinned(usable[text], HANDOFF_SAMPLES))
        for text in sorted(usable, key=float)
        if len(usable[text]) >= least
    )


def retry_time(samples: Samples, reference: str) -> Empirical:
    """Return what a wait for the GIL costs that runs out; differences below 0 are noise."""
    taken = samples.pooled(f"retry/{reference}", "retry")
    if not taken:
        raise MeasurementFailed(
            "retry: the cost of waiting for the GIL was not measured; name a build with a GIL"
        )
    return thinned([max(cost, 0.0) for cost in taken], HANDOFF_SAMPLES)


def awake_share(
    samples: Samples, reference: str, rng: np.random.Generator, *, kind: str
) -> Estimate:
    """Estimate how often the one who asked takes the signal before an older waiter has woken.

    ``kind`` is where that one sleeps: "beside" the one who drops, or elsewhere ("lost").
    """
    lost = list(chain(*samples.labelled(f"queue_jump/{reference}", kind).values()))
    if not lost:
        share, value = ASSUMED[kind]
        samples.note(f"signal: assumed to reach the one who asked in {share} hand-offs")
        return assumed(value, 0.0, 1.0, "queue_jump")
    return ratio_of_means(lost, [1.0] * len(lost), source="queue_jump", rng=rng)


def awake_factors(
    samples: Samples, reference: str, over_all: float, *, kind: str
) -> IntervalFactors:
    """Relate the share at each switch interval to the one over all; () if nobody ever was awake."""
    if over_all == 0:
        return ()
    lost = samples.labelled(f"queue_jump/{reference}", kind)
    return tuple(
        (float(text), float(np.mean(lost[text])) / over_all)
        for text in sorted(lost, key=float)
        if lost[text]
    )


def path_times(
    samples: Samples, reference: str, *, wake: WakeLatency, signal: float, same_core: float
) -> dict[str, TimesAway]:
    """Return what asking, dropping and taking cost by time away, by the name of `Machine`'s field.

    Each is what is left of a hand-off without the parts that are known otherwise: ``wake`` is what
    a wake-up on another core takes, ``signal`` what it then costs to wake the one who has dropped
    the GIL, ``same_core`` what waking a thread on one's own core and switching to it does, seconds.
    """
    woken = usual_latency_by_idle_time(wake)

    def beyond(kind: str, known: Callable[[float], float]) -> TimesAway:
        measured = samples.labelled(f"away/{reference}", kind)
        medians = {
            float(text): float(np.median(times)) for text, times in measured.items() if times
        }
        return tuple((away, max(medians[away] - known(away), 0.0)) for away in sorted(medians))

    found = {
        "asking_times": beyond("ask", lambda _: 0.0),
        "dropping_times": beyond("same", lambda _: same_core),
        "taking_times": beyond("other", lambda away: woken(to_ns(away)) / 1e9 + signal),
    }
    if not all(found.values()):
        samples.note("the GIL's path: assumed to cost no more after a while, not measured")
    return found
