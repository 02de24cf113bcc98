"""The frame of a sweep: tidy, one row a point, in the order of the grid.

Seconds, bytes, per second; utilisations and shares in [0, 1]. What a row does not have is missing
(NaN, None): the rate of a closed loop, the response times of an overloaded stream.

====================================  =========================================================
column                                what it holds
====================================  =========================================================
``series``                            the layout as it was given, its build in full: the points
                                      of one ``series`` differ only by the grid's axes
``layout``                            the point's own layout in full, as `Layout` writes it
``build``, ``processes``, ...         every field of `Layout`, by its name; ``switch_interval`` is
                                      the one in force (whole microseconds), ``cores`` the number
                                      that the workers may use
``mode``, ``workers``                 kind of layout in a word; processes x interpreters x threads
``arrivals``                          ``closed``, ``open``, ``batch``, ``recorded``
``rate``, ``population``, ``jobs``    of the stream, the closed loop, the batch
``duration:NAME`` and other axes      one column per axis that is none of the above, its value
``throughput``                        tasks per second
``response_time_mean``, ``..._p50``,  from arrival to completion
``..._p95``, ``..._p99``
``gil_utilisation``,                  mean over the GILs, over the cores
``core_utilisation``
``running_time``,                     where a task's time goes, mean per task: one column for
``waiting_gil_time``,                 each `State` of a worker
``waiting_core_time``,
``blocked_time``, ...
``memory``, ``makespan``,             of the layout; of a batch; of an open stream, the rate that
``sustainable_rate``                  the layout could sustain
``X_lower``, ``X_upper``              the 90 % interval of each measure X from ``throughput`` on
``overloaded``                        more arrives than can be served: no steady state
``replications``, ``seed``            of the simulation
``warnings``                          what the reader must know, joined by ``"; "``
``key``                               what the store knows the point by
====================================  =========================================================

``frame.attrs`` (kept in Parquet): ``axes`` (the names of the grid's axes, each a column),
``workload``, ``profile``, ``seed``, ``version``, ``interval_level``.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from gilplan.model.arrivals import Batch, Closed, Open
from gilplan.model.layout import Layout
from gilplan.model.scenario import Scenario
from gilplan.planner.sweeps.grid import Point
from gilplan.planner.sweeps.outcome import MEASURES, Outcome

if TYPE_CHECKING:
    import pandas as pd

#: What stands behind a measure's name: nothing, and the ends of its interval.
ENDS = ("", "_lower", "_upper")


def frame_of(
    rows: Sequence[tuple[Point, str, Outcome]], axes: Sequence[str], attributes: dict[str, Any]
) -> "pd.DataFrame":
    """Return the frame of points, their keys and outcomes, in the given order."""
    import pandas as pd

    measures = [f"{name}{end}" for name in MEASURES for end in ENDS]
    columns = [*_columns(axes), *measures, "overloaded", "replications", "seed", "warnings", "key"]
    records = [_row(point, key, outcome, axes) for point, key, outcome in rows]
    frame = pd.DataFrame(records, columns=columns)
    # A column of None alone would be of no type, and of another in the next sweep.
    for name in (*measures, "rate"):
        frame[name] = frame[name].astype("float64")
    for name in ("population", "jobs"):
        frame[name] = frame[name].astype("Int64")
    frame.attrs.update(axes=list(axes), **attributes)
    return frame


def _columns(axes: Sequence[str]) -> list[str]:
    known = [
        "series",
        "layout",
        *(field.name for field in fields(Layout)),
        "mode",
        "workers",
        "arrivals",
        "rate",
        "population",
        "jobs",
    ]
    return [*known, *(axis for axis in axes if axis not in known)]


def _row(point: Point, key: str, outcome: Outcome, axes: Sequence[str]) -> dict[str, Any]:
    scenario = point.scenario
    layout = scenario.layout
    row: dict[str, Any] = dict(point.values)
    row |= {field.name: _cell(getattr(layout, field.name)) for field in fields(Layout)}
    row |= {
        "series": point.series,
        "layout": str(layout),
        "switch_interval": layout.effective_switch_interval,
        "cores": scenario.cores,
        "mode": layout.mode,
        "workers": layout.workers,
        **_arrivals(scenario),
        "overloaded": outcome.overloaded,
        "replications": outcome.replications,
        "seed": scenario.seed,
        "warnings": "; ".join(outcome.warnings),
        "key": key,
    }
    for name, interval in outcome.intervals.items():
        ends = (interval.mean, interval.lower, interval.upper)
        row |= {f"{name}{end}": value for end, value in zip(ENDS, ends, strict=True)}
    return row


def _cell(value: object) -> object:
    """Return a number or a text, None for what is left to gilplan."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)


def _arrivals(scenario: Scenario) -> dict[str, object]:
    arrivals = scenario.arrivals
    row: dict[str, object] = {"arrivals": type(arrivals).__name__.lower()}
    if isinstance(arrivals, Open):
        row["rate"] = arrivals.rate
    elif isinstance(arrivals, Closed):
        row["population"] = arrivals.population or scenario.layout.workers
    elif isinstance(arrivals, Batch):
        row["jobs"] = arrivals.jobs
    return row
