"""Tables for people: predictions side by side, and what was found on this machine."""

from collections.abc import Sequence
from math import hypot

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gilplan.calibration.behaviour_probes import Shown
from gilplan.calibration.builds import Build
from gilplan.calibration.validation_result import Validation
from gilplan.model.layout import GilMode
from gilplan.model.prediction import Prediction
from gilplan.model.statistics import Interval
from gilplan.planner.formatting import (
    format_interval,
    format_number,
    format_share_interval,
    format_size_interval,
    format_time,
    format_time_interval,
)

NOTHING = "-"


def prediction_table(
    predictions: Sequence[Prediction], baseline: Prediction, *, title: str = ""
) -> Table:
    """Return a row per prediction; ``speedup`` is the throughput over that of ``baseline``."""
    table = _table(title)
    table.add_column("layout", no_wrap=True)
    headings = ("tasks/s", "speedup", "p50", "p95", "p99", "GIL", "cores", "memory")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for prediction in predictions:
        percentiles = [_time(prediction.response_time.get(name)) for name in ("p50", "p95", "p99")]
        memory = prediction.memory
        without_gil = prediction.layout.gil is GilMode.DISABLED
        table.add_row(
            Text(str(prediction.layout)),
            format_interval(prediction.throughput),
            format_interval(ratio(prediction, baseline)),
            *percentiles,
            NOTHING if without_gil else format_share_interval(prediction.gil_utilisation),
            format_share_interval(prediction.core_utilisation),
            NOTHING if memory is None else format_size_interval(memory),
        )
    return table


def breakdown_table(predictions: Sequence[Prediction]) -> Table:
    """Return where the time of one task goes in each layout."""
    table = _table("where the time of a task goes")
    table.add_column("layout", no_wrap=True)
    columns = {
        "running": "running",
        "waiting_gil": "waiting for a GIL",
        "waiting_core": "waiting for a core",
        "blocked": "blocked",
    }
    if any(_time(prediction.breakdown.get("queued")) != NOTHING for prediction in predictions):
        columns["queued"] = "queued"
    for heading in columns.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for prediction in predictions:
        cells = [_time(prediction.breakdown.get(name)) for name in columns]
        table.add_row(Text(str(prediction.layout)), *cells)
    return table


def ratio(prediction: Prediction, baseline: Prediction) -> Interval:
    """Return the throughput over the baseline's, their intervals taken as independent.

    Layouts share their random streams, so this is on the wide side.
    """
    if prediction is baseline:
        return Interval(mean=1.0, lower=1.0, upper=1.0)
    mean = prediction.throughput.mean / baseline.throughput.mean
    half = mean * hypot(prediction.throughput.precision, baseline.throughput.precision)
    return Interval(mean=mean, lower=mean - half, upper=mean + half)


def notes_on(predictions: Sequence[Prediction]) -> list[str]:
    """Return the predictions' warnings, one line each; what all of them share is said once."""
    shared = set.intersection(*(set(prediction.warnings) for prediction in predictions))
    lines = [warning for warning in predictions[0].warnings if warning in shared]
    for prediction in predictions:
        own = [warning for warning in prediction.warnings if warning not in shared]
        lines += [f"{prediction.layout}: {warning}" for warning in own]
        if prediction.makespan is not None:
            makespan = format_time_interval(prediction.makespan)
            lines.append(f"{prediction.layout}: the whole batch takes {makespan}")
    return lines


def validation_table(validation: Validation) -> Table:
    """Return a row per cell: predicted, measured, error, and how repeatable measuring was."""
    table = _table("predicted beside measured, tasks/s")
    table.add_column("program", no_wrap=True)
    table.add_column("layout", no_wrap=True)
    for heading in ("predicted", "measured", "error", "repeatability"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in validation.rows:
        predicted = Interval(
            mean=row.predicted, lower=row.predicted_lower, upper=row.predicted_upper
        )
        table.add_row(
            Text(row.program),
            Text(row.layout),
            format_interval(predicted),
            format_number(row.measured),
            f"{row.error:+.1%}",
            NOTHING if row.repeatability is None else f"±{row.repeatability:.1%}",
        )
    return table


def error_table(validation: Validation) -> Table:
    """Return a row per method: the prediction and the rules of thumb, by their errors."""
    table = _table("absolute error of throughput")
    table.add_column("method")
    headings = ("median", "90th percentile", "worst")
    for heading in ("cells", *headings, *(f"{heading} net of noise" for heading in headings)):
        table.add_column(heading, justify="right")
    for summary in validation.summaries():
        method = summary.method.removeprefix("error").strip("_").replace("_", " ") or "gilplan"
        errors = (
            summary.median,
            summary.percentile_90,
            summary.worst,
            summary.median_net,
            summary.percentile_90_net,
            summary.worst_net,
        )
        table.add_row(method, str(summary.cells), *(f"{error:.1%}" for error in errors))
    return table


def response_error_table(validation: Validation) -> Table:
    """Return a row per percentile of the response times: how far predictions are off."""
    table = _table("absolute error of response times")
    table.add_column("percentile")
    for heading in ("cells", "median", "90th percentile", "worst", "repeatability"):
        table.add_column(heading, justify="right")
    for summary in validation.response_summaries():
        errors = (summary.median, summary.percentile_90, summary.worst)
        noise = NOTHING if summary.repeatability is None else f"±{summary.repeatability:.1%}"
        shown = (f"{error:.1%}" for error in errors)
        table.add_row(summary.percentile, str(summary.cells), *shown, noise)
    return table


def build_table(builds: Sequence[Build]) -> Table:
    """Return a row per CPython build."""
    table = _table()
    headings = ("build", "GIL", "own-GIL interpreters", "interval", "built with", "can answer")
    for heading in (*headings, "path"):
        table.add_column(heading)
    for build in builds:
        table.add_row(
            build.name,
            "none" if build.free_threaded else "yes",
            build.own_gil_module or NOTHING,
            format_time(build.switch_interval),
            Text(" ".join((*build.optimisations, build.compiler))),
            ", ".join(build.answers),
            Text(build.path),
        )
    return table


def behaviour_table(shown: Sequence[Shown]) -> Table:
    """Return a row per behaviour and a column per build; a star marks what disagrees."""
    table = _table("behaviours by version, as seen here (* not what the version says)")
    table.add_column("behaviour")
    builds = list(dict.fromkeys(each.build for each in shown))
    for build in builds:
        table.add_column(build)
    for behaviour in dict.fromkeys(each.behaviour for each in shown):
        seen = {
            each.build: each.seen if each.agrees else f"{each.seen} *"
            for each in shown
            if each.behaviour == behaviour
        }
        table.add_row(behaviour, *(seen.get(build, NOTHING) for build in builds))
    return table


def _time(interval: Interval | None) -> str:
    """Return a time; nothing for what is unknown or never happens."""
    return NOTHING if interval is None or interval.upper <= 0 else format_time_interval(interval)


def _table(title: str = "") -> Table:
    return Table(title=Text(title) if title else None, title_justify="left", box=SIMPLE_HEAD)
