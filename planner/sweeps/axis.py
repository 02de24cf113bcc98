"""One axis of a grid: a field of a scenario and the values that it takes.

    switch_interval=0.1ms:50ms:log:12     from, to, spacing, how many
    threads=1,2,4,8                       or a list

Values are in base units once read. Those of a range are rounded to three significant digits (more
where they would fall together), its ends kept; whole numbers are rounded and told once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from gilplan.model.errors import InvalidValue
from gilplan.model.units import parse_rate, parse_share, parse_time
from gilplan.planner.layout_option import READERS

Value = str | int | float
#: What a caller may give for an axis: a text as above, or the values in base units.
Given = str | Sequence[Value]

RULE = 'a list such as "1,2,4" or a range such as "0.1ms:50ms:log:12"'
SPACINGS = ("log", "lin")


def _rate(text: str, field: str) -> float:
    try:
        value: object = float(text)
    except ValueError:
        value = text
    return parse_rate(value, field)


def _count(text: str, field: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidValue(field, "a whole number", text) from None


def _weight(text: str, field: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidValue(field, "a number", text) from None


def _build(text: str, field: str) -> str:
    return text


#: Fields of the arrivals: an open stream's rate, a closed loop's clients, a batch's jobs.
ARRIVALS: dict[str, Callable[[str, str], Value]] = {
    "rate": _rate,
    "population": _count,
    "think_time": parse_time,
    "jobs": _count,
}
#: Fields of the workload, each of a segment or a task that is named after the colon.
WORKLOAD: dict[str, Callable[[str, str], Value]] = {
    "duration": parse_time,
    "share": parse_share,
    "released": parse_share,
    "weight": _weight,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A field's name as it is written, and its values in order, each once."""

    name: str
    values: tuple[Value, ...]


def check_name(name: str) -> None:
    """Raise `InvalidValue` unless ``name`` is a field that a grid can take."""
    field, colon, of = name.partition(":")
    if colon and field in WORKLOAD and of:
        return
    if not colon and name in _plain():
        return
    known = [*_plain(), *(f"{prefix}:NAME" for prefix in WORKLOAD)]
    if field in WORKLOAD:
        hint = f"which one? {field}:NAME"
    else:
        near = get_close_matches(field, [*_plain(), *WORKLOAD], n=1)
        hint = f"did you mean {near[0]!r}?" if near else ""
    raise InvalidValue("grid", f"over one of {', '.join(known)}", name, hint)


def length(name: str, given: Given) -> int:
    """Return how many values ``given`` has at most, without making them."""
    if not isinstance(given, str):
        return len(given)
    return _range(name, given)[3] if ":" in given else given.count(",") + 1


def read_axis(name: str, given: Given) -> Axis:
    """Return the axis of a field and its values. Raises `InvalidValue`."""
    check_name(name)
    if not isinstance(given, str):
        values = tuple(given)
    elif ":" in given:
        values = _spread(name, given)
    else:
        values = tuple(_read(name, part.strip()) for part in given.split(","))
    if not values:
        raise InvalidValue(f"grid {name}", RULE, given)
    if len(set(values)) < len(values):
        raise InvalidValue(f"grid {name}", "over values that are each given once", given)
    return Axis(name=name, values=values)


def _plain() -> dict[str, Callable[[str, str], object]]:
    return {"build": _build, **READERS, **ARRIVALS}


def _read(name: str, text: str) -> Value:
    field = f"grid {name}"
    if not text:
        raise InvalidValue(field, RULE, text)
    prefix = name.partition(":")[0]
    reader = WORKLOAD[prefix] if ":" in name else _plain()[name]
    return reader(text, field)  # type: ignore[return-value]  # a layout's keys are read so too


def _range(name: str, text: str) -> tuple[str, str, str, int]:
    """Split ``from:to:spacing:how many``."""
    parts = [part.strip() for part in text.split(":")]
    field = f"grid {name}"
    if len(parts) != 4 or parts[2] not in SPACINGS:
        raise InvalidValue(field, RULE, text, "the spacing is log or lin")
    try:
        count = int(parts[3])
    except ValueError:
        count = 0
    if count < 2:
        raise InvalidValue(field, "a range of two values or more", parts[3], RULE)
    return parts[0], parts[1], parts[2], count


def _spread(name: str, text: str) -> tuple[Value, ...]:
    first, last, spacing, count = _range(name, text)
    start, stop = _read(name, first), _read(name, last)
    field = f"grid {name}"
    if not _is_number(start) or not _is_number(stop):
        raise InvalidValue(field, "a list, for it is no number", text)
    assert not isinstance(start, str)
    assert not isinstance(stop, str)
    if not start < stop:
        raise InvalidValue(field, "a range from the smaller to the greater", text)
    if spacing == "log" and start <= 0:
        raise InvalidValue(field, "a range from above zero (its spacing is log)", text)
    exact = [_between(start, stop, spacing, i / (count - 1)) for i in range(count)]
    if isinstance(start, int):
        return tuple(sorted({round(value) for value in exact}))
    return (float(start), *_rounded(exact)[1:-1], float(stop))


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _between(start: float, stop: float, spacing: str, share: float) -> float:
    if spacing == "lin":
        return start + (stop - start) * share
    return float(start * (stop / start) ** share)


def _rounded(values: list[float]) -> list[float]:
    """Return the values in as few significant digits, three or more, as keep them apart."""
    for digits in range(3, 17):
        rounded = [float(f"{value:.{digits}g}") for value in values]
        if len(set(rounded)) == len(values):
            return rounded
    return values
