"""From samples to what objects cost: collections per container, contention per operation."""

import numpy as np

from gilplan.calibration.campaign import Samples
from gilplan.calibration.fits import median, median_over_rounds
from gilplan.model.collector_costs import CollectorCosts
from gilplan.model.contention import Contention, SharedOperation
from gilplan.model.errors import InvalidValue
from gilplan.model.estimate import Estimate

#: An operation is never said to be less than this share of the mix that it was measured in.
LEAST_SHARE = 1e-3


def collector_costs(samples: Samples, name: str, rng: np.random.Generator) -> CollectorCosts | None:
    """Fit what a collection takes per container; None where it was not measured.

    The intervals hold nine of ten samples, not nine of ten medians: samples are of several kinds
    of objects, and which ones a program has is not known.
    """
    key = f"collect/{name}"
    full = samples.pooled(key, "full")
    if not full:
        return None
    # A free-threaded build has no young collections: what is new is in a full one like the rest.
    young = samples.pooled(key, "young") or full
    bare_objects = median(samples.pooled(key, "bare objects"), source="collect", rng=rng)
    full_time = _over_kinds(full, rng)
    beyond = [
        max(taken - bare_objects.value * full_time.value, 0.0)
        for taken in samples.pooled(key, "full base")
    ]
    return CollectorCosts(
        young_time=_over_kinds(young, rng),
        full_time=full_time,
        garbage_time=_over_kinds(samples.pooled(key, "garbage") or [0.0], rng),
        untracked_time=_over_kinds(samples.pooled(key, "untracked") or [0.0], rng),
        base_time=_over_kinds(beyond, rng),
        bare_objects=bare_objects,
    )


def _over_kinds(taken: list[float], rng: np.random.Generator) -> Estimate:
    found = median(taken, source="collect", rng=rng, floor=0.0)
    lower, upper = np.quantile(np.maximum(taken, 0.0), (0.05, 0.95))
    return Estimate(
        value=found.value,
        lower=min(float(lower), found.lower),
        upper=max(float(upper), found.upper),
        source="collect",
        flags=found.flags,
    )


def contentions(
    samples: Samples, name: str, rng: np.random.Generator
) -> dict[SharedOperation, Contention]:
    """Fit each shared operation's extra time against its share of a mix; empty if not measured."""
    found = {}
    for operation in SharedOperation:
        try:
            contention = _contention(samples, f"contention/{name}", operation, rng)
        except InvalidValue:  # shares of a clock that stood still: nothing to learn from
            contention = None
        if contention is not None:
            found[operation] = contention
    return found


def _contention(
    samples: Samples, key: str, operation: str, rng: np.random.Generator
) -> Contention | None:
    alone, empty = samples.pooled(key, f"{operation} alone"), samples.pooled(key, "empty")
    if not alone or not empty:
        return None
    own_time = float(np.median(alone) - np.median(empty))
    points: dict[float, Estimate] = {}
    for label, count in _mixes(samples, key, operation):
        turn = float(np.median(samples.pooled(key, f"{label} own n={count}")))
        share = min(max(own_time / turn, LEAST_SHARE), 1.0)
        points[share] = median_over_rounds(
            _extra_times(samples, key, label), source="contention", rng=rng, floor=0.0
        )
    shares = sorted(points)
    return Contention(shares=tuple(shares), extra_times=tuple(points[share] for share in shares))


def _mixes(samples: Samples, key: str, operation: str) -> list[tuple[str, str]]:
    """List the mixes that were measured: label, and the least number of threads."""
    first = next(iter(samples.rounds[key].values()))
    counts: dict[str, str] = {}
    for series in first:
        label, _, count = series.partition(" own n=")
        if count and label.startswith(f"{operation} gap="):
            counts.setdefault(label, count)
    return list(counts.items())


def _extra_times(samples: Samples, key: str, label: str) -> list[list[float]]:
    """Relative extra time for each other sharer, round by round, of all numbers of threads."""
    rounds = []
    for taken in samples.rounds[key].values():
        extra = []
        for series, own in taken.items():
            mix, _, count = series.partition(" own n=")
            if mix == label and count:
                shared = taken[f"{label} shared n={count}"]
                others = int(count) - 1
                extra += [(b / a - 1) / others for a, b in zip(own, shared, strict=False)]
        rounds.append(extra)
    return rounds
