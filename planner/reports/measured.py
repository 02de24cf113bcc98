"""What `gilplan validate` measured on this machine, read back from its JSON file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gilplan.model.errors import GilplanError

NUMBERS = ("predicted", "measured", "error")
ENDS = ("predicted_lower", "predicted_upper")
TEXTS = ("program", "layout", "mode")
AGAIN = "write it with `gilplan validate --format json -o FILE`"


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Predictions beside measurements: ``frame`` has a row per cell, as `Validation.frame`.

    ``summaries`` are the errors by method; ``profile`` is the profile that was used, "" if
    unknown.
    """

    frame: pd.DataFrame
    summaries: tuple[dict[str, Any], ...]
    skipped: int
    profile: str


def read_measured(path: Path) -> Measured:
    """Read the JSON that `gilplan validate` wrote. Raises `GilplanError` where it is not that."""
    document = _document(path)
    rows = document.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise GilplanError(f"{path}: rows must be a list of cells, got {rows!r:.60}; {AGAIN}")
    if not rows:
        raise GilplanError(f"{path}: rows must hold at least one cell, got none; {AGAIN}")
    for index, row in enumerate(rows):
        _check(row, f"{path}: rows[{index}]")
    frame = pd.DataFrame(rows)
    for end in ENDS:
        frame[end] = pd.to_numeric(frame[end]) if end in frame else float("nan")
    summaries = document.get("summaries", [])
    return Measured(
        frame=frame,
        summaries=tuple(each for each in summaries if isinstance(each, dict)),
        skipped=len(document.get("skipped", [])),
        profile=str(document.get("profile", "")),
    )


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GilplanError(f"{path}: validation cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise GilplanError(f"{path}: validation must be JSON; {AGAIN}") from None
    if not isinstance(document, dict):
        raise GilplanError(f"{path}: validation must be a JSON object; {AGAIN}")
    return document


def _check(row: dict[str, Any], place: str) -> None:
    for field in NUMBERS:
        value = row.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise GilplanError(f"{place}.{field} must be a number, got {value!r:.60}; {AGAIN}")
    if not (row["measured"] > 0 and row["predicted"] > 0):
        raise GilplanError(f"{place}: predicted and measured must be above 0; {AGAIN}")
    for field in TEXTS:
        if not isinstance(row.get(field), str):
            raise GilplanError(
                f"{place}.{field} must be a text, got {row.get(field)!r:.60}; {AGAIN}"
            )
