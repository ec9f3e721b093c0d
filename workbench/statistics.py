"""Intervals by bootstrap over clusters: the items of a cluster stay together."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95
Counts = NDArray[np.float64]
Statistic = Callable[[Counts], Counts]


def bootstrap(
    counts: Counts, statistic: Statistic, *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float, float]:
    """Value and 95 % percentile interval of a statistic of summed counts.

    `counts` is [clusters, ...]; `statistic` maps sums [samples, ...] to values [samples]. Clusters
    are drawn with replacement (Efron and Tibshirani 1993, sections 6.2 and 13.3). NaN samples, for
    instance of a class that was not drawn, are left out; where the value itself is NaN, so is the
    interval. Raises ValueError without clusters.

    >>> bootstrap(np.ones((5, 2)), lambda sums: sums[:, 0] / sums[:, 1])
    (1.0, 1.0, 1.0)
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
    value = float(statistic(counts.sum(axis=0)[None])[0])
    samples = statistic(np.concatenate(sums))
    if math.isnan(value):
        return math.nan, math.nan, math.nan
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(samples, [tail, 1 - tail])
    return value, float(low), float(high)


def _blocks(resamples: int, clusters: int) -> list[int]:
    """Sizes of the blocks to draw in, so that one holds about ten million numbers at most."""
    size = max(1, 10_000_000 // clusters)
    return [min(size, resamples - start) for start in range(0, resamples, size)]
