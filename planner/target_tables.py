"""A validation of the user's own callable as a table and as CSV."""

import csv
import io

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gilplan.calibration.target_validation import PERCENTILES, Compared, TargetValidation
from gilplan.model.statistics import Interval
from gilplan.planner.formatting import (
    format_interval,
    format_number,
    format_time,
    format_time_interval,
)

NOTHING = "-"


def target_table(validation: TargetValidation) -> Table:
    """Return a row per layout: predicted, measured and error of throughput and percentiles."""
    title = f"{validation.target}: predicted beside measured"
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("layout", no_wrap=True)
    for heading in ("predicted/s", "measured/s", "error"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in PERCENTILES:
        for heading in (f"{name} predicted", "measured", "error"):
            table.add_column(heading, justify="right", no_wrap=True)
    for row in validation.rows:
        measured = format_number(row.throughput.measured)
        if row.throughput.repeatability is not None:
            measured += f" ±{row.throughput.repeatability:.0%}"
        cells = [
            format_interval(_interval(row.throughput)),
            measured,
            f"{row.throughput.error:+.1%}",
        ]
        for name in PERCENTILES:
            compared = row.response_time.get(name)
            cells += [NOTHING] * 3 if compared is None else _time_cells(compared)
        table.add_row(Text(row.layout), *cells)
    return table


def target_csv(validation: TargetValidation) -> str:
    """Return a line per layout, in base units."""
    records = validation.flat()
    text = io.StringIO()
    columns = list(dict.fromkeys(key for record in records for key in record)) or ["layout"]
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _time_cells(compared: Compared) -> list[str]:
    return [
        format_time_interval(_interval(compared)),
        format_time(compared.measured),
        f"{compared.error:+.1%}",
    ]


def _interval(compared: Compared) -> Interval:
    return Interval(mean=compared.predicted, lower=compared.lower, upper=compared.upper)
