"""Intervals by bootstrap over clusters: the items of a cluster stay together."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.result import Metric

RESAMPLES = 2000
LEVEL = 0.95
MIN_CLUSTERS = 10
"""Fewer say nothing about how clusters vary: there is no interval then."""
NORMAL_95, NORMAL_80 = 1.96, 0.84
"""Quantiles: of a two-sided 95 % interval, and of a power of 80 %."""
Counts = NDArray[np.float64]
Statistic = Callable[[Counts], Counts]


def resample(counts: Counts, *, seed: int = 0, resamples: int = RESAMPLES) -> Counts:
    """Sums [resamples, ...] of counts [clusters, ...] over clusters drawn with replacement.

    The same seed and number of clusters give the same draws, so that sums of two methods' counts
    are paired. Raises ValueError without clusters.
    """
    clusters = len(counts)
    if clusters == 0:
        raise ValueError("no clusters to draw from")
    generator = np.random.default_rng(seed)
    even = np.full(clusters, 1 / clusters)
    sums = []
    for block in _blocks(resamples, clusters):
        draws = generator.multinomial(clusters, even, size=block).astype(np.float64)
        sums.append(np.tensordot(draws, counts, axes=1))
    return np.concatenate(sums)


def bootstrap(
    counts: Counts, statistic: Statistic, *, seed: int = 0, samples: Counts | None = None
) -> tuple[float, float, float]:
    """Value and 95 % percentile interval of a statistic of summed counts.

    `counts` is [clusters, ...]; `statistic` maps sums [samples, ...] to values [samples]. Clusters
    are drawn with replacement (Efron and Tibshirani 1993, sections 6.2 and 13.3); `samples` are
    the sums where `resample` made them already. NaN samples, for instance of a class that was not
    drawn, are left out; where the value itself is NaN, so is the interval. Raises ValueError
    without clusters.

    >>> bootstrap(np.ones((5, 2)), lambda sums: sums[:, 0] / sums[:, 1])
    (1.0, 1.0, 1.0)
    """
    if samples is None:
        samples = resample(counts, seed=seed)
    value = float(statistic(counts.sum(axis=0)[None])[0])
    if math.isnan(value):
        return math.nan, math.nan, math.nan
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(statistic(samples), [tail, 1 - tail])
    return value, float(low), float(high)


def measure(
    counts: Counts,
    statistic: Statistic,
    *,
    n: int,
    clusters: str,
    unit: str = "share",
    samples: Counts | None = None,
) -> Metric | None:
    """A statistic as a metric with interval; None where it is not defined.

    `clusters` says in words what is drawn, such as "documents"; under 10 of them there is no
    interval, and the metric says so.
    """
    if len(counts) < MIN_CLUSTERS:
        value = float(statistic(counts.sum(axis=0)[None])[0])
        how = f"no interval: only {len(counts)} {clusters}"
        return None if math.isnan(value) else Metric(value=value, n=n, unit=unit, how=how)
    value, low, high = bootstrap(counts, statistic, samples=samples)
    if math.isnan(value):
        return None
    how = f"percentile bootstrap over {len(counts):,} {clusters}, {RESAMPLES:,} resamples"
    return Metric(value=value, low=low, high=high, n=n, unit=unit, how=how)


def detectable(found: Metric) -> float | None:
    """Smallest true value that 8 of 10 samples like this one would tell from 0.

    From half the interval's width, as if the estimate were normal. None without an interval, or
    with one of no width, which says nothing of how samples vary.

    >>> found = Metric(value=0.01, low=-0.0096, high=0.0296, n=900, how="bootstrap")
    >>> f"{detectable(found):.3f}"  # 2.8 standard errors of 0.01
    '0.028'
    """
    if found.low is None or found.high is None or found.low == found.high:
        return None
    return (NORMAL_95 + NORMAL_80) * (found.high - found.low) / (2 * NORMAL_95)


def p_value(differences: Counts) -> float:
    """Two-sided bootstrap p-value of a difference, from its resamples [samples], NaN left out.

    Twice the smaller fraction of resamples on one side of 0, counting one more resample, so that
    it is never 0 (Davison and Hinkley 1997, "Bootstrap Methods", section 4.2).

    >>> p_value(np.array([1.0, 2.0, 3.0])), p_value(np.zeros(3))
    (0.5, 1.0)
    """
    kept = differences[~np.isnan(differences)]
    fewer = min((kept <= 0).sum(), (kept >= 0).sum())
    return min(1.0, 2 * (1 + float(fewer)) / (1 + len(kept)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: significant where at most 0.05.

    The k-th smallest of m is multiplied by m - k + 1, and none is below a smaller one (Holm 1979,
    "A Simple Sequentially Rejective Multiple Test Procedure"). It bounds the chance of one false
    finding among all m.

    >>> holm([0.01, 0.04, 0.02])
    [0.03, 0.04, 0.04]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _blocks(resamples: int, clusters: int) -> list[int]:
    """Sizes of the blocks to draw in, so that one holds about ten million numbers at most."""
    size = max(1, 10_000_000 // clusters)
    return [min(size, resamples - start) for start in range(0, resamples, size)]
