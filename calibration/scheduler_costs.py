"""What the scheduler's choices cost: where a woken thread waits, and for how long a core changes.

All of it from kernels that need no GIL: stay, room, preempt and slice.
"""

import numpy as np

from gilplan.calibration.campaign import Samples
from gilplan.calibration.fits import assumed, median, median_difference, ratio_of_means
from gilplan.model.estimate import Estimate

TURN_TOLERANCE = 0.2
#: How often a thread does what it does always, but for the odd interrupt.
ALWAYS = 0.9


def stay_share(samples: Samples, reference: str, rng: np.random.Generator) -> Estimate:
    """Estimate how often a woken thread waits for its busy core although an idle one was seen."""
    stayed = samples.pooled(f"stay/{reference}", "stayed")
    if not stayed:
        samples.note("wake-up: assumed that a thread stays on its busy core in half of all cases")
        return assumed(0.5, 0.0, 1.0, "stay")
    return ratio_of_means(stayed, [1.0] * len(stayed), source="stay", rng=rng)


def packing_room(samples: Samples, reference: str) -> Estimate | None:
    """Estimate how busy a core may be for a woken thread to stay there; None: it never depends.

    A kernel that packs threads keeps it on a half idle core always, and never on a busy one.
    """
    taken = samples.labelled(f"room/{reference}", "stayed")
    stayed = sorted((float(text), float(np.mean(rates))) for text, rates in taken.items() if rates)
    if not stayed or stayed[0][1] < ALWAYS or stayed[-1][1] > 1 - ALWAYS:
        return None
    above = next(index for index, (_, rate) in enumerate(stayed) if rate < 0.5)
    (low, at_low), (high, at_high) = stayed[above - 1], stayed[above]
    value = low + (high - low) * (at_low - 0.5) / (at_low - at_high)
    return Estimate(value=value, lower=low, upper=high, source="room")


def preemption_latency(
    samples: Samples, reference: str, slack: Estimate, rng: np.random.Generator
) -> Estimate:
    """Estimate the wait for a busy core: how late a sleeper wakes there, less the timer's slack.

    The wake-up on an idle core is no baseline: leaving an idle state, above all a virtual
    core's, often costs more than preempting the thread that runs.
    """
    key = f"preempt/{reference}"
    busy = samples.pooled(key, "busy")
    if not busy:
        samples.note("preemption latency: assumed 20 us, not measured")
        return assumed(2e-5, 0.0, 4e-3, "preempt")
    return median([x - slack.value for x in busy], source="preempt", rng=rng, floor=0.0)


def check_turns(samples: Samples, reference: str, expected: float) -> None:
    """Note it if two threads on one core did not take turns as the kernel's settings say."""
    turns = samples.pooled(f"slice/{reference}", "slice")
    found = float(np.median(turns)) if turns else expected
    if abs(found - expected) > TURN_TOLERANCE * expected:
        samples.note(
            f"scheduler: two threads on one core changed every {found * 1e3:.2f} ms, not every "
            f"{expected * 1e3:.2f} ms as its base slice and tick make it"
        )


def context_switch_time(samples: Samples, reference: str, rng: np.random.Generator) -> Estimate:
    """Estimate how long it takes from when a thread blocks until the next one on its core runs."""
    found = _less_its_call(samples, reference, "turn", "quiet read", rng)
    if found is None:
        samples.note("context switch: assumed 3 us, not measured")
        return assumed(3e-6, 1e-6, 2e-5, "slice")
    return found


def busy_signal_time(samples: Samples, reference: str, rng: np.random.Generator) -> Estimate:
    """Estimate what it costs to wake a thread that then waits for the waker's core."""
    found = _less_its_call(samples, reference, "wake", "quiet write", rng)
    if found is None:
        samples.note("waking on a busy core: assumed 2 us, not measured")
        return assumed(2e-6, 5e-7, 1e-5, "slice")
    return found


def forced_switch_time(samples: Samples, reference: str, rng: np.random.Generator) -> Estimate:
    """Estimate a switch at the end of a slice, the timer interrupt included."""
    taken = samples.pooled(f"slice/{reference}", "forced switch")
    if not taken:
        samples.note("forced switch: assumed 10 us, not measured")
        return assumed(1e-5, 2e-6, 1e-4, "slice")
    return median(taken, source="slice", rng=rng)


def _less_its_call(
    samples: Samples, reference: str, step: str, call: str, rng: np.random.Generator
) -> Estimate | None:
    """Estimate a step of `slice` less the call that it makes; None if it was not measured."""
    key = f"slice/{reference}"
    taken = samples.pooled(key, step)
    if not taken:
        return None
    return median_difference(taken, samples.pooled(key, call), source="slice", rng=rng, floor=0.0)
