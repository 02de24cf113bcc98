"""What a change would bring: Coz's question, asked of the GIL.

released:parse=80%     80 % of the time that segment "parse" holds the GIL gives it up
build=3.14t            another build
cores=8                any field of the layout: processes, interpreters, threads, cores,
                       switch_interval
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from gilplan.calibration.profile import Profile
from gilplan.model.errors import InvalidValue
from gilplan.model.layout import GilMode, Layout, check_supported, resolve_gil
from gilplan.model.statistics import mean_interval
from gilplan.model.units import parse_share
from gilplan.model.workload import Segment, SegmentKind, Workload, flatten
from gilplan.planner.layout_option import READERS
from gilplan.planner.plans.findings import Gain
from gilplan.planner.plans.trials import Trial, Trials

FIELDS = ("processes", "interpreters", "threads", "cores", "switch_interval")
FORMS = '"released:SEGMENT=80%", "build=3.14t", or a field of the layout such as "cores=8"'

REPLICATIONS = 4
TASKS = 1000
#: Where no rate is asked for, p99 is compared at this share of the unchanged capacity.
LOAD = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One or several changes at once, as asked for in ``text``."""

    text: str
    released: tuple[tuple[str, float], ...] = ()
    build: str | None = None
    fields: tuple[tuple[str, object], ...] = ()

    def layout(self, layout: Layout, profile: Profile) -> Layout:
        """Return the layout with the change.

        On a free-threaded build, interpreters become threads. Raises `MissingBuild`,
        `UnsupportedLayout` or `InvalidValue`.
        """
        changed = layout
        if self.build is not None:
            runtime = profile.runtime(self.build)
            count = layout.interpreters
            gil = resolve_gil(None, count, runtime)
            if gil is GilMode.DISABLED:
                changed = replace(changed, interpreters=1, threads=layout.threads * count)
            changed = replace(changed, build=runtime.build, gil=gil)
        if self.fields:
            changed = replace(changed, **dict(self.fields))  # type: ignore[arg-type]
        check_supported(changed, profile.runtime(changed.build))
        return changed

    def workload(self, workload: Workload) -> Workload:
        """Return the workload with the change."""
        for name, share in self.released:
            workload = with_released(workload, share, name)
        return workload


def parse_change(text: str) -> Change:
    """Read a what-if; several changes at once are joined by commas. Raises `InvalidValue`."""
    released: list[tuple[str, float]] = []
    build: str | None = None
    fields: list[tuple[str, object]] = []
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise InvalidValue("what-if", f"like {FORMS}", text)
        if key.startswith("released:"):
            share = parse_share(value if "%" in value else _number(value), f"what-if {text!r}")
            released.append((key.removeprefix("released:"), share))
        elif key == "build":
            build = value
        elif key in FIELDS:
            fields.append((key, READERS[key](value, key)))
        else:
            near = get_close_matches(key, ("build", *FIELDS), n=1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            raise InvalidValue(f"what-if {text!r}", f"like {FORMS}", key, hint)
    return Change(text=text, released=tuple(released), build=build, fields=tuple(fields))


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def gains(
    changes: Sequence[Change],
    layout: Layout,
    trials: Trials,
    *,
    rate: float | None,
    level: float,
) -> list[Gain]:
    """Simulate the layout with each change beside the layout as it is, under the same draws.

    p99 is compared at ``rate``, or at 80 % of the unchanged capacity where there is none.
    """
    base = [Trial(layout=layout, replication=r, tasks=TASKS) for r in range(REPLICATIONS)]
    varied = [_changed(change, trial, trials) for change in changes for trial in base]
    measured = trials.measure([*base, *varied])
    unchanged = [run["throughput"] for run in measured[:REPLICATIONS]]
    load = rate or LOAD * sum(unchanged) / REPLICATIONS
    loaded = trials.measure([replace(trial, rate=load) for trial in (*base, *varied)])
    found = []
    for index, change in enumerate(changes, 1):
        mine = slice(index * REPLICATIONS, (index + 1) * REPLICATIONS)
        capacities = [run["throughput"] for run in measured[mine]]
        ratios = [new / old for new, old in zip(capacities, unchanged, strict=True)]
        p99 = None
        if min(sum(capacities), sum(unchanged)) / REPLICATIONS > load:
            pairs = zip(loaded[mine], loaded[:REPLICATIONS], strict=True)
            times = [new["response_time.p99"] / old["response_time.p99"] for new, old in pairs]
            p99 = mean_interval(times, level)
        found.append(
            Gain(
                change=change.text,
                layout=change.layout(layout, trials.profile),
                throughput=mean_interval(ratios, level),
                p99=p99,
            )
        )
    return found


def _changed(change: Change, trial: Trial, trials: Trials) -> Trial:
    layout = change.layout(trial.layout, trials.profile)
    workload = change.workload(trials.on_build(layout.build)) if change.released else None
    return replace(trial, layout=layout, workload=workload)


def with_released(workload: Workload, share: float, name: str | None = None) -> Workload:
    """Return the workload where ``share`` of the held time of segment ``name`` gives up the GIL.

    None means every segment. The time released comes after the time held, in one stretch.
    Raises `InvalidValue` where no segment of that name holds the GIL.
    """
    held = {
        segment.name
        for task in workload.tasks
        for segment in flatten(task.segments)
        if segment.holds_gil
    }
    if name is not None and name not in held:
        known = ", ".join(sorted(held - {""})) or "none has a name"
        raise InvalidValue(
            "what-if", f"about a named segment that holds the GIL ({known})", f"released:{name}"
        )
    return workload.rewritten(lambda segment: _release(segment, share, name))


def with_held(workload: Workload, share: float) -> Workload:
    """Return the workload where ``share`` of every stretch without the GIL computes with it."""
    return workload.rewritten(lambda segment: _hold(segment, share))


def _release(segment: Segment, share: float, name: str | None) -> tuple[Segment, ...]:
    if not segment.holds_gil or (name is not None and segment.name != name):
        return (segment,)
    return segment.split(share, SegmentKind.RELEASED_NATIVE)


def _hold(segment: Segment, share: float) -> tuple[Segment, ...]:
    if segment.kind is not SegmentKind.RELEASED_NATIVE:
        return (segment,)
    return tuple(reversed(segment.split(share, SegmentKind.HELD_NATIVE)))
