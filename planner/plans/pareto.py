"""The layouts that none other beats in every respect."""

from collections.abc import Sequence

from gilplan.planner.plans.findings import Evaluation

#: Differences below this share are noise of the simulation, not an advantage.
TOLERANCE = 0.02


def pareto_front(evaluations: Sequence[Evaluation]) -> tuple[Evaluation, ...]:
    """Return the front of throughput, p99, memory and cores, smallest first.

    Of the layouts that meet the target, or of all where none does. Layouts that differ by no
    more than `TOLERANCE` in everything are represented by the first of them.
    """
    able = [each for each in evaluations if each.meets] or list(evaluations)
    front: list[Evaluation] = []
    for each in able:
        if any(_beats(other, each) for other in able if other is not each):
            continue
        if not any(_equals(kept, each) for kept in front):
            front.append(each)
    return tuple(front)


def costs(evaluation: Evaluation) -> tuple[float, float, float, float]:
    """Return what is to be small: time per task, p99 (infinite if unknown), memory, cores."""
    p99 = evaluation.response_time.get("p99")
    memory = evaluation.memory
    return (
        1 / evaluation.capacity.mean,
        float("inf") if p99 is None else p99.mean,
        float("inf") if memory is None else memory.mean,
        float(evaluation.cores),
    )


def _beats(one: Evaluation, other: Evaluation) -> bool:
    pairs = list(zip(costs(one), costs(other), strict=True))
    return all(a <= b for a, b in pairs) and any(a < b * (1 - TOLERANCE) for a, b in pairs)


def _equals(one: Evaluation, other: Evaluation) -> bool:
    return all(
        a == b or abs(a - b) <= TOLERANCE * max(a, b)
        for a, b in zip(costs(one), costs(other), strict=True)
    )
