"""Charts: what is plotted is what was predicted, with units, intervals and honest axes."""

import itertools
import json
from typing import Any

import pandas as pd
import pytest
import vl_convert

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Closed, Open
from gilplan.model.durations import Deterministic
from gilplan.model.prediction import Prediction
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner import charts
from gilplan.planner.charts.schedules import drawable
from gilplan.planner.charts.theme import SERIES, STATES
from gilplan.planner.predictions import predict, scenarios_for
from gilplan.planner.timelines import Schedule, simulate_schedule

LAYOUTS = ("3.13:threads=2", "3.13:interpreters=2", "3.13t:threads=2")
WORKLOAD = Workload(
    name="w",
    tasks=(
        Task(
            name="t",
            segments=(
                Segment(kind=SegmentKind.PYTHON, duration=Deterministic(1e-3)),
                Segment(kind=SegmentKind.WAIT, duration=Deterministic(1e-3)),
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def predictions(profile: Profile) -> tuple[Prediction, ...]:
    return predict(WORKLOAD, LAYOUTS, profile, max_replications=4)


@pytest.fixture(scope="module")
def schedules(profile: Profile) -> list[Schedule]:
    scenarios = scenarios_for(WORKLOAD, LAYOUTS, profile, arrivals=Closed())
    return [simulate_schedule(scenario, time=0.05) for scenario in scenarios]


@pytest.fixture(scope="module")
def interval_frame() -> pd.DataFrame:
    """Rows as a sweep has them; in one of them an interval is unbounded."""
    rows = [
        {
            "series": series,
            "switch_interval": interval,
            "throughput": 100.0 * factor,
            "throughput_lower": 95.0 * factor,
            "throughput_upper": float("inf") if interval == 0.05 else 105.0 * factor,
            "response_time_p99": 0.02 / factor,
            "response_time_p99_lower": 0.018 / factor,
            "response_time_p99_upper": 0.022 / factor,
        }
        for series, factor in (("b:threads=2", 1.0), ("a:threads=4", 2.0))
        for interval in (0.0001, 0.005, 0.05)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def validation_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "program": ["a", "b"],
            "layout": ["3.13.0:threads=2", "3.13.0:threads=4"],
            "mode": ["threads", "threads"],
            "measured": [100.0, 200.0],
            "predicted": [110.0, 190.0],
            "predicted_lower": [100.0, float("-inf")],
            "predicted_upper": [120.0, 200.0],
            "error": [0.1, -0.05],
            "error_amdahl": [0.2, 0.3],
        }
    )


def spec(chart: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(chart.to_dict(), allow_nan=False))
    return document


def rows(chart: Any, *fields: str) -> list[tuple[Any, ...]]:
    """Return the plotted rows that have all the fields, without repetition."""
    found = [
        tuple(row[field] for field in fields)
        for dataset in spec(chart)["datasets"].values()
        for row in dataset
        if set(fields) <= set(row)
    ]
    return list(dict.fromkeys(found))


def encodings(node: object) -> list[tuple[str, dict[str, Any]]]:
    """Return every channel of every layer."""
    if isinstance(node, list):
        return [each for part in node for each in encodings(part)]
    if not isinstance(node, dict):
        return []
    own = [
        (channel, definition)
        for channel, definition in node.get("encoding", {}).items()
        if isinstance(definition, dict)
    ]
    return own + [
        each for key, part in node.items() if key != "datasets" for each in encodings(part)
    ]


def test_throughput_bars_are_the_predictions_with_their_intervals_from_zero(
    predictions: tuple[Prediction, ...],
) -> None:
    chart = charts.plot_throughput(predictions)
    expected = [
        (str(p.layout), p.throughput.mean, p.throughput.lower, p.throughput.upper)
        for p in predictions
    ]
    assert rows(chart, "layout", "value", "lower", "upper") == expected
    x = next(e for channel, e in encodings(spec(chart)) if channel == "x" and "title" in e)
    assert x["scale"]["zero"] is True
    assert x["title"] == "throughput (tasks/s)"


def test_response_times_are_drawn_in_the_unit_that_suits_them(
    predictions: tuple[Prediction, ...],
) -> None:
    chart = charts.plot_response_time(predictions)
    drawn = {(layout, m): value for layout, m, value in rows(chart, "layout", "measure", "value")}
    for prediction in predictions:
        for name in ("p50", "p95", "p99"):
            expected = pytest.approx(prediction.response_time[name].mean * 1e3)
            assert drawn[str(prediction.layout), name] == expected
    assert "response time (ms)" in json.dumps(spec(chart))


def test_an_overloaded_layout_has_no_response_time_to_draw(profile: Profile) -> None:
    overloaded = predict(
        WORKLOAD, LAYOUTS[:1], profile, arrivals=Open(rate=2e3), max_replications=4
    )
    assert overloaded[0].overloaded
    values = [value for (value,) in rows(charts.plot_response_time(overloaded), "value")]
    assert values == [None]
    vl_convert.vegalite_to_svg(charts.plot_response_time(overloaded).to_dict())


def test_the_breakdown_stacks_up_to_the_time_of_a_task(
    predictions: tuple[Prediction, ...],
) -> None:
    drawn = rows(charts.plot_breakdown(predictions), "layout", "state", "value")
    for prediction in predictions:
        stacked = sum(value for layout, _, value in drawn if layout == str(prediction.layout))
        total = sum(interval.mean for interval in prediction.breakdown.values())
        assert stacked == pytest.approx(total * 1e3)
    assert {state for _, state, _ in drawn} <= set(STATES)


def test_a_free_threaded_layout_has_no_gil_to_be_busy(predictions: tuple[Prediction, ...]) -> None:
    drawn = rows(charts.plot_utilisation(predictions), "layout", "resource")
    assert ("3.13.0:threads=2", "GILs") in drawn
    assert ("3.13.5t:threads=2", "cores") in drawn
    assert ("3.13.5t:threads=2", "GILs") not in drawn


def test_a_schedule_draws_every_span_on_its_track(schedules: list[Schedule]) -> None:
    schedule = schedules[0]
    drawn = rows(charts.plot_schedule(schedule), "track", "who", "start", "end")
    for hold in schedule.holds:
        start, end = round(hold.start_at * 1e3, 6), round(hold.end_at * 1e3, 6)
        assert (f"GIL {hold.gil}", f"thread {hold.thread}", start, end) in drawn
    busy = sum(end - start for track, _, start, end in drawn if track.startswith("core"))
    running = sum(s.end_at - s.start_at for s in schedule.states if s.core is not None)
    assert busy == pytest.approx(running * 1e3)
    tracks = {track for track, *_ in drawn}
    assert tracks == {"core 0", "core 1", "GIL 0", "thread 0", "thread 1"}


def test_one_of_several_schedules_is_chosen_by_its_layout(schedules: list[Schedule]) -> None:
    params = spec(charts.plot_schedule(schedules))["params"]
    (choice,) = [param for param in params if param["name"] == "layout_choice"]
    assert choice["bind"]["options"] == [str(schedule.layout) for schedule in schedules]


def test_a_schedule_is_cut_where_there_is_too_much_to_draw(schedules: list[Schedule]) -> None:
    part = drawable(schedules[0], most=40)
    assert 20 <= len(part.states) + len(part.holds) <= 40
    assert part.end_at < schedules[0].end_at
    assert drawable(schedules[0], most=10**6) == schedules[0]


def test_a_sweep_keeps_the_order_of_its_series_and_leaves_out_unbounded_ends(
    interval_frame: pd.DataFrame,
) -> None:
    chart = charts.plot_switch_interval(interval_frame)
    drawn = rows(chart, "series", "x", "value", "upper")
    assert ("a:threads=4", 5.0, 200.0, 210.0) in drawn
    assert ("a:threads=4", 50.0, 200.0, None) in drawn
    colours = [e for channel, e in encodings(spec(chart)) if channel == "color"]
    assert colours[0]["scale"]["domain"] == ["b:threads=2", "a:threads=4"]
    (slider,) = [p for p in spec(chart)["params"] if p["name"] == "interval_index"]
    assert (slider["value"], slider["bind"]["max"]) == (1, 2)


def test_the_p99_of_a_sweep_says_what_it_is_and_in_what_unit(interval_frame: pd.DataFrame) -> None:
    chart = charts.plot_sweep(interval_frame, "switch_interval", "p99")
    assert ("b:threads=2", 0.1, 20.0) in rows(chart, "series", "x", "value")
    titles = {e.get("title") for _, e in encodings(spec(chart))}
    assert {"switch interval (ms)", "p99 response time (ms)"} <= titles


def test_a_validation_is_drawn_point_by_point_and_its_errors_by_rank(
    validation_frame: pd.DataFrame,
) -> None:
    assert rows(charts.plot_validation(validation_frame), "measured", "predicted") == [
        (100.0, 110.0),
        (200.0, 190.0),
    ]
    drawn = rows(charts.plot_errors(validation_frame), "kind", "error", "share")
    assert drawn[:2] == [("gilplan", 0.05, 0.5), ("gilplan", 0.1, 1.0)]


def test_every_estimate_of_a_profile_is_drawn_inside_its_interval(profile: Profile) -> None:
    drawn = rows(charts.plot_estimates(profile), "quantity", "lower", "value", "upper")
    assert len(drawn) == 6 + 2 * len(profile.runtimes)
    assert all(lower <= value <= upper for _, lower, value, upper in drawn)


def test_every_axis_says_what_it_shows_and_in_which_unit(
    predictions: tuple[Prediction, ...],
    interval_frame: pd.DataFrame,
    validation_frame: pd.DataFrame,
    schedules: list[Schedule],
    profile: Profile,
) -> None:
    for chart in (
        charts.plot_throughput(predictions),
        charts.plot_response_time(predictions),
        charts.plot_breakdown(predictions),
        charts.plot_utilisation(predictions),
        charts.plot_schedule(schedules),
        charts.plot_sweep(interval_frame, "switch_interval"),
        charts.plot_at_interval(interval_frame),
        charts.plot_validation(validation_frame),
        charts.plot_estimates(profile),
        charts.plot_wake_latency(profile),
    ):
        axes = [
            e for c, e in encodings(spec(chart)) if c in ("x", "y") and e["type"] == "quantitative"
        ]
        titles = {axis["title"] for axis in axes if axis.get("title")}
        assert titles, spec(chart)
        assert all(title.endswith(")") for title in titles), titles
        assert "<svg" in vl_convert.vegalite_to_svg(chart.to_dict())


def test_series_and_states_are_told_apart_in_grey() -> None:
    def lightness(colour: str) -> float:
        """Rec. 709 luma of an sRGB colour, 0 to 255."""
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    shades = [
        lightness(STATES[s])
        for s in ("running", "waiting for a GIL", "waiting for a core", "blocked")
    ]
    assert shades == sorted(shades)
    assert all(b - a > 25 for a, b in itertools.pairwise(shades))
    assert len(set(SERIES)) == len(SERIES)
