"""What a wake-up takes, against how long the core had been idle."""

from dataclasses import replace

import pytest

from gilplan.model.durations import Empirical
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate
from gilplan.model.latency import (
    least_idle_time,
    least_waking_time,
    path_costs,
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
        awake_share_beside=nothing,
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


def test_nobody_is_woken_in_less_than_a_signal_and_the_shortest_wake_up():
    wake = replace(WAKE, latencies=(Empirical((3e-6, 5e-6)), Empirical((1e-6,))))
    assert least_waking_time(machine(wake)) == 13_000


@pytest.mark.parametrize(
    ("away", "woken", "dropped"),
    [
        *[(0, 0, 8_000), (10_000, 0, 8_000), (100_000, 10_000, 8_000), (10**6, 20_000, 8_000)],
        *[(10**7, 20_000, 18_000), (10**9, 20_000, 28_000)],
    ],
)
def test_path_costs_more_the_longer_the_core_was_away(away: int, woken: int, dropped: int):
    known = ((1e-4, 1e-5), (1e-3, 2e-5))
    drops = ((1e-3, 8e-6), (1e-1, 28e-6))
    costs = path_costs(
        replace(machine(WAKE), asking_times=known, taking_times=known, dropping_times=drops)
    )
    # Tabulated: within a step of the grid.
    assert (costs.ask(away), costs.take(away)) == pytest.approx((woken, woken), abs=1_000)
    assert costs.drop(away) == pytest.approx(dropped, abs=1_000)


def test_path_that_was_not_measured_costs_nothing():
    costs = path_costs(machine(WAKE))
    assert {cost(10**7) for cost in (costs.ask, costs.drop, costs.take)} == {0}
