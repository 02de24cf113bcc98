"""How fast the engine is, beside SimPy's own bare M/M/1 queue in the same run.

    .venv/bin/python benchmarks/engine.py [--rounds 7] [--json]

Rates are per second of wall time, medians over interleaved rounds with the spread between the
rounds, so that a machine that changes its speed changes all of them.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from gilplan.model import (
    Deterministic,
    Empirical,
    Estimate,
    GilMode,
    Layout,
    Machine,
    Runtime,
    Scenario,
    Segment,
    SegmentKind,
    Task,
    WakeLatency,
    Work,
    Workload,
    simulate,
)


def known(value: float) -> Estimate:
    return Estimate.exact(value, "benchmark")


MACHINE = Machine(
    identity="benchmark",
    cores=2,
    speeds=dict.fromkeys(Work, (known(1.0), known(0.95))),
    wake_latency=WakeLatency(
        idle_times=(1e-5, 1e-3), latencies=(Empirical((2e-6, 2e-5)), Empirical((4e-5, 9e-5)))
    ),
    handoff_latencies=((1e-3, Empirical((2e-6, 2e-5))),),
    overtaking_latencies=((1e-3, Empirical((2e-6, 2e-5))),),
    retry_time=Empirical((0.0,)),
    overdue_wait_time=known(2e-5),
    awake_share=known(0.65),
    awake_share_beside=known(0.65),
    stay_share=known(0.5),
    signal_time=known(2e-6),
    busy_signal_time=known(2e-6),
    timer_slack=known(5e-5),
    base_slice=0.0014,
    tick=0.004,
    preemption_latency=known(1e-5),
    context_switch_time=known(2e-6),
    forced_switch_time=known(2e-5),
)
RUNTIME = Runtime(
    build="3.13.0", version=(3, 13, 0), release_time=known(1e-7), poll_time=known(1e-7)
)


def scenario(
    threads: int, switch_interval: float, *segments: tuple[SegmentKind, float]
) -> Scenario:
    parts = tuple(Segment(kind=kind, duration=Deterministic(time)) for kind, time in segments)
    return Scenario(
        workload=Workload(name="benchmark", tasks=(Task(name="task", segments=parts),)),
        layout=Layout(
            build="3.13.0", threads=threads, gil=GilMode.OWN, switch_interval=switch_interval
        ),
        runtime=RUNTIME,
        machine=MACHINE,
        run_time=2.0,
        seed=1,
    )


def hand_offs_per_second() -> float:
    """Two CPU-bound threads at an interval of 0.1 ms: nearly every event is of a hand-off."""
    contended = scenario(2, 1e-4, (SegmentKind.PYTHON, 0.01))
    began_at = time.perf_counter()
    record = simulate(contended)
    return record.switches / (time.perf_counter() - began_at)


def segments_per_second() -> float:
    """One thread, four short segments a task, nobody in its way."""
    parts = [(SegmentKind.PYTHON, 1e-4), (SegmentKind.RELEASED_NATIVE, 1e-4)] * 2
    uncontended = scenario(1, 5e-3, *parts)
    began_at = time.perf_counter()
    record = simulate(uncontended)
    return len(parts) * record.completions / (time.perf_counter() - began_at)


def bare_simpy_customers_per_second(customers: int = 20_000) -> float:
    """SimPy's M/M/1 as its documentation writes it: one process per customer, one resource."""
    rng = np.random.default_rng(1)
    gaps = rng.exponential(1.0, customers).tolist()
    services = rng.exponential(0.7, customers).tolist()
    env = simpy.Environment()
    server = simpy.Resource(env, capacity=1)

    def customer(service: float) -> Generator[Any, Any, None]:
        with server.request() as turn:
            yield turn
            yield env.timeout(service)

    def source() -> Generator[Any, Any, None]:
        for gap, service in zip(gaps, services, strict=True):
            yield env.timeout(gap)
            env.process(customer(service))

    env.process(source())
    began_at = time.perf_counter()
    env.run()
    return customers / (time.perf_counter() - began_at)


MEASURES: dict[str, Callable[[], float]] = {
    "hand-offs/s": hand_offs_per_second,
    "segments/s": segments_per_second,
    "bare SimPy M/M/1 customers/s": bare_simpy_customers_per_second,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(options.rounds):
        for name, measure in MEASURES.items():
            rates[name].append(measure())
    if options.json:
        print(json.dumps(rates))
        return
    for name, values in rates.items():
        print(
            f"{name:>30}: {statistics.median(values):>9,.0f} "
            f"({min(values):,.0f} to {max(values):,.0f}, {options.rounds} rounds)"
        )


if __name__ == "__main__":
    main()
