"""A grid as people write it: axes, the fields that they change, and what is refused at once."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Batch, Closed, Open
from gilplan.model.durations import Deterministic, Exponential, Lognormal
from gilplan.model.errors import InvalidValue, MissingBuild, UnsupportedLayout
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload
from gilplan.planner.sweeps.axis import Given, read_axis
from gilplan.planner.sweeps.grid import LeftOut, Point, read_grid

PARSE = Segment(kind=SegmentKind.PYTHON, name="parse", duration=Lognormal(1e-3, 0.5))
CALL = Segment(kind=SegmentKind.HELD_NATIVE, duration=Deterministic(2e-3))
FETCH = Segment(kind=SegmentKind.WAIT, name="fetch", duration=Exponential(4e-3))
LOCKED = Segment(kind=SegmentKind.CRITICAL, lock="cache", inner=(FETCH,))
WORKLOAD = Workload(
    name="w",
    tasks=(
        Task(name="get", segments=(PARSE, CALL, LOCKED)),
        Task(name="put", segments=(PARSE,), weight=3.0),
    ),
)


def points(
    profile: Profile, layouts: Sequence[str], grid: Mapping[str, Given], **arguments: object
) -> list[Point | LeftOut]:
    arrivals = arguments.pop("arrivals", Closed())
    made = read_grid(layouts, grid, **arguments)  # type: ignore[arg-type]
    return list(made.points(WORKLOAD, arrivals, profile, seed=0))  # type: ignore[arg-type]


def only(profile: Profile, **grid: Given) -> Point:
    named = {name.replace("__", ":"): values for name, values in grid.items()}
    (point,) = points(profile, ["3.13"], named)
    assert isinstance(point, Point)
    return point


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("threads", "1, 2,4", (1, 2, 4)),
        ("threads", "1:16:log:5", (1, 2, 4, 8, 16)),
        ("threads", "1:3:lin:9", (1, 2, 3)),
        ("switch_interval", "1ms,250us", (0.001, 0.00025)),
        ("switch_interval", "0.1ms:10ms:log:3", (0.0001, 0.001, 0.01)),
        ("switch_interval", "0.1ms:50ms:log:4", (0.0001, 0.000794, 0.0063, 0.05)),
        ("rate", "100:200:lin:3", (100.0, 150.0, 200.0)),
        ("rate", "600/min", (10.0,)),
        ("released:parse", "0%:100%:lin:3", (0.0, 0.5, 1.0)),
        ("build", "3.11,3.13t", ("3.11", "3.13t")),
        ("gil", "own,shared", ("own", "shared")),
    ],
)
def test_values_are_read_into_base_units(name: str, text: str, values: tuple[object, ...]) -> None:
    assert read_axis(name, text).values == values


@given(
    start=st.floats(1e-6, 1e-3),
    factor=st.floats(1.001, 1e4),
    count=st.integers(2, 60),
    spacing=st.sampled_from(["log", "lin"]),
)
def test_a_range_has_as_many_values_as_it_says_from_end_to_end(
    start: float, factor: float, count: int, spacing: str
) -> None:
    text = f"{start!r}s:{start * factor!r}s:{spacing}:{count}"
    values = read_axis("switch_interval", text).values
    assert (values[0], values[-1]) == (start, start * factor)
    assert len(values) == count
    assert list(values) == sorted(set(values))


def test_points_come_layout_by_layout_with_the_last_axis_fastest(profile: Profile) -> None:
    made = points(
        profile,
        ["3.13:interpreters=2", "3.13:processes=2"],
        {"threads": [1, 2], "switch_interval": "1ms,5ms"},
    )
    assert [str(point.scenario.layout) for point in made[:4] if isinstance(point, Point)] == [
        "3.13.0:interpreters=2,gil=own,switch_interval=1ms",
        "3.13.0:interpreters=2,gil=own,switch_interval=5ms",
        "3.13.0:interpreters=2,threads=2,gil=own,switch_interval=1ms",
        "3.13.0:interpreters=2,threads=2,gil=own,switch_interval=5ms",
    ]
    assert {point.series for point in made[4:] if isinstance(point, Point)} == {
        "3.13.0:processes=2"
    }


def test_builds_are_swept_under_a_layout_of_any(profile: Profile) -> None:
    for layouts in (["*:threads=2"], []):
        made = points(profile, layouts, {"build": "3.11,3.13t"})
        assert [point.scenario.layout.build for point in made if isinstance(point, Point)] == [
            "3.11.7",
            "3.13.5t",
        ]


def test_what_a_build_cannot_run_is_left_out_with_the_reason(profile: Profile) -> None:
    made = points(profile, ["*:interpreters=2"], {"build": "3.13,3.13t"})
    assert [type(each) for each in made] == [Point, LeftOut]
    assert isinstance(made[1], LeftOut)
    assert "interpreters must be 1" in made[1].reason
    with pytest.raises(UnsupportedLayout, match="interpreters must be 1"):
        points(profile, ["3.13t"], {"interpreters": "2,3"})
    with pytest.raises(MissingBuild, match=r"'3\.9' is not in the profile"):
        points(profile, [], {"build": "3.13,3.9"})


def test_a_duration_keeps_its_distribution_and_changes_its_mean(profile: Profile) -> None:
    get = only(profile, **{"duration:get/parse": [5e-3]}).scenario.workload.tasks[0]
    assert get.segments[0].duration is not None
    assert get.segments[0].duration.mean == pytest.approx(5e-3)
    assert isinstance(get.segments[0].duration, Lognormal)
    assert get.segments[1:] == (CALL, LOCKED)


def test_segments_go_by_name_by_task_and_name_and_by_place(profile: Profile) -> None:
    fetch = only(profile, **{"duration:fetch": [8e-3]}).scenario.workload.tasks[0].segments[2]
    assert fetch.inner[0].duration == Exponential(8e-3)
    call = only(profile, **{"duration:get/2": [8e-3]}).scenario.workload.tasks[0].segments[1]
    assert call.duration == Deterministic(8e-3)


def test_a_share_leaves_the_task_as_long_as_it_was(profile: Profile) -> None:
    (before, _) = WORKLOAD.tasks
    for share in (0.0, 0.25, 1.0):
        (after, _) = only(profile, **{"share:get/2": [share]}).scenario.workload.tasks
        assert after.demand() == pytest.approx(before.demand())
        assert after.demand(SegmentKind.HELD_NATIVE) == pytest.approx(share * before.demand())
    with pytest.raises(InvalidValue, match="nothing else takes time"):
        only(profile, **{"share:put/parse": [0.5]})


def test_a_released_share_gives_up_the_gil_and_takes_as_long(profile: Profile) -> None:
    (before, _) = WORKLOAD.tasks
    held = before.demand(SegmentKind.PYTHON)
    for share in (0.0, 0.25, 1.0):
        point = only(profile, **{"released:get/parse": [share]})
        (after, _) = point.scenario.workload.tasks
        assert after.demand(SegmentKind.PYTHON) == pytest.approx((1 - share) * held)
        assert after.demand(SegmentKind.RELEASED_NATIVE) == pytest.approx(share * held)
    assert after.segments[0].work is Work.BYTECODE
    with pytest.raises(InvalidValue, match="a segment that holds the GIL, got 'wait'"):
        only(profile, **{"released:fetch": [0.5]})


def test_a_task_gets_another_weight(profile: Profile) -> None:
    workload = only(profile, **{"weight:put": [7.0]}).scenario.workload
    assert [task.weight for task in workload.tasks] == [1.0, 7.0]
    with pytest.raises(InvalidValue, match="there are get, put"):
        only(profile, **{"weight:post": [7.0]})


def test_arrivals_become_what_the_grid_says(profile: Profile) -> None:
    assert only(profile, rate=[50.0]).scenario.arrivals == Open(rate=50.0)
    assert only(profile, jobs=[9]).scenario.arrivals == Batch(jobs=9)
    assert only(profile, population=[9], think_time=[0.5]).scenario.arrivals == Closed(
        population=9, think_time=Deterministic(0.5)
    )
    even = Open(rate=1.0, poisson=False)
    thinking = Closed(population=3, think_time=Exponential(1.0))
    (point,) = points(profile, ["3.13"], {"rate": [50.0]}, arrivals=even)
    assert isinstance(point, Point)
    assert point.scenario.arrivals == Open(rate=50.0, poisson=False)
    (point,) = points(profile, ["3.13"], {"think_time": [2.0]}, arrivals=thinking)
    assert isinstance(point, Point)
    assert point.scenario.arrivals == Closed(population=3, think_time=Exponential(2.0))


@pytest.mark.parametrize(
    ("layouts", "grid", "part"),
    [
        (["3.13"], {"treads": "1"}, "got 'treads'; did you mean 'threads'?"),
        (["3.13"], {"duration": "1ms"}, "which one? duration:NAME"),
        (["3.13"], {"durations:parse": "1ms"}, "did you mean 'duration'?"),
        (["3.13"], {"threads": "1:2:log"}, "the spacing is log or lin"),
        (["3.13"], {"threads": "1:2:exp:3"}, "the spacing is log or lin"),
        (["3.13"], {"threads": "1:2:log:x"}, "two values or more, got 'x'"),
        (["3.13"], {"threads": "1:2:log:1"}, "two values or more, got '1'"),
        (["3.13"], {"threads": "4:1:log:3"}, "from the smaller to the greater"),
        (["3.13"], {"threads": "1,1"}, "values that are each given once"),
        (["3.13"], {"threads": ""}, 'a list such as "1,2,4"'),
        (["3.13"], {"threads": "1,,2"}, 'a list such as "1,2,4"'),
        (["3.13"], {"threads": []}, 'a list such as "1,2,4"'),
        (["3.13"], {"threads": "0,1"}, "a whole number >= 1, got '0'"),
        (["3.13"], {"gil": "own:shared:lin:2"}, "a list, for it is no number"),
        (["3.13"], {"switch_interval": "1:2:log:3"}, "give a unit"),
        (["3.13"], {"rate": "1,x"}, "a rate such as 200"),
        (["3.13"], {"rate": "0:5:log:3"}, "from above zero"),
        (["3.13"], {"rate": [0.0]}, "rate must be a finite number > 0"),
        (["3.13"], {"rate": "1,2", "jobs": "5"}, "one kind of arrivals, got 'jobs and rate'"),
        (["3.13"], {"duration:pars": "1ms"}, "there are get/parse, get/2, fetch, put/parse"),
        (["3.13"], {"duration:parse": "1ms"}, "say which: get/parse, put/parse"),
        (["3.13"], {"released:get/parse": "120%"}, "between 0 and 1"),
        (["3.13:threads=2"], {"threads": "1,2"}, "in the layout or in the grid, not in both"),
        (["3.13"], {"build": "3.12"}, "leave --layout away"),
        (["3.13:threads=2"], {"build": "3.12"}, 'say "*:threads=2"'),
        (["*:threads=2"], {"rate": "1"}, "add --grid build=3.13,3.14"),
        ([], {"rate": "1"}, "given, or the grid over build"),
    ],
)
def test_a_wrong_grid_is_told_with_field_value_and_rule(
    profile: Profile, layouts: list[str], grid: dict[str, Given], part: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        points(profile, layouts, grid)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ten_million_points_are_refused_at_once_unless_wanted() -> None:
    for axes in (
        {"rate": "1:9:lin:10000000"},
        {"rate": "1:9:log:1000", "threads": "1:99:lin:100", "processes": "1:100:lin:100"},
    ):
        with pytest.raises(
            InvalidValue, match=r"= 10,000,000'; at one second .* 116 days; .*--yes"
        ):
            read_grid(["3.13"], axes)
    assert read_grid(["3.13"], {"rate": "1:9:lin:10001"}, allow_many=True).size == 10_001
