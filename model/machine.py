"""The machine: cores, how fast they are together, and what the scheduler's moves cost."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gilplan.model.checks import require_count, require_positive
from gilplan.model.durations import Empirical
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.quota import Quota
from gilplan.model.workload import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeLatency:
    """Time from the wake-up of a thread to its first instruction, on a core that was idle.

    The longer the core has been idle, the deeper it (and a virtual machine's host) sleeps:
    one distribution per idle time, interpolated in the logarithm of the idle time.

    ``idle_times``: increasing seconds, ``(k,)``; ``latencies``: one distribution each.
    ``signal_factors``: how many times `Machine.signal_time` it costs the waker, one each: a core
    that has just fallen idle notices by itself, one that sleeps needs an interrupt, which on a
    virtual machine the host delivers. Empty: always that time. ``running_share``: in which part of
    the latency the kernel counts the thread as running, for it has switched to it already.
    """

    idle_times: tuple[float, ...]
    latencies: tuple[Empirical, ...]
    signal_factors: tuple[float, ...] = ()
    running_share: float = 1.0

    def __post_init__(self) -> None:
        if not self.idle_times or len(self.idle_times) != len(self.latencies):
            raise InvalidValue(
                "latencies", "one distribution per idle time", (self.idle_times, self.latencies)
            )
        if len(self.signal_factors) not in (0, len(self.idle_times)):
            raise InvalidValue("signal_factors", "one per idle time", self.signal_factors)
        if any(b <= a for a, b in pairwise(self.idle_times)):
            raise InvalidValue("idle_times", "in increasing order", self.idle_times)


#: (Switch interval in seconds, what was measured there relative to that over all), by interval.
IntervalFactors = tuple[tuple[float, float], ...]
#: (Switch interval in seconds, the latencies there), by interval.
IntervalLatencies = tuple[tuple[float, Empirical], ...]
#: (Time away in seconds, seconds that the GIL's path costs then), by time away.
TimesAway = tuple[tuple[float, float], ...]
#: How many latencies stand for those between two intervals.
MIXED = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """``cores`` and the scheduler's costs.

    ``speeds[work][k]`` is the speed of each of ``k + 1`` active cores relative to one;
    ``handoff_latencies`` is the time from a release of the GIL until the waiter that has just asked
    for it runs (it is hardly asleep), by switch interval (see ``handoff_latency_at``);
    ``overtaking_latencies`` that time if an older waiter on its core is woken in vain first;
    ``retry_time`` the CPU time of a thread whose wait for the GIL ran out, until it waits again
    (taken for that of one woken in vain, too); ``asking_times``, ``dropping_times`` and
    ``taking_times`` what asking, dropping and taking cost beyond the switch, the signal and the
    wake-up, by how long a core has not done any of it (see `PathCosts`); ``overdue_wait_time``
    that of a wait until an instant that has passed; ``awake_share`` how often the one who asked for
    the GIL has not gone to sleep yet when it is dropped, and finds the signal before an older
    waiter, over all switch intervals (see ``awake_share_at``); ``awake_share_beside`` the same
    where the older one sleeps on the core of the one who drops, and runs there at once;
    ``stay_share`` how often a thread that wakes waits for its last core although the kernel has
    looked at an idle one; ``packing_room`` up to which use a core has room for more, where the
    kernel packs threads (see `Packing`), None where it does not; ``signal_time`` the CPU time that
    waking a sleeping thread costs the one who wakes it, over all idle times of its core (see
    `WakeLatency`), ``busy_signal_time`` that of one whose core is busy; ``timer_slack`` what the
    kernel adds to a timed wait; ``base_slice`` the time after which the scheduler looks for another
    thread to run, which it does when the timer ticks, every ``tick``; ``preemption_latency`` how
    long a thread that wakes on a busy core waits for it when the scheduler lets it go first;
    ``context_switch_time`` how long it takes from when a thread blocks until the next one on its
    core runs, ``forced_switch_time`` what a switch at the end of a slice costs, with the timer
    interrupt that forces it. ``quota`` is the CPU limit that gilplan itself runs under, None
    without one; ``bandwidth_slice`` what a core takes at a time from a quota's budget.
    """

    identity: str
    cores: int
    speeds: dict[Work, tuple[Estimate, ...]]
    wake_latency: WakeLatency
    handoff_latencies: IntervalLatencies
    overtaking_latencies: IntervalLatencies
    retry_time: Empirical
    overdue_wait_time: Estimate
    awake_share: Estimate
    awake_share_beside: Estimate
    stay_share: Estimate
    signal_time: Estimate
    busy_signal_time: Estimate
    timer_slack: Estimate
    preemption_latency: Estimate
    context_switch_time: Estimate
    forced_switch_time: Estimate
    base_slice: float
    tick: float
    packing_room: Estimate | None = None
    quota: Quota | None = None
    bandwidth_slice: float = 0.005
    awake_factors: IntervalFactors = ()
    awake_factors_beside: IntervalFactors = ()
    asking_times: TimesAway = ()
    dropping_times: TimesAway = ()
    taking_times: TimesAway = ()

    def __post_init__(self) -> None:
        require_count("cores", self.cores)
        require_positive("base_slice", self.base_slice)
        require_positive("tick", self.tick)
        for name in (
            *("awake_factors", "awake_factors_beside"),
            *("asking_times", "dropping_times", "taking_times"),
        ):
            _check_intervals(name, getattr(self, name))
            if any(value < 0 for _, value in getattr(self, name)):
                raise InvalidValue(name, "at least 0", getattr(self, name))
        for name in ("handoff_latencies", "overtaking_latencies"):
            latencies = getattr(self, name)
            if not latencies:
                raise InvalidValue(name, "given for at least one switch interval", latencies)
            _check_intervals(name, latencies)
        for work in Work:
            if len(self.speeds.get(work, ())) < 1:
                raise InvalidValue(f"speeds[{work}]", "given for at least one active core", ())

    def speed(self, work: Work, active: int) -> float:
        """Speed of each of ``active`` cores; beyond the last measured count, the last one's."""
        curve = self.speeds[work]
        return curve[min(active, len(curve)) - 1].value

    def awake_share_at(self, interval: float) -> float:
        """Return the share at a switch interval in seconds: who asks has slept for so long."""
        return _share_at(interval, self.awake_share, self.awake_factors)

    def awake_share_beside_at(self, interval: float) -> float:
        """Return the share where the older one sleeps on the core of the one who drops."""
        return _share_at(interval, self.awake_share_beside, self.awake_factors_beside)

    def handoff_latency_at(self, interval: float) -> Empirical:
        """Return the latencies at a switch interval in seconds.

        The core of the one who asks was idle for so long, and it goes to sleep more often.
        """
        return _latency_at(interval, self.handoff_latencies)

    def overtaking_latency_at(self, interval: float) -> Empirical:
        """Return the latencies past an older waiter at a switch interval in seconds."""
        return _latency_at(interval, self.overtaking_latencies)

    def redrawn(self, rng: np.random.Generator) -> "Machine":
        """Return the machine with each scalar cost redrawn from its estimate."""
        return replace(
            self,
            speeds={
                work: tuple(speed.redrawn(rng) for speed in curve)
                for work, curve in self.speeds.items()
            },
            overdue_wait_time=self.overdue_wait_time.redrawn(rng),
            awake_share=self.awake_share.redrawn(rng),
            awake_share_beside=self.awake_share_beside.redrawn(rng),
            stay_share=self.stay_share.redrawn(rng),
            packing_room=None if self.packing_room is None else self.packing_room.redrawn(rng),
            signal_time=self.signal_time.redrawn(rng),
            busy_signal_time=self.busy_signal_time.redrawn(rng),
            timer_slack=self.timer_slack.redrawn(rng),
            preemption_latency=self.preemption_latency.redrawn(rng),
            context_switch_time=self.context_switch_time.redrawn(rng),
            forced_switch_time=self.forced_switch_time.redrawn(rng),
        )


def _check_intervals(name: str, by_interval: IntervalFactors | IntervalLatencies) -> None:
    intervals = [0.0, *(interval for interval, _ in by_interval)]
    if any(b <= a for a, b in pairwise(intervals)):
        raise InvalidValue(name, "in increasing order of interval", intervals[1:])


def _share_at(interval: float, over_all: Estimate, factors: IntervalFactors) -> float:
    return min(over_all.value * _factor_at(interval, factors), 1.0)


def _factor_at(interval: float, factors: IntervalFactors) -> float:
    """Return the factor, linear in the interval's logarithm, beyond the ends the end's own."""
    if not factors:
        return 1.0
    intervals, values = zip(*factors, strict=True)
    return float(np.interp(np.log(interval), np.log(intervals), values))


def _latency_at(interval: float, latencies: IntervalLatencies) -> Empirical:
    """Return latencies of the two intervals around it, more of the nearer one's (logarithm)."""
    intervals = np.log([known for known, _ in latencies])
    place = float(np.interp(np.log(interval), intervals, range(len(latencies))))
    left, share = int(place), place % 1
    if share == 0:
        return latencies[left][1]
    of_right = round(share * MIXED)
    mixed = (
        *_quantiles(latencies[left][1], MIXED - of_right),
        *_quantiles(latencies[left + 1][1], of_right),
    )
    return Empirical(mixed)


def _quantiles(latency: Empirical, count: int) -> Iterable[float]:
    return map(float, np.quantile(latency.samples, (np.arange(count) + 0.5) / max(count, 1)))
