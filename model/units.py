"""Quantities as people write them ("250us", "4GiB", "30%"), read into base units."""

import math
import re
from decimal import Decimal

from gilplan.model.errors import InvalidValue

#: Seconds per unit of time. Decimal, so that "35us" is 35e-6 to the last bit. Both code points
#: of the micro sign are in use.
TIME_UNITS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),  # U+00B5, what keyboards type
    "μs": Decimal("1e-6"),  # U+03BC, what Unicode normalisation makes of it
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
}

#: Bytes per unit of size: IEC binary and SI decimal multiples.
SIZE_UNITS = {
    "B": Decimal(1),
    "KiB": Decimal(2**10),
    "MiB": Decimal(2**20),
    "GiB": Decimal(2**30),
    "TiB": Decimal(2**40),
    "kB": Decimal("1e3"),
    "MB": Decimal("1e6"),
    "GB": Decimal("1e9"),
    "TB": Decimal("1e12"),
}

#: Events per second, for a number of them per unit of time.
RATE_UNITS = {"/s": Decimal(1), "/min": 1 / Decimal(60), "/h": 1 / Decimal(3600)}

TIME_RULE = 'a time such as "250us" or "4ms"'
SIZE_RULE = 'a size such as "64KiB" or "4GiB"'
SHARE_RULE = 'a share such as 0.3 or "30%"'
RATE_RULE = 'a rate such as 200 (per second) or "200/s"'

_QUANTITY = re.compile(
    r"\s*(?P<number>[-+]?(?:\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+|inf(?:inity)?|nan))"
    r"\s*(?P<unit>\S*)\s*"
)


def parse_time(text: object, field: str = "time") -> float:
    """Return the seconds that ``text`` says: ``parse_time("250us") == 0.00025``."""
    return _parse(text, field, TIME_UNITS, TIME_RULE)


def parse_size(text: object, field: str = "size") -> float:
    """Return the bytes that ``text`` says: ``parse_size("4KiB") == 4096``."""
    return _parse(text, field, SIZE_UNITS, SIZE_RULE)


def parse_share(text: object, field: str = "share") -> float:
    """Return the share in [0, 1] that a number or a percentage says."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        value = float(text)
    else:
        value = _parse(text, field, {"%": Decimal("0.01"), "": Decimal(1)}, SHARE_RULE)
    if not 0 <= value <= 1:
        raise InvalidValue(field, "between 0 and 1 (0% and 100%)", text)
    return value


def parse_rate(text: object, field: str = "rate") -> float:
    """Return the events per second that a number or a text such as ``"600/min"`` says."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return _checked(float(text), field, text)
    return _parse(text, field, RATE_UNITS, RATE_RULE)


def time_text(seconds: float) -> str:
    """Return a text that `parse_time` reads back to the same float: ``"250us"``."""
    unit = next((u for u in ("s", "ms", "us") if seconds >= float(TIME_UNITS[u])), "ns")
    return _text(seconds, TIME_UNITS, unit if seconds else "s")


def size_text(size: float) -> str:
    """Return a text that `parse_size` reads back to the same number of bytes: ``"2KiB"``."""
    whole = (u for u in ("GiB", "MiB", "KiB") if size and size % float(SIZE_UNITS[u]) == 0)
    return _text(size, SIZE_UNITS, next(whole, "B"))


def _text(value: float, units: dict[str, Decimal], unit: str) -> str:
    number = (Decimal(repr(float(value))) / units[unit]).normalize()
    plain = f"{number:f}"
    return f"{plain if len(plain) <= 24 else number}{unit}"


def _parse(text: object, field: str, units: dict[str, Decimal], rule: str) -> float:
    choices = ", ".join(unit for unit in units if unit.isascii() and unit)
    if not isinstance(text, str):
        raise InvalidValue(field, rule, text, f"give a unit: {choices}")
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InvalidValue(field, rule, text)
    unit = match["unit"]
    if unit not in units:
        hint = f"{unit!r} is not one of the units {choices}" if unit else f"give a unit: {choices}"
        raise InvalidValue(field, rule, text, hint)
    try:
        value = float(Decimal(match["number"]) * units[unit])
    except ArithmeticError:  # an exponent beyond what Decimal holds
        value = math.inf
    return _checked(value, field, text)


def _checked(value: float, field: str, text: object) -> float:
    if not math.isfinite(value) or value < 0:
        raise InvalidValue(field, "finite and >= 0", text)
    return value
