"""Tables for people, and the layouts that the demonstration ranks."""

from dataclasses import replace

from gilplan.calibration.profile import Profile
from gilplan.calibration.study import Cell
from gilplan.calibration.validation_result import Row, Skipped, Validation
from gilplan.model.durations import Deterministic
from gilplan.model.prediction import Prediction
from gilplan.model.statistics import Interval
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner.demo import layouts_to_rank, todays_build
from gilplan.planner.display import html_of, table_text
from gilplan.planner.layout_option import parse_layout
from gilplan.planner.predictions import predict
from gilplan.planner.tables import (
    NOTHING,
    error_table,
    notes_on,
    prediction_table,
    ratio,
    response_error_table,
    validation_table,
)

PARSE = Segment(kind=SegmentKind.PYTHON, duration=Deterministic(1e-3))
PROGRAM = Workload(name="[bold]w", tasks=(Task(name="t", segments=(PARSE,)),))


def predictions(profile: Profile) -> tuple[Prediction, ...]:
    return predict(PROGRAM, ["3.13", "3.13t:threads=2"], profile, max_replications=4)


def test_speedup_is_over_the_baseline(profile: Profile) -> None:
    one, two = predictions(profile)
    assert ratio(one, one) == Interval(mean=1.0, lower=1.0, upper=1.0)
    assert ratio(two, one).mean == two.throughput.mean / one.throughput.mean
    assert ratio(two, one).lower < ratio(two, one).mean


def test_names_are_text_and_never_markup(profile: Profile) -> None:
    both = predictions(profile)
    text = table_text(prediction_table(both, both[0], title=PROGRAM.name))
    assert "[bold]w" in text
    assert "3.13.5t:threads=2" in text


def test_no_response_time_and_no_gil_are_shown_as_nothing(profile: Profile) -> None:
    overloaded = replace(predictions(profile)[1], response_time={})
    row = table_text(prediction_table([overloaded], overloaded)).splitlines()[-2]
    assert row.split().count("-") == 4


def test_a_warning_that_all_share_is_told_once(profile: Profile) -> None:
    one, two = predictions(profile)
    two = replace(two, warnings=(*two.warnings, "odd"), makespan=Interval(mean=2, lower=1, upper=3))
    lines = notes_on([one, two])
    assert len(lines) == 3
    assert lines[0] == one.warnings[0]
    assert lines[1] == "3.13.5t:threads=2: odd"
    assert "the whole batch takes 2.00 ± 1.00 s" in lines[2]


def test_a_validation_is_shown_by_cell_and_by_method(profile: Profile) -> None:
    layout = parse_layout("3.13:threads=2").resolve(profile)
    row = Row(
        program="parse",
        build="3.13.0",
        mode="threads",
        layout=str(layout),
        regime="several workers behind a GIL",
        workers=2,
        switch_interval=0.005,
        predicted=110.0,
        predicted_lower=108.0,
        predicted_upper=112.0,
        measured=100.0,
        repeatability=0.02,
        error=0.1,
        error_amdahl=0.5,
        error_processor_sharing=-0.3,
        error_one_interval=0.4,
        measured_p50=0.010,
        measured_p95=None,
        measured_p99=0.040,
        predicted_p50=0.011,
        predicted_p95=None,
        predicted_p99=0.030,
        repeatability_p50=0.04,
        repeatability_p95=None,
        repeatability_p99=None,
        steal_time=0.0,
    )
    skipped = Skipped(cell=Cell(program="p", mode="threads", layout=layout), reason="hung")
    validation = Validation(rows=(row,), skipped=(skipped,), seed=0)
    cells = table_text(validation_table(validation)).splitlines()[-2].split()
    assert cells == ["parse", "3.13.0:threads=2", "110", "±", "2", "100", "+10.0%", "±2.0%"]
    methods = [line.split()[0] for line in table_text(error_table(validation)).splitlines()[4:-1]]
    assert methods == ["gilplan", "amdahl", "processor", "one"]
    percentiles = table_text(response_error_table(validation)).splitlines()
    assert [line.split() for line in percentiles[-3:-1]] == [
        ["p50", "1", "10.0%", "10.0%", "10.0%", "±4.0%"],
        ["p99", "1", "25.0%", "25.0%", "25.0%", NOTHING],
    ]


def test_the_demonstration_ranks_each_kind_of_layout_that_the_builds_allow(
    profile: Profile,
) -> None:
    today = todays_build(profile)
    assert today.build == "3.13.0"
    layouts = [parse_layout(text).resolve(profile) for text in layouts_to_rank(profile, today)]
    assert (layouts[0].build, layouts[0].workers) == ("3.13.0", 1)
    assert len(set(layouts)) == len(layouts)
    assert {layout.mode for layout in layouts} == {
        "threads",
        "own-GIL interpreters",
        "processes",
        "mixed",
        "free-threaded",
    }


def test_the_demonstration_makes_do_with_an_old_build(profile: Profile) -> None:
    old = replace(profile, runtimes=(profile.runtime("3.11"),))
    texts = layouts_to_rank(old, todays_build(old))
    assert {parse_layout(text).resolve(old).mode for text in texts} == {
        "threads",
        "processes",
        "mixed",
    }


def test_predictions_are_a_table_in_a_notebook_and_their_names_are_text(profile: Profile) -> None:
    both = predict(PROGRAM, ["3.13", "3.13t:threads=2"], profile, max_replications=4)
    shown = both._repr_html_()
    assert "3.13.5t:threads=2" in shown
    assert shown.count("<pre") == 2
    frame = both.frame()
    assert list(frame.layout) == [str(each.layout) for each in both]
    assert frame.throughput[1] == both[1].throughput.mean
    assert predict(PROGRAM, [], profile)._repr_html_() == ""


def test_html_escapes_what_it_is_told() -> None:
    shown = html_of([], heading="<script>", lines=["a < b"])
    assert "<script>" not in shown
    assert "a &lt; b" in shown
