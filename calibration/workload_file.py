"""Workloads and their arrivals in TOML files, read and written.

A quantity carries its unit ("250us", "2KiB"); a duration is such a time or a table that names
a distribution. Every error is an `InvalidFile`: the path, the line of the key, its dotted name,
the rule, the value and what to try.
"""

import csv
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gilplan.calibration.toml_positions import Place, key_lines, line_of
from gilplan.calibration.workload_schema import RecordedTable, WorkloadTable, did_you_mean
from gilplan.model.arrivals import Arrivals, Closed, Recorded
from gilplan.model.errors import InvalidFile, InvalidValue
from gilplan.model.workload import Workload

_ARRIVALS = "'closed', 'open', 'batch', 'recorded'"
_RULES = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
}


def read_workload(path: Path) -> tuple[Workload, Arrivals]:
    """Return the workload and the arrivals that the file at ``path`` describes.

    Raises `InvalidFile`, also where the file cannot be read.
    """
    return parse_workload(_read(path, "the workload file"), path)


def parse_workload(text: str, path: Path = Path("workload.toml")) -> tuple[Workload, Arrivals]:
    """Return the workload and arrivals in ``text``; ``path`` is for messages and traces."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, text, str(error)) from None
    except RecursionError:
        raise InvalidFile(
            str(path), 1, "the file", "nested less deeply", "too many brackets"
        ) from None
    try:
        table = WorkloadTable.model_validate(document)
    except ValidationError as error:
        raise _first_error(error, document, text, path) from None
    return table.to_domain(), _arrivals(table, text, path)


def _arrivals(table: WorkloadTable, text: str, path: Path) -> Arrivals:
    if table.arrivals is None:
        return Closed()
    if isinstance(table.arrivals, RecordedTable) and table.arrivals.file is not None:
        trace = path.parent / table.arrivals.file
        if not trace.is_file():
            line = line_of(("arrivals", "file"), key_lines(text))
            raise InvalidFile(
                str(path), line, "arrivals.file", "the name of a CSV file", table.arrivals.file
            )
        return read_trace(trace)
    return table.arrivals.to_domain() or Closed()


def read_trace(path: Path) -> Recorded:
    """Return the instants in the column ``arrived_at`` (seconds) of a CSV file."""
    rows = csv.DictReader(_read(path, "the trace").splitlines())
    if "arrived_at" not in (rows.fieldnames or ()):
        raise InvalidFile(
            str(path), 1, "the header", "one with a column arrived_at", rows.fieldnames
        )
    instants: list[float] = []
    for row in rows:
        try:
            instant = float(row["arrived_at"])
        except (TypeError, ValueError):
            instant = math.nan
        if not math.isfinite(instant) or instant < max(instants[-1:], default=0.0):
            rule = "a number of seconds, not before the row above"
            raise InvalidFile(str(path), rows.line_num, "arrived_at", rule, row["arrived_at"])
        instants.append(instant)
    if not instants:
        raise InvalidFile(str(path), 1, "arrived_at", "at least one instant", [])
    return Recorded(arrived_at=tuple(instants))


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidFile(str(path), 1, what, "a file that can be read", reason) from None


def _syntax_error(path: Path, text: str, message: str) -> InvalidFile:
    """Turn "Expected '=' (at line 3, column 5)" into an error with the line in its place."""
    match = re.search(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)", message)
    line = int(match[1]) if match and match[1] else max(1, text.rstrip().count("\n") + 1)
    reason = message if match is None else message[: match.start()]
    return InvalidFile(
        str(path), line, "the file", "valid TOML", reason, "quantities are texts in quotes"
    )


def _first_error(
    error: ValidationError, document: dict[str, Any], text: str, path: Path
) -> InvalidFile:
    """Turn the error that stands first in the file into ours."""
    lines = key_lines(text)
    found = [_described(details, document) for details in error.errors(include_url=False)]
    place, rule, value, hint = min(found, key=lambda described: line_of(described[0], lines))
    return InvalidFile(str(path), line_of(place, lines), _dotted(place), rule, value, hint)


def _described(details: ErrorDetails, document: dict[str, Any]) -> tuple[Place, str, object, str]:
    """Return the place, the rule, the value and the hint of one of pydantic's errors."""
    place, value = _located(details["loc"], document, absent=details["type"] == "missing")
    context = details.get("ctx", {})
    broken = context.get("error")
    if isinstance(broken, InvalidValue):
        if isinstance(value, dict):  # a rule of the table: the error names the key
            place = (*place, broken.field)
        return place, broken.rule, _shown(broken.value), broken.hint
    match details["type"]:
        case "missing":
            return place, "given", None, ""
        case "union_tag_invalid" | "union_tag_not_found":
            key = (
                str(context["discriminator"]).strip("'").replace("_distribution()", "distribution")
            )
            return _choice((*place, key), context.get("expected_tags", _ARRIVALS), value)
        case "enum" | "literal_error":
            return _choice(place, context["expected"], value)
        case kind:
            rule = _RULES.get(kind, details["msg"].removeprefix("Input should be "))
            return place, rule, _shown(value), ""


def _located(
    location: tuple[str | int, ...], document: dict[str, Any], *, absent: bool
) -> tuple[Place, object]:
    """Return the place in the document that pydantic's location means, and what stands there.

    Pydantic's location also holds the tags of unions, which are no keys and lead nowhere;
    ``absent`` says that its last step is a key which should be there.
    """
    place: Place = ()
    value: Any = document
    for step in location:
        leads_on = isinstance(value, list) or (isinstance(value, dict) and step in value)
        if leads_on:
            value = value[step]
        elif absent and step == location[-1]:
            value = None
        else:
            continue
        place = (*place, step)
    return place, value


def _choice(place: Place, expected: object, value: object) -> tuple[Place, str, object, str]:
    names = [name for name in re.findall(r"'([^']*)'", str(expected)) if name != "time"]
    if isinstance(value, dict):
        value = value.get(str(place[-1]))
    hint = did_you_mean(value, names) if isinstance(value, str) else ""
    return place, f"one of {', '.join(names)}", value, hint if "did you mean" in hint else ""


def _shown(value: object) -> object:
    """Return the value, or its kind in a word where it would fill the line."""
    if isinstance(value, (dict, list)) and value:
        return "a table" if isinstance(value, dict) else "a list"
    return value


def _dotted(place: Place) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".") or "the file"
