"""A grid: layouts and axes, and the scenario of each of its points."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Arrivals, Batch, Closed, Open
from gilplan.model.durations import Deterministic
from gilplan.model.errors import InvalidValue, UnsupportedLayout
from gilplan.model.scenario import Scenario
from gilplan.model.workload import Workload
from gilplan.planner.layout_option import READERS, LayoutOption, parse_layout
from gilplan.planner.predictions import scenarios_for
from gilplan.planner.sweeps.axis import ARRIVALS, Axis, Given, Value, length, read_axis
from gilplan.planner.sweeps.axis import check_name as check_axis
from gilplan.planner.sweeps.workload_fields import CHANGES

#: More points than these are run only when that is said.
MANY_POINTS = 10_000
#: Stands in a layout for each of the builds of the axis ``build``.
ANY_BUILD = "*"
#: Fields of the arrivals that go together.
KINDS = ({"rate"}, {"population", "think_time"}, {"jobs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point: its series, its value on each axis, and what is simulated.

    ``text`` names it for people.
    """

    text: str
    series: str
    values: dict[str, Value]
    scenario: Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A point without an outcome, and why."""

    point: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Layouts x axes. Points come layout by layout, the last axis fastest."""

    layouts: tuple[LayoutOption, ...]
    axes: tuple[Axis, ...]

    @property
    def size(self) -> int:
        return len(self.layouts) * prod(len(axis.values) for axis in self.axes)

    def points(
        self, workload: Workload, arrivals: Arrivals, profile: Profile, *, seed: int
    ) -> Iterator[Point | LeftOut]:
        """Make the points; those that their build cannot run are left out with the reason.

        Raises `GilplanError` for a value that no build could run, and where not one point of a
        layout can be.
        """
        for layout in self.layouts:
            made = 0
            refused: list[tuple[LeftOut, UnsupportedLayout]] = []
            for values in product(*(axis.values for axis in self.axes)):
                named = dict(zip((axis.name for axis in self.axes), values, strict=True))
                try:
                    yield _point(layout, named, workload, arrivals, profile, seed)
                    made += 1
                except UnsupportedLayout as error:
                    refused.append((LeftOut(point=_text(layout, named), reason=str(error)), error))
            if not made:
                raise refused[0][1]
            yield from (left_out for left_out, _ in refused)


def read_grid(
    layouts: Sequence[str], grid: Mapping[str, Given], *, allow_many: bool = False
) -> Grid:
    """Return the grid of layouts and axes as they are written. Raises `InvalidValue`.

    Unknown fields, and more than `MANY_POINTS` points unless ``allow_many``, are refused before
    any value is made.
    """
    for name in grid:
        check_axis(name)
    if not layouts:
        if "build" not in grid:
            raise InvalidValue(
                "layout", "given, or the grid over build", None, "add --layout 3.13:threads=4"
            )
        layouts = (ANY_BUILD,)
    _check_size(len(layouts), grid, allow_many)
    options = tuple(parse_layout(text) for text in layouts)
    for option in options:
        _check_option(option, grid)
    _check_arrivals(grid)
    axes = tuple(read_axis(name, given) for name, given in grid.items())
    return Grid(layouts=options, axes=axes)


def _check_size(layouts: int, grid: Mapping[str, Given], allow_many: bool) -> None:
    lengths = [length(name, given) for name, given in grid.items()]
    size = layouts * prod(lengths)
    if size <= MANY_POINTS or allow_many:
        return
    factors = " x ".join(f"{count:,}" for count in (layouts, *lengths))
    raise InvalidValue(
        "grid", f"of at most {MANY_POINTS:,} points without --yes", f"{factors} = {size:,}",
        f"at one second a point on one core that takes {_duration(size)}; "
        "give fewer values, or --yes",
    )  # fmt: skip


def _duration(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:,.0f} days"


def _check_option(option: LayoutOption, grid: Mapping[str, Given]) -> None:
    for key in option.fields:
        if key in grid:
            raise InvalidValue(key, "given in the layout or in the grid, not in both", option.text)
    if (option.build == ANY_BUILD) != ("build" in grid):
        if "build" in grid:
            rest = option.text.partition(":")[2]
            hint = f'say "{ANY_BUILD}:{rest}"' if rest else "leave --layout away"
            raise InvalidValue(
                "build", "given in the layout or in the grid, not in both", option.text, hint
            )
        raise InvalidValue(
            f"layout {option.text!r}: build", "named, or swept", ANY_BUILD,
            "add --grid build=3.13,3.14",
        )  # fmt: skip


def _check_arrivals(grid: Mapping[str, Given]) -> None:
    given = [kind & set(grid) for kind in KINDS if kind & set(grid)]
    if len(given) > 1:
        names = " and ".join(sorted(set.union(*given)))
        raise InvalidValue(
            "grid", "over the fields of one kind of arrivals", names,
            "rate is an open stream's, population and think_time a closed loop's, jobs a batch's",
        )  # fmt: skip


def _point(
    option: LayoutOption,
    values: dict[str, Value],
    workload: Workload,
    arrivals: Arrivals,
    profile: Profile,
    seed: int,
) -> Point:
    fields: dict[str, Any] = {name: value for name, value in values.items() if name in READERS}
    build = str(values.get("build", option.build))
    at = replace(
        option, text=_text(option, values), build=build, fields={**option.fields, **fields}
    )
    (scenario,) = scenarios_for(
        _changed(workload, values),
        [at.resolve(profile)],
        profile,
        arrivals=_arrivals(arrivals, values),
        seed=seed,
    )
    return Point(text=at.text, series=_series(option, scenario), values=values, scenario=scenario)


def _changed(workload: Workload, values: dict[str, Value]) -> Workload:
    for field, change in CHANGES.items():
        for name, value in values.items():
            prefix, colon, of = name.partition(":")
            if colon and prefix == field:
                assert not isinstance(value, str)
                workload = change(workload, of, value)
    return workload


def _arrivals(arrivals: Arrivals, values: dict[str, Value]) -> Arrivals:
    """Return the arrivals with what the grid says; of another kind where it says so."""
    given: dict[str, Any] = {name: value for name, value in values.items() if name in ARRIVALS}
    if not given:
        return arrivals
    if "rate" in given:
        return replace(arrivals if isinstance(arrivals, Open) else Open(rate=1.0), **given)
    if "jobs" in given:
        return Batch(**given)
    closed = arrivals if isinstance(arrivals, Closed) else Closed()
    if "think_time" in given:
        mean, think_time = given["think_time"], closed.think_time
        keeps_shape = think_time.mean > 0 and mean > 0
        given["think_time"] = (
            think_time.scaled(mean / think_time.mean) if keeps_shape else Deterministic(mean)
        )
    return replace(closed, **given)


def _series(option: LayoutOption, scenario: Scenario) -> str:
    """Return the layout as given, with the build's full name where it is the same throughout."""
    _, colon, rest = option.text.partition(":")
    build = ANY_BUILD if option.build == ANY_BUILD else scenario.layout.build
    return f"{build}{colon}{rest}"


def _text(option: LayoutOption, values: dict[str, Value]) -> str:
    axes = ", ".join(f"{name}={value}" for name, value in values.items())
    return f"{option.text} at {axes}" if axes else option.text
