"""Rules that fields must keep, each raising `InvalidValue` with field, rule and value."""

import math

from gilplan.model.errors import InvalidValue


def require_finite(field: str, value: float) -> None:
    """Raise unless ``value`` is a finite number >= 0."""
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise InvalidValue(field, "a finite number >= 0", value)


def require_positive(field: str, value: float) -> None:
    """Raise unless ``value`` is a finite number > 0."""
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise InvalidValue(field, "a finite number > 0", value)


def require_count(field: str, value: int, least: int = 1) -> None:
    """Raise unless ``value`` is a whole number >= ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidValue(field, f"a whole number >= {least}", value)


def require_share(field: str, value: float) -> None:
    """Raise unless ``value`` lies in [0, 1]."""
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InvalidValue(field, "between 0 and 1", value)
