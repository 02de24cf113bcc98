"""Tachyon's ``--gecko`` file, the one that tells the states of every thread in one recording.

Each thread has markers from a change of state to the next, in milliseconds: "Has GIL" or "No
GIL", "On CPU" or "Off CPU", "Waiting for GIL" (Lib/profiling/sampling/gecko_collector.py of
CPython 3.15). On CPU is what the kernel calls running: it may wait for a core.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from gilplan.calibration.imports.recording import StateTimes
from gilplan.model.errors import InvalidFile

GIL, CPU, WAITING = "Has GIL", "On CPU", "Waiting for GIL"
STATES = (GIL, "No GIL", CPU, "Off CPU", WAITING)
#: A thread that did less than this share of the recording is not at work.
IDLE = 0.001

Span = tuple[float, float]


def read_gecko(document: dict[str, Any], path: Path) -> StateTimes:
    """Return how long the threads at work were in each state. Raises `InvalidFile`."""
    try:
        strings = document["shared"]["stringArray"]
        interval = float(document["meta"]["interval"]) / 1e3
        threads = [_spans(thread["markers"], strings) for thread in document["threads"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InvalidFile(
            str(path), 1, "the recording", "a whole Gecko file of Tachyon's", reason
        ) from None
    at_work = [spans for spans in threads if _working(spans)]
    if not at_work or interval <= 0:
        raise InvalidFile(
            str(path), 1, "markers", "of threads that have the GIL or run", "none",
            "record with Tachyon: python -m profiling.sampling run --gecko",
        )  # fmt: skip
    held, released, blocked, queued = (
        sum(column) for column in zip(*map(_times, at_work), strict=True)
    )
    total = held + released + blocked
    notes = [
        f"stretches shorter than the sampling interval of {interval * 1e3:.3g} ms are not seen: "
        "one release of each kind is assumed"
    ]
    if queued:
        share = queued / (total + queued)
        notes.append(f"threads waited for the GIL for {share:.1%} of the time: no one's demand")
    return StateTimes(
        source=f"import: Tachyon, {len(at_work)} threads' states every {interval * 1e3:.3g} ms",
        held=held,
        released=released,
        blocked=blocked,
        samples=(total + queued) / interval,
        notes=tuple(notes),
    )


def _spans(markers: dict[str, Any], strings: list[str]) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = {name: [] for name in STATES}
    rows = zip(markers["name"], markers["startTime"], markers["endTime"], strict=True)
    for name, start, end in rows:
        if strings[name] in spans:
            spans[strings[name]].append((float(start) / 1e3, float(end) / 1e3))
    return spans


def _working(spans: dict[str, list[Span]]) -> bool:
    work = sum(end - begin for name in (GIL, CPU) for begin, end in spans[name])
    whole = sum(end - begin for name in (CPU, "Off CPU") for begin, end in spans[name])
    return whole > 0 and work > IDLE * whole


def _times(spans: dict[str, list[Span]]) -> tuple[float, float, float, float]:
    """Held, released, blocked time of a thread, and that in which it waited for the GIL."""
    held = released = blocked = queued = 0.0
    for begin, end, states in _pieces(spans):
        length = end - begin
        if GIL in states:
            held += length
        elif WAITING in states:
            queued += length
        elif CPU in states:
            released += length
        else:
            blocked += length
    return held, released, blocked, queued


def _pieces(spans: dict[str, list[Span]]) -> Iterator[tuple[float, float, set[str]]]:
    """Cut the time in which the thread was seen at every change of state."""
    changes = [
        change
        for name, each in spans.items()
        for begin, end in each
        for change in ((begin, 1, name), (end, -1, name))
    ]
    changes.sort(key=lambda change: change[0])
    depth: dict[str, int] = dict.fromkeys(spans, 0)
    for (begin, step, name), (end, _, _) in pairwise(changes):
        depth[name] += step
        states = {state for state, count in depth.items() if count > 0}
        if end > begin and states:
            yield begin, end, states
