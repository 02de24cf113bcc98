"""Everything that a report is written from, already computed."""

from dataclasses import dataclass

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Arrivals
from gilplan.model.prediction import Prediction
from gilplan.model.workload import Workload
from gilplan.planner.plans.findings import Plan
from gilplan.planner.reports.measured import Measured
from gilplan.planner.sweeps.sweep import Sweep
from gilplan.planner.timelines.schedule import Schedule


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """A plan and what stands behind it.

    ``predictions`` and ``schedules`` are of the recommended layout, first, and of its best
    rivals, under ``arrivals``. ``saturated`` is the sweep of their switch interval with all
    workers always busy, ``at_rate`` the same at the target's peak rate (None without a rate);
    both are None where no thread ever waits for another's GIL.
    """

    workload: Workload
    arrivals: Arrivals
    profile: Profile
    plan: Plan
    predictions: tuple[Prediction, ...]
    schedules: tuple[Schedule, ...]
    saturated: Sweep | None
    at_rate: Sweep | None
    measured: Measured | None
