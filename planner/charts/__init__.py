"""Charts of what gilplan predicts, measures and recommends: one function each, Altair charts.

    from gilplan.planner.charts import plot_throughput

    plot_throughput(predictions).save("throughput.html", inline=True)

Every chart has units on its axes, 90 % intervals where there are any, and colours that people
who see few colours tell apart. Importing this package imports Altair and pandas.
"""

from gilplan.planner.charts.calibrations import plot_estimates, plot_speeds, plot_wake_latency
from gilplan.planner.charts.plans import (
    plot_candidates,
    plot_gains,
    plot_pareto,
    plot_rate_latency,
    plot_sensitivity,
)
from gilplan.planner.charts.predictions import (
    plot_breakdown,
    plot_response_time,
    plot_throughput,
    plot_utilisation,
)
from gilplan.planner.charts.schedules import plot_schedule
from gilplan.planner.charts.sweeps import plot_at_interval, plot_sweep, plot_switch_interval
from gilplan.planner.charts.validations import plot_errors, plot_validation

__all__ = [
    "plot_at_interval",
    "plot_breakdown",
    "plot_candidates",
    "plot_errors",
    "plot_estimates",
    "plot_gains",
    "plot_pareto",
    "plot_rate_latency",
    "plot_response_time",
    "plot_schedule",
    "plot_sensitivity",
    "plot_speeds",
    "plot_sweep",
    "plot_switch_interval",
    "plot_throughput",
    "plot_utilisation",
    "plot_validation",
    "plot_wake_latency",
]
