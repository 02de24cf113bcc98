"""Numbers as people read them: three significant digits, units, and the interval."""

from math import floor, log10

from gilplan.model.statistics import Interval

DIGITS = 3

TIME_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
SIZE_UNITS = (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0))


def format_time(seconds: float) -> str:
    """Return a time in the unit that suits it: ``5.0 ms``."""
    unit, scale = _suited(seconds, TIME_UNITS)
    return f"{format_number(seconds / scale)} {unit}"


def format_size(size: float) -> str:
    """Return bytes in the binary unit that suits them: ``12.5 MiB``."""
    unit, scale = _suited(size, SIZE_UNITS)
    return f"{format_number(size / scale)} {unit}"


def format_number(number: float) -> str:
    """Return three significant digits, at least one decimal below a hundred: ``5.0``, ``1,234``."""
    decimals = _decimals(number)
    text = f"{number:,.{decimals}f}"
    return text[:-1] if decimals >= 2 and text.endswith("0") else text


def format_interval(interval: Interval) -> str:
    """Return the mean and how far it may be off: ``41.2 ± 0.6``, ``41.2 -0.6/+3.1``."""
    return _with_interval(interval, 1.0)


def format_time_interval(interval: Interval) -> str:
    """Return a time with its interval, in one unit: ``5.02 ± 0.03 ms``."""
    unit, scale = _suited(interval.mean, TIME_UNITS)
    return f"{_with_interval(interval, scale)} {unit}"


def format_size_interval(interval: Interval) -> str:
    """Return a size with its interval, in one unit: ``24.1 ± 0.3 MiB``."""
    unit, scale = _suited(interval.mean, SIZE_UNITS)
    return f"{_with_interval(interval, scale)} {unit}"


def format_share_interval(interval: Interval) -> str:
    """Return a share in per cent with its interval: ``87 ± 2 %``."""
    decimals = 0 if interval.mean >= 0.1 else 1
    return f"{_with_interval(interval, 0.01, decimals)} %"


def _with_interval(interval: Interval, scale: float, decimals: int | None = None) -> str:
    mean = interval.mean / scale
    if decimals is None:
        decimals = _decimals(mean)
    below = _spread((interval.mean - interval.lower) / scale, decimals)
    above = _spread((interval.upper - interval.mean) / scale, decimals)
    text = f"{mean:,.{decimals}f}"
    return f"{text} ± {above}" if below == above else f"{text} -{below}/+{above}"


def _spread(width: float, decimals: int) -> str:
    """Return a width at the mean's precision; what would vanish is rounded up to its last digit."""
    return f"{max(width, 10.0**-decimals) if width > 0 else 0.0:,.{decimals}f}"


def _decimals(number: float) -> int:
    if number == 0 or abs(number) == float("inf"):
        return 1
    rounded = float(f"{abs(number):.{DIGITS}g}")
    return max(0, DIGITS - 1 - floor(log10(rounded)))


def _suited(number: float, units: tuple[tuple[str, float], ...]) -> tuple[str, float]:
    """Return the largest unit of which there is at least one, the base unit for nothing."""
    if number == 0:
        return next(unit for unit in units if unit[1] == 1.0)
    return next((unit for unit in units if abs(number) >= 0.9995 * unit[1]), units[-1])
