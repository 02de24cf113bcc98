"""From raw samples to estimates: medians, paired ratios, differences, robust curve fits.

Intervals are 90 % percentile bootstraps. Medians and a soft-L1 loss, because samples of time
are disturbed on one side only: an interrupt or a neighbour makes them longer, never shorter.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from scipy.stats import bootstrap

from gilplan.model.durations import Empirical
from gilplan.model.errors import MeasurementFailed
from gilplan.model.estimate import AT_BOUND, NOT_IDENTIFIABLE, Estimate

LEVEL = 0.90
RESAMPLES = 999
ONE_SAMPLE = "one sample"
#: An interval wider than this share of a parameter's range says that nothing was learnt.
OPEN_SHARE = 0.8
Z = 1.6448536269514722  # normal quantile of a 90 % interval

Floats = NDArray[np.float64]
Curve = Callable[[Floats, Floats], Floats]


def median(
    samples: Sequence[float],
    *,
    source: str,
    rng: np.random.Generator,
    floor: float | None = None,
) -> Estimate:
    """Estimate the median. Below ``floor`` value and interval are cut and flagged at bound."""
    values = np.asarray(samples, dtype=np.float64)
    if not values.size:
        raise MeasurementFailed(f"{source}: no samples")
    if values.size == 1:
        value = float(values[0])
        found = Estimate(value=value, lower=value, upper=value, source=source, flags=(ONE_SAMPLE,))
        return _floored(found, floor)
    ends = _interval((values,), np.median, rng)
    return _floored(_estimate(float(np.median(values)), *ends, source=source), floor)


def median_over_rounds(
    rounds: Sequence[Sequence[float]],
    *,
    source: str,
    rng: np.random.Generator,
    floor: float | None = None,
) -> Estimate:
    """Estimate the median of samples from several processes, one process a round.

    Samples of one process share its memory layout and its moment, and vary less than processes
    do: the bootstrap draws rounds first, then samples within each.
    """
    groups = [np.asarray(samples, dtype=np.float64) for samples in rounds if len(samples)]
    pooled = np.concatenate(groups) if groups else np.empty(0)
    if len(groups) < 2:
        return median(pooled.tolist(), source=source, rng=rng, floor=floor)
    drawn = np.empty(RESAMPLES)
    for k in range(RESAMPLES):
        chosen = [groups[index] for index in rng.integers(0, len(groups), len(groups))]
        drawn[k] = np.median(np.concatenate([rng.choice(one, one.size) for one in chosen]))
    found = _estimate(float(np.median(pooled)), *_tails(drawn), source=source)
    return _floored(found, floor)


def ratio_of_means(
    above: Sequence[float], below: Sequence[float], *, source: str, rng: np.random.Generator
) -> Estimate:
    """Estimate the ratio of the means of samples taken in pairs, one right after the other.

    Of means, not the median of ratios: where single samples swing by tens of per cent, what is
    wanted of a speed is what it comes to in the long run.
    """
    pairs = np.asarray(list(zip(above, below, strict=True)), dtype=np.float64).reshape(-1, 2)
    if not pairs.size:
        raise MeasurementFailed(f"{source}: no samples")

    def ratio(a: Floats, b: Floats) -> Floats:
        return np.asarray(a.mean(axis=-1) / b.mean(axis=-1))

    drawn = pairs[rng.integers(0, len(pairs), (RESAMPLES, len(pairs)))]
    ends = _tails(ratio(drawn[..., 0], drawn[..., 1]))
    return _estimate(float(ratio(pairs[:, 0], pairs[:, 1])), *ends, source=source)


def median_difference(
    later: Sequence[float],
    earlier: Sequence[float],
    *,
    source: str,
    rng: np.random.Generator,
    floor: float | None = None,
) -> Estimate:
    """Estimate the difference of the medians of two independent sets of samples."""
    first, second = np.asarray(later, dtype=np.float64), np.asarray(earlier, dtype=np.float64)
    if not first.size or not second.size:
        raise MeasurementFailed(f"{source}: no samples")

    def difference(a: Floats, b: Floats, axis: int = -1) -> Floats:
        return np.asarray(np.median(a, axis=axis) - np.median(b, axis=axis))

    ends = _interval((first, second), difference, rng)
    return _floored(_estimate(float(difference(first, second)), *ends, source=source), floor)


def assumed(value: float, lower: float, upper: float, source: str) -> Estimate:
    """Return an estimate for what ``source`` did not measure, flagged as such."""
    return Estimate(
        value=value, lower=lower, upper=upper, source=source, flags=(NOT_IDENTIFIABLE, "assumed")
    )


def thinned(samples: Sequence[float], count: int) -> Empirical:
    """Keep at most ``count`` samples: evenly spaced quantiles, so that tails keep their share.

    Negative samples (a subtracted cost above the time) count as zero.
    """
    values = np.sort(np.maximum(np.asarray(samples, dtype=np.float64), 0.0))
    if values.size > count:
        values = np.quantile(values, (np.arange(count) + 0.5) / count)
    return Empirical(tuple(float(value) for value in values))


def fit(
    curve: Curve,
    x: Sequence[float],
    y: Sequence[float],
    *,
    start: Sequence[float],
    lower: Sequence[float],
    upper: Sequence[float],
    source: str,
    rng: np.random.Generator,
    resamples: int = 200,
) -> tuple[Estimate, ...]:
    """Fit ``y = curve(parameters, x)`` robustly; one estimate for each parameter.

    A parameter is *not identifiable* where the samples leave its value open: moving it (alone or
    against others) changes no prediction, or its interval spans most of the allowed range. Its
    interval is then the whole range. *At bound*: the best value is where the range ends, so
    that the truth may lie outside. ``residual``: root-mean-square residual over the mean of y.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if ys.size < len(start):
        raise MeasurementFailed(f"{source}: {ys.size} samples for {len(start)} parameters")
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    span = high - low
    scale = max(float(np.median(np.abs(ys - np.median(ys)))), 1e-12)

    def solve(chosen: NDArray[np.intp], begin: Floats) -> OptimizeResult:
        def residuals(unit: Floats) -> Floats:
            return np.asarray((curve(low + unit * span, xs[chosen]) - ys[chosen]) / scale)

        begin = np.clip((begin - low) / span, 0.0, 1.0)
        return least_squares(residuals, begin, bounds=(0.0, 1.0), loss="soft_l1")

    everything = np.arange(ys.size)
    best = solve(everything, np.asarray(start, dtype=np.float64))
    values = low + best.x * span
    redrawn = np.array(
        [low + solve(rng.integers(0, ys.size, ys.size), values).x * span for _ in range(resamples)]
    )
    residual = float(np.sqrt(np.mean((curve(values, xs) - ys) ** 2)) / np.mean(np.abs(ys)))
    noise = float(1.4826 * np.median(np.abs(curve(values, xs) - ys))) / scale
    open_ones = _undetermined(np.asarray(best.jac), noise)
    estimates = []
    for k, value in enumerate(values):
        ends = _tails(redrawn[:, k])
        flags = []
        if not 1e-4 < best.x[k] < 1 - 1e-4:
            flags.append(AT_BOUND)
        if open_ones[k] or ends[1] - ends[0] > OPEN_SHARE * span[k]:
            flags.append(NOT_IDENTIFIABLE)
            ends = float(low[k]), float(high[k])
        estimates.append(
            _estimate(float(value), *ends, source=source, residual=residual, flags=tuple(flags))
        )
    return tuple(estimates)


def _undetermined(jacobian: Floats, noise: float) -> NDArray[np.bool_]:
    """Find the parameters that take part in a direction which the samples do not determine.

    The Jacobian is in units of each parameter's range, so the inverse of a singular value times
    the noise is the standard error along its direction as a share of the range.
    """
    _, singular, directions = np.linalg.svd(jacobian, full_matrices=True)
    padded = np.zeros(jacobian.shape[1])
    padded[: singular.size] = singular
    flat = padded <= max(1e-6 * max(padded[0], 1.0), Z * noise / (OPEN_SHARE / 2))
    shares = np.abs(directions[flat]) > 0.05
    return np.asarray(shares.any(axis=0)) if flat.any() else np.zeros(padded.size, dtype=bool)


def _interval(
    samples: tuple[Floats, ...], statistic: Callable[..., Any], rng: np.random.Generator
) -> tuple[float, float]:
    """Bootstrap the statistic of one or more independent sets of samples."""
    result = bootstrap(
        samples,
        statistic,
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        method="percentile",
        batch=100,
        vectorized=True,
        rng=rng,
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _tails(values: Floats) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)


def _estimate(
    value: float,
    lower: float,
    upper: float,
    *,
    source: str,
    residual: float | None = None,
    flags: tuple[str, ...] = (),
) -> Estimate:
    """An estimate whose interval holds its value, whatever the bootstrap's quantiles say."""
    return Estimate(
        value=value,
        lower=min(float(lower), value),
        upper=max(float(upper), value),
        source=source,
        residual=residual,
        flags=flags,
    )


def _floored(found: Estimate, floor: float | None) -> Estimate:
    if floor is None or found.lower >= floor:
        return found
    bound = (AT_BOUND,) if found.value <= floor else ()
    return Estimate(
        value=max(found.value, floor),
        lower=floor,
        upper=max(found.upper, floor),
        source=found.source,
        residual=found.residual,
        flags=(*found.flags, *bound),
    )
