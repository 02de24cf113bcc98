"""Estimates of a program's crowds on several builds are drawn together by what is only scatter."""

import numpy as np
import pytest

from gilplan.calibration.crowd import CrowdPoint
from gilplan.calibration.crowd_pooling import pooled

BUILDS = ("3.11.7", "3.12.1", "3.13.0", "3.14.10")
PROGRAMS = tuple(f"p{number}" for number in range(40))
TRUTH = 0.3


def crowds(*, builds: float, cycles: float, count: int = 5):
    """Ratios about ``exp(TRUTH)``; builds and cycles scatter by so much. With what is true."""
    rng = np.random.default_rng(5)
    found, truth = {}, {}
    for program in PROGRAMS:
        for build in BUILDS:
            key = build, program
            truth[key] = TRUTH + builds * rng.standard_normal()
            ratios = np.exp(truth[key] + cycles * rng.standard_normal(count))
            found[key] = (
                CrowdPoint(
                    threads=2,
                    interval=1e-4,
                    cores=2,
                    cycles=tuple((1.0, float(ratio)) for ratio in ratios),
                    controls=((1.0, 1.1),),
                ),
            )
    return found, truth


def errors(found, truth) -> float:
    """Root mean square of what the logarithms of the ratios are off by."""
    off = [np.log(found[key][0].ratio) - truth[key] for key in truth]
    return float(np.sqrt(np.mean(np.square(off))))


def test_of_builds_that_do_not_differ_only_the_mean_is_left():
    found, truth = crowds(builds=0.0, cycles=0.1)
    # The mean over four builds is twice as sure as one of them.
    assert errors(pooled(found), truth) == pytest.approx(errors(found, truth) / 2, rel=0.15)


def test_builds_that_differ_far_more_than_cycles_scatter_stay_apart():
    found, _ = crowds(builds=0.3, cycles=0.02)
    near, far = pooled(found), max(found, key=lambda key: found[key][0].ratio)
    assert near[far][0].ratio == pytest.approx(found[far][0].ratio, rel=0.01)


def test_what_is_kept_is_nearer_to_the_truth_than_either_all_or_nothing():
    found, truth = crowds(builds=0.05, cycles=0.1)
    means = {
        key: np.mean([np.log(found[build, key[1]][0].ratio) for build in BUILDS]) for key in found
    }
    alike = float(np.sqrt(np.mean([(means[key] - truth[key]) ** 2 for key in truth])))
    assert errors(pooled(found), truth) < min(errors(found, truth), alike)


def test_a_program_on_one_build_and_single_cycles_stay_as_they_are():
    found, _ = crowds(builds=0.1, cycles=0.1)
    alone = {("3.14.10", "p0"): found["3.14.10", "p0"]}
    assert pooled(alone) == alone
    once, _ = crowds(builds=0.1, cycles=0.1, count=1)
    assert pooled(once) == once
