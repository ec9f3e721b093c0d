"""Means of values by item, and paired differences of two, with intervals over clusters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.record.draws import Counts, numbered
from workbench.record.metric import Metric
from workbench.record.statistics import difference, measure

Values = Sequence[float] | NDArray[np.float64]


def mean(
    values: Values,
    clusters: Sequence[Any] | None = None,
    *,
    of: str,
    unit: str = "fraction",
) -> Metric | None:
    """Mean of values [N], NaN left out, with its interval over clusters [N], or over items.

    `of` says what is drawn, such as "questions". Values lie between 0 and 1, unless `unit` says
    otherwise. None where no value is left.

    >>> print(mean([0, 1] * 20, of="items"))
    0.500 [0.350, 0.650]
    """
    counts, n = _sums_by_cluster([values], clusters)
    return measure(counts[:, 0], _mean, n=n, clusters=of, unit=unit)


def mean_difference(
    ours: Values,
    theirs: Values,
    clusters: Sequence[Any] | None = None,
    *,
    of: str,
    unit: str = "fraction",
) -> Metric | None:
    """Mean of our values minus that of theirs on the same items [N], paired; as `mean`."""
    counts, n = _sums_by_cluster([ours, theirs], clusters)
    return difference(counts, _mean, n=n, clusters=of, unit=unit)


def _mean(counts: Counts) -> Counts:
    return counts[..., 0] / counts[..., 1]


def _sums_by_cluster(
    columns: Sequence[Values], clusters: Sequence[Any] | None
) -> tuple[Counts, int]:
    """Sum and number of each column's values in each cluster [clusters, columns, 2]; and items."""
    values = np.array(columns, dtype=float).T
    kept = ~np.isnan(values).any(axis=1)
    places = np.arange(len(values)) if clusters is None else numbered(clusters)
    counts = np.zeros((places.max(initial=-1) + 1, len(columns), 2))
    np.add.at(counts, places[kept], np.stack([values, np.ones_like(values)], axis=-1)[kept])
    return counts, int(kept.sum())
