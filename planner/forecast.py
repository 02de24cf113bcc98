"""From a scenario to a prediction: replications until the asked precision.

Two uncertainties are joined. The simulation's own noise shrinks with more replications. What
calibration and observation do not know does not: a few replications are repeated with the
machine's, the build's and the program's times redrawn from their estimates, under the same random
streams, and the spread of the paired differences is added whole. (The third, what the model
leaves out, is added by whoever knows of a validation: see `predictions`.)
"""

from dataclasses import dataclass, replace
from math import hypot

import numpy as np

from gilplan.model.arrivals import Arrivals, Batch, Closed, Open, Recorded
from gilplan.model.errors import GilplanError
from gilplan.model.layout import Layout
from gilplan.model.machine import Machine
from gilplan.model.prediction import Prediction
from gilplan.model.recent_average import HALF_LIFE
from gilplan.model.recorder import State
from gilplan.model.replication import Replication
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario, layout_quota
from gilplan.model.simulation import simulate
from gilplan.model.statistics import Interval, mean_interval, steady_state
from gilplan.model.streams import NANOSECONDS
from gilplan.model.workload import SegmentKind, Workload

LEAST_REPLICATIONS = 4
TASKS_PER_RUN = 600
INTERVALS_PER_RUN = 50
PERIODS_PER_RUN = 60
#: So long the scheduler remembers what a thread used, seconds: eight half-lives of its averages.
MEMORY = 8 * HALF_LIFE / NANOSECONDS
#: A worker and its client are on one core now, on two then: so many times as long.
PHASES = 4
#: A 90 % interval's half-width in standard deviations of a normal.
Z90 = 1.6448536269514722

Measures = dict[str, float]


def scenario_for(
    workload: Workload,
    layout: Layout,
    *,
    runtime: Runtime,
    machine: Machine,
    arrivals: Arrivals = Closed(),
    seed: int,
) -> Scenario:
    """Return the scenario of one layout, long enough for its slowest rhythm to show often."""
    cores = min(layout.cores or machine.cores, layout.workers)
    at_best = cores / workload.mean_demand()
    quota = layout_quota(layout, machine)
    if quota is not None and workload.mean_demand() > workload.mean_demand(SegmentKind.WAIT):
        busy_time = workload.mean_demand() - workload.mean_demand(SegmentKind.WAIT)
        at_best = min(at_best, quota.cores / busy_time)
    if isinstance(arrivals, Open):
        at_best = min(at_best, arrivals.rate)
    elif isinstance(arrivals, Closed):
        clients = arrivals.population or layout.workers
        cycle = workload.mean_demand() + arrivals.think_time.mean
        if arrivals.connection is not None:
            cycle += arrivals.connection.processor_time
        at_best = min(at_best, clients / cycle)
    turns = INTERVALS_PER_RUN * layout.effective_switch_interval * max(layout.threads, 2)
    held = workload.mean_demand(SegmentKind.PYTHON, SegmentKind.HELD_NATIVE)
    contended = (layout.workers > layout.processes or workload.background) and held > 0
    periods = 0.0 if quota is None else PERIODS_PER_RUN * quota.period
    run_time = max(TASKS_PER_RUN / at_best, periods)
    if contended:
        phases = PHASES if isinstance(arrivals, Closed) and arrivals.connection else 1
        run_time = max(run_time, turns, phases * MEMORY)
    if isinstance(arrivals, Recorded):
        run_time = max(arrivals.arrived_at[-1], 1e-9)
    return Scenario(
        workload=workload,
        arrivals=arrivals,
        layout=layout,
        runtime=runtime,
        machine=machine,
        run_time=run_time,
        seed=seed,
    )


def forecast(
    scenario: Scenario,
    *,
    precision: float = 0.01,
    max_replications: int = 20,
    parameter_draws: int = 6,
) -> Prediction:
    """Predict one scenario: replicate until ``precision`` (relative half-width, throughput).

    ``parameter_draws`` replications carry the calibration's uncertainty; 0 leaves it out.

    Raises `GilplanError` when not one task is completed within the scenario's run time.
    """
    sustainable = _sustainable_rate(scenario, precision, max_replications)
    overloaded = (
        sustainable is not None
        and isinstance(scenario.arrivals, Open)
        and scenario.arrivals.rate >= sustainable.mean
    )
    runs = _replicate(scenario, precision, max_replications)
    spread = _parameter_spread(scenario, runs, parameter_draws)
    intervals = {
        name: _joined([run.measures[name] for run in runs], spread.get(name, 0.0))
        for name in runs[0].measures
    }
    return Prediction(
        layout=scenario.layout,
        throughput=intervals["throughput"],
        response_time={} if overloaded else _named(intervals, "response_time."),
        gil_utilisation=intervals["gil_utilisation"],
        core_utilisation=intervals["core_utilisation"],
        breakdown=_named(intervals, "breakdown."),
        memory=memory(scenario),
        makespan=intervals["makespan"] if isinstance(scenario.arrivals, Batch) else None,
        overloaded=overloaded,
        sustainable_rate=sustainable,
        replications=len(runs),
        seed=scenario.seed,
        warnings=_warnings(scenario, overloaded, sustainable),
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    index: int
    measures: Measures


def _replicate(scenario: Scenario, precision: float, most: int) -> list[_Measured]:
    runs: list[_Measured] = []
    while len(runs) < most:
        runs.append(_Measured(len(runs), measure(replace(scenario, replication=len(runs)))))
        if len(runs) >= LEAST_REPLICATIONS:
            throughput = mean_interval([run.measures["throughput"] for run in runs])
            if throughput.precision <= precision:
                break
    return runs


def measure(scenario: Scenario) -> Measures:
    """Run once and return the steady state's measures by name.

    A batch has no steady state: its throughput is jobs over makespan. When a run is too short
    for its tasks, it is made longer, up to a hundredfold.
    """
    for _ in range(4):
        record = simulate(scenario)
        measures = _measures(scenario, record)
        if measures is not None:
            return measures
        scenario = replace(scenario, run_time=scenario.run_time * 5)
    raise GilplanError(
        f"layout {scenario.layout}: no task completed in {scenario.run_time:g} s of simulated "
        "time; check the workload's durations and the arrivals"
    )


def _measures(scenario: Scenario, record: Replication) -> Measures | None:
    state = steady_state(record)
    if isinstance(scenario.arrivals, Batch):
        return _batch_measures(record)
    if state is None:
        return None
    return {
        "throughput": state.throughput,
        "gil_utilisation": float(np.mean(state.gil_utilisation)),
        "core_utilisation": float(np.mean(state.core_utilisation)),
        "makespan": record.run_time,
        **{f"response_time.{name}": value for name, value in state.response_time.items()},
        **{f"breakdown.{name}": value for name, value in state.breakdown.items()},
    }


def _batch_measures(record: Replication) -> Measures:
    makespan = float(record.completed_at[-1])
    times = record.response_times
    spent = record.times.mean(axis=0)
    return {
        "throughput": record.completions / makespan,
        "gil_utilisation": float(record.gil_held[-1].mean()) / makespan,
        "core_utilisation": float(record.core_busy[-1].mean()) / makespan,
        "makespan": makespan,
        "response_time.mean": float(times.mean()),
        **{f"response_time.p{rank}": float(np.percentile(times, rank)) for rank in (50, 95, 99)},
        **dict(
            zip(
                (f"breakdown.{state.name.lower()}" for state in State),
                spent.tolist(),
                strict=True,
            )
        ),
    }


def _parameter_spread(scenario: Scenario, runs: list[_Measured], draws: int) -> Measures:
    """Standard deviation of each measure under redrawn parameters, noise paired away."""
    if draws == 0:
        return {}
    differences: dict[str, list[float]] = {}
    for draw in range(draws):
        rng = np.random.default_rng(np.random.SeedSequence(scenario.seed, spawn_key=(9, draw)))
        base = runs[draw % len(runs)]
        redrawn = measure(
            replace(
                scenario,
                machine=scenario.machine.redrawn(rng),
                runtime=scenario.runtime.redrawn(rng),
                workload=scenario.workload.redrawn(rng),
                replication=base.index,
            )
        )
        for name, value in redrawn.items():
            differences.setdefault(name, []).append(value - base.measures[name])
    return {name: float(np.sqrt(np.mean(np.square(d)))) for name, d in differences.items()}


def _joined(samples: list[float], spread: float) -> Interval:
    noise = mean_interval(samples)
    half = hypot(noise.half_width, Z90 * spread)
    return Interval(mean=noise.mean, lower=noise.mean - half, upper=noise.mean + half)


def _named(intervals: dict[str, Interval], prefix: str) -> dict[str, Interval]:
    return {n.removeprefix(prefix): i for n, i in intervals.items() if n.startswith(prefix)}


def _sustainable_rate(scenario: Scenario, precision: float, most: int) -> Interval | None:
    """Throughput of the saturated layout, which no stream of arrivals can exceed for long."""
    if not isinstance(scenario.arrivals, Open):
        return None
    saturated = scenario_for(
        scenario.workload,
        scenario.layout,
        runtime=scenario.runtime,
        machine=scenario.machine,
        seed=scenario.seed,
    )
    runs = _replicate(saturated, precision, most)
    return mean_interval([run.measures["throughput"] for run in runs])


def memory(scenario: Scenario) -> Interval | None:
    """Add up what the layout's processes, interpreters and threads keep; None if unmeasured."""
    runtime, layout = scenario.runtime, scenario.layout
    parts = [(runtime.memory, layout.processes)]
    if layout.interpreters > 1:
        start_up = runtime.start_ups.get("interpreter")
        parts.append((start_up.memory if start_up else None, layout.workers // layout.threads))
    if layout.threads > 1:
        start_up = runtime.start_ups.get("thread")
        parts.append((start_up.memory if start_up else None, layout.workers))
    if any(estimate is None for estimate, _ in parts):
        return None
    known = [(estimate, count) for estimate, count in parts if estimate is not None]
    return Interval(
        mean=sum(estimate.value * count for estimate, count in known),
        lower=sum(estimate.lower * count for estimate, count in known),
        upper=sum(estimate.upper * count for estimate, count in known),
    )


def _warnings(
    scenario: Scenario, overloaded: bool, sustainable: Interval | None
) -> tuple[str, ...]:
    warnings = []
    if overloaded and sustainable is not None and isinstance(scenario.arrivals, Open):
        warnings.append(
            f"overloaded: {scenario.arrivals.rate:.4g} tasks/s arrive, at most "
            f"{sustainable.mean:.4g} can be served; no steady state, no response times"
        )
    if (scenario.layout.cores or 0) > scenario.machine.cores:
        warnings.append(
            f"cores={scenario.layout.cores} is beyond the {scenario.machine.cores} measured; "
            "speeds with more active cores are extrapolated"
        )
    if not 1e-4 <= scenario.layout.effective_switch_interval <= 0.05:
        warnings.append("switch_interval is outside the calibrated range of 0.1 ms to 50 ms")
    return tuple(warnings)
