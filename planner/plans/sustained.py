"""The highest rate that a layout sustains within the limits on its response times."""

from gilplan.model.layout import Layout
from gilplan.model.statistics import Interval, mean_interval
from gilplan.planner.forecast import Measures
from gilplan.planner.plans.findings import RatePoint
from gilplan.planner.plans.ranking import loaded_trial
from gilplan.planner.plans.target import MEASURES, Target
from gilplan.planner.plans.trials import Trial, Trials

REPLICATIONS = 4
#: Halvings of the range from nothing to the capacity: to 1 % of it.
HALVINGS = 7
CAPACITY_TASKS = 1500
#: Rates of the curve, relative to the capacity: dense where it bends.
CURVE = (0.1, 0.3, 0.5, 0.65, 0.8, 0.88, 0.94)
CURVE_REPLICATIONS = 3


def capacity_runs(layout: Layout, trials: Trials) -> list[Measures]:
    """Return the measures of the saturated layout, `REPLICATIONS` runs."""
    return trials.measure(
        [
            Trial(layout=layout, replication=r, tasks=CAPACITY_TASKS, least_time=0.5)
            for r in range(REPLICATIONS)
        ]
    )


def sustainable_rate(
    layout: Layout, target: Target, trials: Trials, capacities: list[float], level: float
) -> Interval:
    """Return the highest rate at which the SLOs hold, or the capacity where there are none.

    Each replication is searched on its own by halving between nothing and its capacity, so that
    the interval holds the scatter of the runs. ``capacities``: one per replication. Assumes that
    response times rise with the rate.
    """
    if not target.slos:
        return mean_interval(capacities, level)
    low, high = [0.0] * len(capacities), list(capacities)
    for _ in range(HALVINGS):
        rates = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        runs = trials.measure(
            [loaded_trial(layout, rate, r, target) for r, rate in enumerate(rates)]
        )
        for r, (rate, run) in enumerate(zip(rates, runs, strict=True)):
            if all(run[f"response_time.{slo.measure}"] <= slo.limit for slo in target.slos):
                low[r] = rate
            else:
                high[r] = rate
    # Where no rate was found to hold, none is claimed: the middle of the last bracket otherwise.
    found = [(a + b) / 2 if a > 0 else 0.0 for a, b in zip(low, high, strict=True)]
    return mean_interval(found, level)


def rate_curve(
    layout: Layout, target: Target, trials: Trials, capacity: float, level: float
) -> tuple[RatePoint, ...]:
    """Return response times at rates up to the capacity, the target's peak rate among them."""
    rates = {share * capacity for share in CURVE}
    if target.peak_rate is not None and target.peak_rate < capacity:
        rates.add(target.peak_rate)
    ordered = sorted(rates)
    runs = trials.measure(
        [
            loaded_trial(layout, rate, r, target)
            for rate in ordered
            for r in range(CURVE_REPLICATIONS)
        ]
    )
    points = []
    for index, rate in enumerate(ordered):
        mine = runs[index * CURVE_REPLICATIONS : (index + 1) * CURVE_REPLICATIONS]
        times = {
            name: mean_interval([run[f"response_time.{name}"] for run in mine], level)
            for name in MEASURES
        }
        points.append(RatePoint(rate=rate, response_time=times))
    return tuple(points)
