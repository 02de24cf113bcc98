"""Gates in TOML files: written whole or not at all, read with the error's place."""

import math
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from gilplan.calibration.atomic_file import write_text
from gilplan.model.errors import InvalidFile, InvalidValue
from gilplan.planner.gates.gate import CAPACITY, P99, Band, Gate, Guarded

FORMAT_VERSION = 1
HEADER = (
    "# What these layouts can do, and the bands that they must stay in: `gilplan gate` fails a\n"
    "# change that moves them out. Seconds and tasks per second. Widen a band by hand, or write\n"
    "# the file again with `gilplan gate --write`.\n"
)


def write_gate(gate: Gate, path: Path) -> None:
    """Write the gate to ``path``. Raises `GilplanError` where it cannot be written."""
    document: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "workload": gate.workload,
        "profile": gate.profile,
        "gilplan_version": gate.version,
        "seed": gate.seed,
    }
    if gate.rate is not None:
        document["rate"] = gate.rate
    document["layouts"] = [
        {
            "layout": each.layout,
            "build": each.build,
            **{
                name: {"expected": band.expected, "lower": band.lower, "upper": band.upper}
                for name, band in each.bands.items()
            },
        }
        for each in gate.guarded
    ]
    write_text(path, HEADER + tomli_w.dumps(document))


def read_gate(path: Path) -> Gate:
    """Return the gate in the file at ``path``. Raises `InvalidFile`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(path, "the gate", "a file that can be read", error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(path, "the gate", "valid TOML", str(error)) from None
    found = document.get("format_version")
    if found != FORMAT_VERSION:
        raise _wrong(
            path, "format_version", str(FORMAT_VERSION), found, "write it with --write again"
        )
    rate = document.get("rate")
    return Gate(
        workload=_field(document, "workload", str, path),
        profile=_field(document, "profile", str, path),
        version=_field(document, "gilplan_version", str, path),
        seed=_field(document, "seed", int, path),
        rate=None if rate is None else _number(document, "rate", path),
        guarded=tuple(
            _guarded(each, index, path)
            for index, each in enumerate(_field(document, "layouts", list, path))
        ),
    )


def _guarded(table: Any, index: int, path: Path) -> Guarded:
    place = f"layouts[{index}]"
    if not isinstance(table, dict):
        raise _wrong(path, place, "a table", table)
    bands = {name: _band(table, name, place, path) for name in (CAPACITY, P99) if name in table}
    if CAPACITY not in bands:
        raise _wrong(path, f"{place}.{CAPACITY}", "given", None)
    return Guarded(
        layout=_field(table, "layout", str, path, place),
        build=_field(table, "build", str, path, place),
        bands=bands,
    )


def _band(table: dict[str, Any], name: str, place: str, path: Path) -> Band:
    ends = _field(table, name, dict, path, place)
    where = f"{place}.{name}"
    try:
        return Band(
            **{key: _number(ends, key, path, where) for key in ("expected", "lower", "upper")}
        )
    except InvalidFile:
        raise
    except InvalidValue as error:
        raise _wrong(path, f"{where}.{error.field}", error.rule, error.value) from None


def _number(table: dict[str, Any], key: str, path: Path, place: str = "") -> float:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _wrong(path, f"{place}.{key}".lstrip("."), "a finite number", value)
    return float(value)


def _field(table: dict[str, Any], key: str, kind: type, path: Path, place: str = "") -> Any:
    value = table.get(key)
    if not isinstance(value, kind):
        names = {str: "a text", int: "a whole number", list: "a list of tables", dict: "a table"}
        raise _wrong(path, f"{place}.{key}".lstrip("."), names[kind], value)
    return value


def _wrong(path: Path, field: str, rule: str, value: object, hint: str = "") -> InvalidFile:
    """Return the error; its line is that of the key's first mention, the first if there is none."""
    line = 1
    key = field.rpartition(".")[2].partition("[")[0]
    try:
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if text.split("=")[0].strip() == key:
                line = number
                break
    except (OSError, UnicodeDecodeError):
        pass
    return InvalidFile(str(path), line, field, rule, value, hint)
