"""Charts of a validation: predicted against measured, and the errors beside the cheap rules'."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from gilplan.planner.charts.theme import (
    WIDTH,
    Chart,
    bottom_legend,
    frame_of,
    series_colour,
    series_shape,
    themed,
    tooltips,
)

#: The columns of errors, and whose they are.
METHODS = {
    "error": "gilplan",
    "error_amdahl": "Amdahl's law",
    "error_processor_sharing": "processor sharing",
    "error_one_interval": "one interval per re-acquire",
}


def plot_validation(validation: Any) -> Chart:
    """Draw predicted against measured throughput, a point per cell; on the line all is right.

    ``validation`` is a `Validation` or its frame. Both axes are logarithmic: a distance from the
    line is a relative error.
    """
    frame = frame_of_validation(validation)
    rows = frame[["program", "layout", "mode", "predicted", "measured", "error"]].copy()
    for end in ("predicted_lower", "predicted_upper"):
        values = frame[end].astype(float)
        rows[end] = values.where(np.isfinite(values) & (values > 0), frame["predicted"])
    modes = sorted(set(rows["mode"]))
    ends = rows[["predicted_lower", "predicted_upper", "measured"]]
    line = pd.DataFrame({"at": [0.9 * ends.min().min(), 1.1 * ends.max().max()]})
    scale = alt.Scale(type="log", nice=False, domain=line["at"].tolist())
    base = alt.Chart(rows).encode(
        x=alt.X("measured:Q", title="measured (tasks/s)", scale=scale),
        color=series_colour("mode", modes, "", per_row=2),
        tooltip=[
            *tooltips(
                program="program", layout="layout", measured="measured", predicted="predicted"
            ),
            alt.Tooltip("error:Q", title="error", format="+.1%"),
        ],
    )
    rules = base.mark_rule(opacity=0.4).encode(
        y=alt.Y("predicted_lower:Q", title="predicted (tasks/s)", scale=scale),
        y2="predicted_upper:Q",
    )
    points = base.mark_point(filled=True, size=55, opacity=0.8).encode(
        y="predicted:Q", shape=series_shape("mode", modes, "", per_row=2)
    )
    ideal = alt.Chart(line).mark_line(color="#888", strokeDash=[4, 3]).encode(x="at:Q", y="at:Q")
    shown: Chart = themed(
        (ideal + rules + points).properties(width=WIDTH, height=360),
        "Predicted against measured",
        "a point per cell; dashed: where all is right; whiskers: 90 % intervals",
    )
    return shown


def plot_errors(validation: Any) -> Chart:
    """Draw which share of the cells each method predicts to within an error."""
    frame = frame_of_validation(validation)
    methods = [name for column, name in METHODS.items() if column in frame]
    rows = frame_of(
        {"kind": name, "error": error, "share": (rank + 1) / len(frame)}
        for column, name in METHODS.items()
        if column in frame
        for rank, error in enumerate(sorted(frame[column].abs()))
    )
    lines = (
        alt.Chart(rows)
        .mark_line(interpolate="step-after", strokeWidth=2, clip=True)
        .encode(
            x=alt.X(
                "error:Q",
                title="absolute error of throughput",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, max(0.2, float(rows["error"].quantile(0.9)))]),
            ),
            y=alt.Y("share:Q", title="share of cells within", axis=alt.Axis(format="%")),
            color=series_colour("kind", methods, "", per_row=2),
            strokeDash=alt.StrokeDash(
                "kind:N",
                title="",
                scale=alt.Scale(domain=methods),
                legend=bottom_legend(2),
            ),
            tooltip=tooltips(kind="method", error="error", share="share of cells"),
        )
    )
    shown: Chart = themed(
        lines.properties(width=WIDTH, height=220), "Errors, beside the cheap rules'"
    )
    return shown


def frame_of_validation(validation: Any) -> pd.DataFrame:
    """Return the frame of a validation, given the validation or the frame."""
    frame: pd.DataFrame = validation if isinstance(validation, pd.DataFrame) else validation.frame()
    return frame
