"""Paired numbers of two methods over the same N items, with intervals and verdicts."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.draws import resample
from workbench.comparison.pairs import Places, finite_losses
from workbench.comparison.records import Measure
from workbench.result import Metric
from workbench.statistics import Counts, detectable, measure

if TYPE_CHECKING:
    from workbench.comparison.pairs import Pair

TURNED = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}
"""What a verdict is where less is better."""


def measures(rows: "Pair", right: NDArray[np.bool_], clusters: Places) -> dict[str, Measure]:
    """Accuracy from right items [N, 2]; that of tokens where items have several; mean loss."""
    ones = np.ones(len(right))
    found = {"accuracy": paired(right.astype(float), ones, clusters)}
    lengths = rows[0]["gold"].map(len).to_numpy(dtype=float)
    if lengths.max() > 1:
        hits = [list(map(_hits, frame["gold"], frame["predicted"])) for frame in rows]
        found["token_accuracy"] = paired(np.array(hits, dtype=float).T, lengths, clusters)
    losses = finite_losses(rows)
    kept = ~np.isnan(losses[:, 0])
    if kept.any():
        found["loss"] = paired(losses[kept], ones[kept], clusters[kept], less_is_better=True)
    return found


def _hits(gold: Sequence[str], predicted: Sequence[str]) -> int:
    """Labels of an item that are right; those that a prediction lacks are wrong.

    >>> _hits(("O", "B-PER", "O"), ("O", "O"))
    1
    """
    return sum(right == found for right, found in zip(gold, predicted, strict=False))


def paired(
    sums: Counts, weights: Counts, clusters: Places, *, less_is_better: bool = False
) -> Measure:
    """Means of A and B, sums [N, 2] over weights [N], and B minus A, all from the same draws.

    What is better the less of it there is, is a loss in nats; the rest are shares.
    """
    # The difference is taken item by item, so that equal sums give exactly 0.
    columns = np.column_stack([sums, sums[:, 1] - sums[:, 0], weights])
    _, places = np.unique(clusters, return_inverse=True)
    counts = np.zeros((places.max() + 1, columns.shape[1]))
    np.add.at(counts, places, columns)
    samples = resample(counts)

    def mean(column: int) -> Metric:
        found = measure(
            counts,
            partial(_mean, column),
            n=int(weights.sum()),
            clusters="items" if len(counts) == len(sums) else "clusters of items",
            unit="nats" if less_is_better else "share",
            samples=samples,
        )
        assert found is not None, "a mean is defined wherever there is an item"
        return found

    a, b, difference = mean(0), mean(1), mean(2)
    verdict = TURNED[difference.verdict] if less_is_better else difference.verdict
    return Measure(a, b, difference, detectable(difference), verdict)


def _mean(column: int, sums: Counts) -> Counts:
    """A column over the last one; NaN in a draw of items without labels."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., column] / sums[..., -1]
