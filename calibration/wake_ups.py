"""How late woken threads run, and what waking costs who does it: from `wake` to `WakeLatency`."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from gilplan.calibration.campaign import Samples
from gilplan.calibration.fits import thinned
from gilplan.model.errors import MeasurementFailed
from gilplan.model.machine import WakeLatency

WAKE_SAMPLES = 200
#: Idle states and the host's own scheduling spread wake-ups over a factor of about three.
DISTURBED = 10


def wake_latency(samples: Samples, reference: str) -> WakeLatency:
    """Collect the wake-up latencies by idle time, less the cost of the calls around them.

    One of many times the median is no way out of an idle state: the host had the core do something
    else. It does so to threads that run, too, and is then part of every measured time.
    """
    key = f"wake/{reference}"
    taken = samples.labelled(key, "idle")
    if not taken:
        raise MeasurementFailed("wake: the machine's wake-up latency was not measured")
    call = float(np.median(samples.pooled(key, "call")))
    idle_times = sorted(taken, key=float)
    return WakeLatency(
        idle_times=tuple(map(float, idle_times)),
        latencies=tuple(
            thinned([x - call for x in undisturbed(taken[text])], WAKE_SAMPLES)
            for text in idle_times
        ),
        signal_factors=signal_factors(samples, reference, idle_times),
        running_share=running_share(samples, reference, idle_times),
    )


def running_share(samples: Samples, reference: str, idle_times: Sequence[str]) -> float:
    """Return in which part of a start's latency the thread has processor time already."""
    key = f"wake/{reference}"
    latencies, running = samples.labelled(key, "idle"), samples.labelled(key, "running")
    shares = [
        float(np.median(running[text])) / float(np.median(latencies[text]))
        for text in idle_times
        if running.get(text)
    ]
    if not shares:
        samples.note("wake-up: assumed that a thread counts as running from the start")
        return 1.0
    return min(float(np.median(shares)), 1.0)


def signals(samples: Samples, reference: str) -> list[float]:
    """Pool the times of the calls that woke another core, whatever its idle time."""
    return list(chain(*samples.labelled(f"wake/{reference}", "signal").values()))


def signal_factors(samples: Samples, reference: str, idle_times: list[str]) -> tuple[float, ...]:
    """Relate what waking costs after each idle time to what it costs after any; () if nothing."""
    key = f"wake/{reference}"
    call = float(np.median(samples.pooled(key, "quiet write")))
    typical = float(np.median(signals(samples, reference))) - call
    if typical <= 0:
        return ()
    return tuple(
        max(float(np.median(samples.pooled(key, f"signal {time}"))) - call, 0.0) / typical
        for time in idle_times
    )


def undisturbed(latencies: Sequence[float]) -> list[float]:
    """Leave out the latencies beyond ten times their median."""
    limit = DISTURBED * float(np.median(latencies))
    return [latency for latency in latencies if latency <= limit]
