"""The cores and the GILs that a scenario's threads run on, from what was measured.

Times become integer nanoseconds, distributions functions that draw from a stream of their own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gilplan.model.clock import Clock
from gilplan.model.contended_cores import ContendedCores, ContendedThrottledCores
from gilplan.model.cores import Cores
from gilplan.model.gil import Gil, NoGil
from gilplan.model.latency import (
    latency_by_idle_time,
    least_idle_time,
    least_waking_time,
    path_costs,
    signal_time_by_idle_time,
)
from gilplan.model.layout import GilMode, WorkerKind
from gilplan.model.new_idle import SIDES
from gilplan.model.objects import Objects
from gilplan.model.packing import Packing
from gilplan.model.recorder import Recorder
from gilplan.model.scenario import Scenario
from gilplan.model.streams import Purpose, blocks, stream, times_ns, to_ns
from gilplan.model.throttled_cores import ThrottledCores
from gilplan.model.workload import Work
from gilplan.model.world import World


def build_cores(scenario: Scenario, env: Clock, objects: Objects) -> Cores:
    """Return the scenario's cores, with the quota that they run under if there is one."""
    machine, count, quota = scenario.machine, scenario.cores, scenario.quota
    dice = _latency_stream(scenario, 6)
    options: dict[str, Any] = {
        "count": count,
        "speeds": {work: [machine.speed(work, k + 1) for k in range(count)] for work in Work},
        "wake_latency": latency_by_idle_time(machine.wake_latency, _latency_stream(scenario, 0)),
        "switch_time": to_ns(machine.context_switch_time.value),
        "forced_switch_time": to_ns(machine.forced_switch_time.value),
        "preemption_latency": to_ns(machine.preemption_latency.value),
        "stays": _chances(machine.stay_share.value, _latency_stream(scenario, 5)),
        "dice": blocks(lambda count: dice.integers(0, SIDES, count)),
        "cores_searched": machine.cores,
        "signal_time": signal_time_by_idle_time(machine),
        "usual_signal_time": to_ns(machine.signal_time.value),
        "least_idle_time": least_idle_time(machine),
        "base_slice": to_ns(machine.base_slice),
        "tick": to_ns(machine.tick),
        "first_tick": int(_latency_stream(scenario, 2).integers(to_ns(machine.tick))),
        "timer_slack": to_ns(machine.timer_slack.value),
        "running_share": machine.wake_latency.running_share,
        "set_up": scenario.layout.processes * scenario.layout.interpreters,
        "packing": machine.packing_room and Packing(machine.packing_room.value),
    }
    contended = bool(objects.extra_times)
    if quota is None or quota.cores >= count:
        return (ContendedCores if contended else Cores)(env, **options)
    return (ContendedThrottledCores if contended else ThrottledCores)(
        env,
        budget=to_ns(quota.budget),
        period=to_ns(quota.period),
        bandwidth_slice=to_ns(quota.slice_time),
        **options,
    )


def build_gils(
    scenario: Scenario, env: Clock, cores: Cores, objects: Objects, recorder: Recorder | None
) -> list[Gil]:
    """Return the scenario's GILs: one a process, or one an interpreter."""
    layout, runtime, machine = scenario.layout, scenario.runtime, scenario.machine
    own = layout.gil is GilMode.OWN
    count = layout.processes * (layout.interpreters if own else 1)
    if layout.worker is WorkerKind.POOL and layout.pool != "thread":
        count += 1  # the last one: that of the main interpreter, which submits
    if layout.gil is GilMode.DISABLED:
        kind = World if objects.heaps else NoGil
        return [kind(env, cores, index=index) for index in range(count)]
    interval = layout.effective_switch_interval
    handoff, overtaking = (
        times_ns(latency, _latency_stream(scenario, place))
        for latency, place in (
            (machine.handoff_latency_at(interval), 1),
            (machine.overtaking_latency_at(interval), 7),
        )
    )
    retry = times_ns(machine.retry_time, _latency_stream(scenario, 3))
    awake, first = (
        _chances(share, _latency_stream(scenario, place))
        for share, place in (
            (machine.awake_share_at(interval), 4),
            (machine.awake_share_beside_at(interval), 8),
        )
    )
    waking, costs = least_waking_time(machine), path_costs(machine)
    return [
        Gil(
            env,
            cores,
            index=index,
            interval=to_ns(interval),
            handoff_latency=handoff,
            overtaking_latency=overtaking,
            retry_time=retry,
            overdue_wait_time=to_ns(machine.overdue_wait_time.value),
            asker_is_awake=awake,
            asker_is_first=first,
            least_waking_time=waking,
            preempts_across_interpreters=runtime.preempts_across_interpreters,
            signaller_waits=runtime.signaller_waits,
            costs=costs,
            recorder=recorder,
        )
        for index in range(count)
    ]


def _latency_stream(scenario: Scenario, place: int) -> np.random.Generator:
    return stream(scenario.seed, scenario.replication, Purpose.LATENCY, place)


def _chances(share: float, rng: np.random.Generator) -> Callable[[], int]:
    """Return a function that draws 1 in a ``share`` of its calls, else 0."""
    return blocks(lambda count: rng.random(count) < share)
