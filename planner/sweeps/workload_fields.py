"""Fields of a workload that a grid can change: a segment's duration or share, a task's weight.

A segment goes by its name; where two tasks have one of that name, by ``TASK/NAME``; one without a
name by ``TASK/2``, its place in the task, counted from 1 and inside critical segments too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gilplan.model.durations import Deterministic, Duration
from gilplan.model.errors import InvalidValue
from gilplan.model.workload import Segment, SegmentKind, Task, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a segment is: its task, and the indices that lead to it."""

    task: int
    path: tuple[int, ...]
    number: int
    segment: Segment


def with_duration(workload: Workload, name: str, mean: float) -> Workload:
    """Return the workload with the segment's mean time set, the shape of its distribution kept."""
    place = _find(workload, name)
    longer = replace(place.segment, duration=_with_mean(place.segment, mean))
    return _exchanged(workload, place, (longer,))


def with_share(workload: Workload, name: str, share: float) -> Workload:
    """Return the workload with the segment taking ``share`` of its task's mean time.

    The task's mean time stays: the other segments are scaled to what is left. Raises
    `InvalidValue` where there is no other segment to take it.
    """
    place = _find(workload, name)
    total = workload.tasks[place.task].demand()
    others = total - _mean(place.segment)
    if others <= 0 and share < 1:
        raise InvalidValue(f"share:{name}", "1, for nothing else takes time in its task", share)
    factor = (1 - share) * total / others if others > 0 else 1.0
    scaled = tuple(_scaled(part, factor) for part in workload.tasks[place.task].segments)
    shared = replace(place.segment, duration=_with_mean(place.segment, share * total))
    return _with_segments(workload, place.task, _put(scaled, place.path, (shared,)))


def with_released(workload: Workload, name: str, share: float) -> Workload:
    """Return the workload with ``share`` of the segment's time spent without the GIL.

    The segment falls in two, the part that keeps the GIL first; both are of the same kind of
    work, and their times are drawn apart.
    """
    place = _find(workload, name)
    segment = place.segment
    if not segment.holds_gil:
        raise InvalidValue(
            f"released:{name}", "of a segment that holds the GIL", str(segment.kind),
            "that is a python or a held_native one",
        )  # fmt: skip
    *held, released = segment.split(share, SegmentKind.RELEASED_NATIVE)
    if share > 0:
        released = replace(released, name=f"{segment.name or name} (released)")
    return _exchanged(workload, place, (*held, released))


def with_weight(workload: Workload, name: str, weight: float) -> Workload:
    """Return the workload with the weight of the task ``name`` in the mix set."""
    names = [task.name for task in workload.tasks]
    if names.count(name) != 1:
        raise InvalidValue(
            f"weight:{name}", "of one task of the workload", name, f"there are {', '.join(names)}"
        )
    index = names.index(name)
    return _with_task(workload, index, replace(workload.tasks[index], weight=weight))


#: In the order in which they apply: a share is of the durations as they have become.
CHANGES: dict[str, Callable[[Workload, str, float], Workload]] = {
    "weight": with_weight,
    "duration": with_duration,
    "share": with_share,
    "released": with_released,
}


def _places(workload: Workload) -> Iterator[_Place]:
    for index, task in enumerate(workload.tasks):
        for number, (path, segment) in enumerate(_leaves(task.segments), 1):
            yield _Place(task=index, path=path, number=number, segment=segment)


def _leaves(
    segments: tuple[Segment, ...], path: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], Segment]]:
    for index, segment in enumerate(segments):
        if segment.inner:
            yield from _leaves(segment.inner, (*path, index))
        else:
            yield (*path, index), segment


def _find(workload: Workload, name: str) -> _Place:
    places = list(_places(workload))
    for names in (_short, _long):
        found = [place for place in places if name in names(workload, place)]
        if len(found) == 1:
            return found[0]
        if found:
            choices = ", ".join(_long(workload, place)[0] for place in found)
            raise InvalidValue("segment", "one of its name", name, f"say which: {choices}")
    short = [place.segment.name for place in places]
    known = [
        own if own and short.count(own) == 1 else _long(workload, place)[0]
        for place, own in zip(places, short, strict=True)
    ]
    raise InvalidValue("segment", "one of the workload", name, f"there are {', '.join(known)}")


def _short(workload: Workload, place: _Place) -> tuple[str, ...]:
    return (place.segment.name,) if place.segment.name else ()


def _long(workload: Workload, place: _Place) -> tuple[str, ...]:
    task = workload.tasks[place.task].name
    named = (f"{task}/{place.segment.name}",) if place.segment.name else ()
    return (*named, f"{task}/{place.number}")


def _mean(segment: Segment) -> float:
    assert segment.duration is not None
    return segment.duration.mean


def _with_mean(segment: Segment, mean: float) -> Duration:
    """Return the segment's distribution with another mean; one of no time has no shape."""
    assert segment.duration is not None
    if segment.duration.mean == 0 or mean == 0:
        return Deterministic(mean)
    return segment.duration.scaled(mean / segment.duration.mean)


def _scaled(segment: Segment, factor: float) -> Segment:
    if segment.inner:
        return replace(segment, inner=tuple(_scaled(part, factor) for part in segment.inner))
    return replace(segment, duration=_with_mean(segment, factor * _mean(segment)))


def _exchanged(workload: Workload, place: _Place, parts: tuple[Segment, ...]) -> Workload:
    segments = workload.tasks[place.task].segments
    return _with_segments(workload, place.task, _put(segments, place.path, parts))


def _put(
    segments: tuple[Segment, ...], path: tuple[int, ...], parts: tuple[Segment, ...]
) -> tuple[Segment, ...]:
    index, *deeper = path
    if deeper:
        inner = _put(segments[index].inner, tuple(deeper), parts)
        parts = (replace(segments[index], inner=inner),)
    return (*segments[:index], *parts, *segments[index + 1 :])


def _with_segments(workload: Workload, task: int, segments: tuple[Segment, ...]) -> Workload:
    return _with_task(workload, task, replace(workload.tasks[task], segments=segments))


def _with_task(workload: Workload, index: int, task: Task) -> Workload:
    tasks = workload.tasks
    return replace(workload, tasks=(*tasks[:index], task, *tasks[index + 1 :]))
