"""What a program's crowds cost on several builds, each nearer to what they cost on the others.

A ratio of a crowd comes from a few cycles at one time; where a virtual machine's host has just put
the cores changes what their hand-offs cost (`gilplan.calibration.refresh`), and where a process's
memory happens to lie what its caches do. Builds of one program differ less than that: each
estimate is drawn towards the mean over the builds, by as much as the scatter of the cycles explains
of what the builds differ by (empirical Bayes; B. Efron and C. Morris, "Stein's estimation rule and
its competitors", Journal of the American Statistical Association 68, 1973). What it does not
explain stays: a build that hands over differently, or keeps its memory differently, keeps that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gilplan.calibration.crowd import Condition, CrowdPoint

#: Build and program.
Key = tuple[str, str]
Crowds = Mapping[Key, Sequence[CrowdPoint]]


@dataclass(frozen=True, slots=True)
class Scatter:
    """Variances of a logarithm of a ratio: of one estimate, and of builds about their mean."""

    estimate: float
    builds: float

    @property
    def kept(self) -> float:
        """Return how much of its distance from the mean an estimate keeps, 0 to 1."""
        whole = self.estimate + self.builds
        return self.builds / whole if whole else 1.0


def pooled(crowds: Crowds) -> dict[Key, tuple[CrowdPoint, ...]]:
    """Return the points with their ratios drawn towards the mean over each program's builds.

    A program that was measured on one build stays as it is.
    """
    estimates = _estimates(crowds)
    kept = {condition: _scatter(found).kept for condition, found in estimates.items()}
    means = {
        (condition, program): float(np.mean([ratio for ratio, _ in by_program]))
        for condition, found in estimates.items()
        for program, by_program in found.items()
    }

    def drawn(point: CrowdPoint, program: str) -> CrowdPoint:
        distance = np.log(point.ratio) - means[point.condition, program]
        factor = float(np.exp((kept[point.condition] - 1.0) * distance))
        cycles = tuple((alone, crowded * factor) for alone, crowded in point.cycles)
        return replace(point, cycles=cycles)

    return {
        (build, program): tuple(drawn(point, program) for point in points)
        for (build, program), points in crowds.items()
    }


def _estimates(crowds: Crowds) -> dict[Condition, dict[str, list[tuple[float, float]]]]:
    """Return by condition and program each build's logarithm of the ratio, and its variance."""
    found: dict[Condition, dict[str, list[tuple[float, float]]]] = {}
    for (_, program), points in crowds.items():
        for point in points:
            cycles = np.log(np.asarray(point.cycles))
            each = cycles[:, 1] - cycles[:, 0]
            variance = float(each.var(ddof=1) / len(each)) if len(each) > 1 else np.nan
            of_program = found.setdefault(point.condition, {}).setdefault(program, [])
            of_program.append((float(np.log(point.ratio)), variance))
    return found


def _scatter(by_program: Mapping[str, Sequence[tuple[float, float]]]) -> Scatter:
    """Return what estimates scatter by, and builds beyond that; by the method of moments."""
    estimate = np.array([variance for each in by_program.values() for _, variance in each])
    known = estimate[np.isfinite(estimate)]
    several = [np.array(each)[:, 0] for each in by_program.values() if len(each) > 1]
    if not len(known) or not several:
        return Scatter(estimate=0.0, builds=0.0)
    squares = sum(float(np.sum((ratios - ratios.mean()) ** 2)) for ratios in several)
    whole = squares / sum(len(ratios) - 1 for ratios in several)
    own = float(known.mean())
    return Scatter(estimate=own, builds=max(whole - own, 0.0))
