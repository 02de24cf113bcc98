"""What the machine and the program are, and one run of them. No I/O, no clock, no subprocess."""

from gilplan.model.arrivals import Arrivals, Batch, Closed, ColdCalls, Connection, Open, Recorded
from gilplan.model.collector_costs import CollectorCosts
from gilplan.model.contention import Contention, SharedOperation
from gilplan.model.durations import Deterministic, Duration, Empirical, Exponential, Lognormal
from gilplan.model.errors import (
    GilplanError,
    InvalidFile,
    InvalidValue,
    MeasurementFailed,
    MissingBuild,
    ProfileError,
    UnsupportedLayout,
)
from gilplan.model.estimate import Estimate
from gilplan.model.layout import GilMode, Layout, check_supported, resolve_gil
from gilplan.model.machine import Machine, WakeLatency
from gilplan.model.prediction import Prediction
from gilplan.model.quota import Quota
from gilplan.model.recorder import Recorder, State, Timeline
from gilplan.model.replication import Replication
from gilplan.model.runtime import Runtime, StartUp
from gilplan.model.scenario import Scenario
from gilplan.model.simulation import simulate
from gilplan.model.statistics import Interval
from gilplan.model.workload import Collections, Segment, SegmentKind, Task, Work, Workload

__all__ = [
    "Arrivals",
    "Batch",
    "Closed",
    "ColdCalls",
    "Collections",
    "CollectorCosts",
    "Connection",
    "Contention",
    "Deterministic",
    "Duration",
    "Empirical",
    "Estimate",
    "Exponential",
    "GilMode",
    "GilplanError",
    "Interval",
    "InvalidFile",
    "InvalidValue",
    "Layout",
    "Lognormal",
    "Machine",
    "MeasurementFailed",
    "MissingBuild",
    "Open",
    "Prediction",
    "ProfileError",
    "Quota",
    "Recorded",
    "Recorder",
    "Replication",
    "Runtime",
    "Scenario",
    "Segment",
    "SegmentKind",
    "SharedOperation",
    "StartUp",
    "State",
    "Task",
    "Timeline",
    "UnsupportedLayout",
    "WakeLatency",
    "Work",
    "Workload",
    "check_supported",
    "resolve_gil",
    "simulate",
]
