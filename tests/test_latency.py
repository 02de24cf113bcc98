"""What a wake-up takes, against how long the core had been idle."""

from dataclasses import replace

import pytest

from gilplan.model.durations import Empirical
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.latency import (
    least_idle_time,
    signal_time_by_idle_time,
    usual_latency_by_idle_time,
)
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.workload import Work

AT_ONCE = Empirical((0.0,))
WAKE = WakeLatency(idle_times=(1e-5, 1e-3), latencies=(AT_ONCE, AT_ONCE), signal_factors=(0.5, 2.0))
SIGNAL, BUSY_SIGNAL = 1e-5, 1e-6


def machine(wake_latency: WakeLatency) -> Machine:
    nothing = Estimate.exact(0.0, "test")
    return Machine(
        identity="test",
        cores=1,
        speeds={work: (Estimate.exact(1.0, "test"),) for work in Work},
        wake_latency=wake_latency,
        handoff_latencies=((1e-3, AT_ONCE),),
        overtaking_latencies=((1e-3, AT_ONCE),),
        retry_time=AT_ONCE,
        overdue_wait_time=nothing,
        awake_share=nothing,
        stay_share=nothing,
        signal_time=Estimate.exact(SIGNAL, "test"),
        busy_signal_time=Estimate.exact(BUSY_SIGNAL, "test"),
        timer_slack=nothing,
        preemption_latency=nothing,
        context_switch_time=nothing,
        forced_switch_time=nothing,
        base_slice=0.0014,
        tick=0.004,
    )


@pytest.mark.parametrize(
    ("idle_time", "signal_time"),
    [(0, 1_000), (1, 5_000), (10_000, 5_000), (100_000, 12_500), (10**6, 20_000), (10**10, 20_000)],
)
def test_waking_costs_more_the_longer_the_core_slept(idle_time: int, signal_time: int):
    assert signal_time_by_idle_time(machine(WAKE))(idle_time) == pytest.approx(signal_time, rel=0.1)


def test_waking_costs_the_same_after_any_idle_time_where_only_that_was_measured():
    cost = signal_time_by_idle_time(machine(replace(WAKE, signal_factors=())))
    assert {cost(idle_time) for idle_time in (1, 10_000, 10**9)} == {10_000}


@pytest.mark.parametrize(
    ("idle_time", "latency"),
    [(0, 20_000), (10_000, 20_000), (100_000, 30_000), (1_000_000, 40_000), (10**10, 40_000)],
)
def test_usual_latency_is_the_median_after_such_an_idle_time(idle_time: int, latency: int):
    after = Empirical((1e-5, 2e-5, 9e-5)), Empirical((4e-5, 3e-5, 8e-5))
    usual = usual_latency_by_idle_time(WakeLatency(idle_times=(1e-5, 1e-3), latencies=after))
    assert usual(idle_time) == pytest.approx(latency, rel=1e-3)


def test_each_idle_time_has_its_factor():
    with pytest.raises(InvalidValue, match="one per idle time"):
        replace(WAKE, signal_factors=(1.0,))


def test_core_is_asleep_from_the_first_idle_time_whose_end_took_an_interrupt():
    wake = replace(
        WAKE,
        idle_times=(2e-6, 1e-5, 1e-3),
        latencies=(AT_ONCE,) * 3,
        signal_factors=(0.06, 0.8, 1.1),
    )
    assert least_idle_time(machine(wake)) == 10_000
    assert least_idle_time(machine(replace(wake, signal_factors=()))) == 0
