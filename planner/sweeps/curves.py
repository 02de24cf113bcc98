"""Curves in a sweep's frame: a measure against one axis, everything else the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gilplan.planner.layout_option import READERS

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
#: A 90 % interval's half-width in standard deviations of a normal.
Z90 = 1.6448536269514722


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """``y`` against ``x``, ascending, ``(n,)``, with half-widths of 90 % intervals.

    ``layout`` tells curves of one program apart: the series and the values of its axes over a
    layout; ``program`` are the values of the other axes: rate, durations, shares.
    """

    layout: str
    program: tuple[tuple[str, Any], ...]
    x: Floats
    y: Floats
    half_widths: Floats


def curves(frame: "pd.DataFrame", field: str, measure: str) -> Iterator[Curve]:
    """Give the curves of ``measure`` against the axis ``field``, points without it left out."""
    axes = [axis for axis in frame.attrs["axes"] if axis != field]
    known = frame.dropna(subset=[measure, f"{measure}_lower", f"{measure}_upper"])
    known = known[np.isfinite(known[f"{measure}_upper"])]
    for key, rows in known.groupby(["series", *axes], sort=False):
        rows = rows.sort_values(field).drop_duplicates(field)
        series, *values = key
        named = list(zip(axes, values, strict=True))
        yield Curve(
            layout=_layout(str(series), named),
            program=tuple(pair for pair in named if not _is_of_layout(pair[0])),
            x=rows[field].to_numpy(dtype=np.float64),
            y=rows[measure].to_numpy(dtype=np.float64),
            half_widths=((rows[f"{measure}_upper"] - rows[f"{measure}_lower"]) / 2).to_numpy(
                dtype=np.float64
            ),
        )


def numeric_axes(frame: "pd.DataFrame") -> list[str]:
    """Return the axes along which there is a more and a less."""
    return [
        axis
        for axis in frame.attrs["axes"]
        if frame[axis].dtype.kind in "if" and frame[axis].nunique() > 1
    ]


def _is_of_layout(axis: str) -> bool:
    return axis == "build" or axis in READERS


def _layout(series: str, values: Sequence[tuple[str, Any]]) -> str:
    own = ", ".join(f"{axis}={value}" for axis, value in values if _is_of_layout(axis))
    return f"{series} at {own}" if own else series
