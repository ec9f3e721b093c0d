"""Paired numbers of two methods over the same N items, with intervals and verdicts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.record.comparison import ratios
from workbench.record.comparison.pairs import Places, finite_losses
from workbench.record.comparison.ratios import KINDS, Kind, Labels
from workbench.record.comparison.records import Measure
from workbench.record.draws import Counts, resample
from workbench.record.f1 import macro_f1_difference, measure_macro_f1
from workbench.record.metric import UNPARSED
from workbench.record.result import Metric
from workbench.record.statistics import TURNED, detectable, difference, measure

if TYPE_CHECKING:
    from workbench.record.comparison.pairs import Pair

NATS = Kind("nats")
MAX_CELLS = 1_000_000
"""Clusters times labels up to which macro F1 is compared."""


def main_measure(
    rows: "Pair", right: NDArray[np.bool_], clusters: Places, main: str
) -> Measure | None:
    """What the runs are compared by, one of `ratios.KINDS`; `right` [N, 2] are right items."""
    n = len(right)
    if main == "bits_per_byte":
        parts = [
            ratios.bits_per_byte(frame["loss"].to_numpy(), frame["input"].tolist())
            for frame in rows
        ]
    elif main == "entity_f1":
        gold = Labels.of(rows[0]["gold"].tolist())
        counts = [ratios.entities(gold, Labels.of(frame["predicted"].tolist())) for frame in rows]
        parts, n = [ratios.f1_parts(each) for each in counts], int(counts[0][:, 2].sum())
    else:
        parts = [np.column_stack([side, np.ones(n)]) for side in right.T.astype(float)]
    a, b = parts
    return paired(a, b, clusters, KINDS[main], n=n)


def measures(
    rows: "Pair", right: NDArray[np.bool_], clusters: Places, main: str
) -> dict[str, Measure]:
    """The main measure, then others that the items have; `right` [N, 2] are right items.

    Accuracy; macro F1 where each item has one label, token accuracy where items have several; mean
    loss. Where no item is right or wrong there is the main measure alone.
    """
    found = {main: main_measure(rows, right, clusters, main)}
    if KINDS[main].has_right:
        if main != "accuracy":
            found["accuracy"] = main_measure(rows, right, clusters, "accuracy")
        found |= _of_labels(rows, clusters) | _of_losses(rows, clusters)
    return {name: made for name, made in found.items() if made}


def _of_labels(rows: "Pair", clusters: Places) -> dict[str, Measure | None]:
    lengths = rows[0]["gold"].map(len).to_numpy(dtype=float)
    if lengths.max() > 1:
        hits = [list(map(_hits, frame["gold"], frame["predicted"])) for frame in rows]
        a, b = (np.column_stack([side, lengths]) for side in hits)
        n = int(lengths.sum())
        return {"token_accuracy": paired(a, b, clusters, KINDS["accuracy"], n=n)}
    if lengths.min() == 1 and rows[0]["gold"].nunique() > 1:
        return {"macro_f1": _macro_f1(rows, clusters)}
    return {}


def _of_losses(rows: "Pair", clusters: Places) -> dict[str, Measure | None]:
    losses = finite_losses(rows)
    kept = ~np.isnan(losses[:, 0])
    if not kept.any():
        return {}
    n = int(kept.sum())
    a, b = (np.column_stack([side, np.ones(n)]) for side in losses[kept].T)
    return {"loss": paired(a, b, clusters[kept], NATS, n=n)}


def paired(a: Counts, b: Counts, clusters: Places, kind: Kind, *, n: int) -> Measure | None:
    """Ratios of A and of B, each [N, 2] summed, and B minus A, all from the same draws.

    None where a ratio is not defined, such as F1 where nobody finds an entity.
    """
    counts = _summed(np.stack([b, a], axis=1), clusters)
    samples = resample(counts)
    what = _what(counts, a)

    def one(side: int) -> Metric | None:
        return measure(
            counts[:, side], _ratio, n=n, clusters=what, unit=kind.unit, samples=samples[:, side]
        )

    apart = difference(counts, _ratio, n=n, clusters=what, unit=kind.unit, samples=samples)
    return _measure(one(1), one(0), apart, kind)


def _macro_f1(rows: "Pair", clusters: Places) -> Measure | None:
    """Macro F1 of items with one label; an answer that names no label is wrong, and no label."""
    columns = [[labels[0] for labels in rows[0]["gold"]]]
    columns += [[[*labels[:1], UNPARSED][0] for labels in frame["predicted"]] for frame in rows]
    labels = sorted({label for column in columns for label in column} - {UNPARSED})
    size = int(clusters.max()) + 1
    if size * len(labels) > MAX_CELLS:
        return None
    places = {label: place for place, label in enumerate([*labels, UNPARSED])}
    gold, a, b = (np.array([places[label] for label in column]) for column in columns)
    counts = np.zeros((size, 2, len(labels) + 1, 3))
    for side, found in enumerate((b, a)):
        np.add.at(counts[:, side, :, 0], (clusters, gold), gold == found)
        np.add.at(counts[:, side, :, 1], (clusters, found), 1)
        np.add.at(counts[:, side, :, 2], (clusters, gold), 1)
    counts = counts[:, :, :-1]
    samples = resample(counts)
    n, what = len(gold), _what(counts, gold)

    def one(side: int) -> Metric | None:
        return measure_macro_f1(counts[:, side], n=n, clusters=what, samples=samples[:, side])

    apart = macro_f1_difference(counts, n=n, clusters=what, samples=samples)
    return _measure(one(1), one(0), apart, KINDS["accuracy"])


def _measure(
    a: Metric | None, b: Metric | None, apart: Metric | None, kind: Kind
) -> Measure | None:
    if a is None or b is None or apart is None:
        return None
    verdict = TURNED[apart.verdict] if kind.less_is_better else apart.verdict
    return Measure(a, b, apart, detectable(apart), verdict, apart.borderline)


def _summed(values: Counts, clusters: Places) -> Counts:
    """Values [N, ...] summed by cluster; clusters that have no item are left out."""
    _, places = np.unique(clusters, return_inverse=True)
    counts = np.zeros((places.max() + 1, *values.shape[1:]))
    np.add.at(counts, places, values)
    return counts


def _what(counts: Counts, items: Counts) -> str:
    return "items" if len(counts) == len(items) else "clusters of items"


def _hits(gold: Sequence[str], predicted: Sequence[str]) -> int:
    """Labels of an item that are right; those that a prediction lacks are wrong.

    >>> _hits(("O", "B-PER", "O"), ("O", "O"))
    1
    """
    return sum(right == found for right, found in zip(gold, predicted, strict=False))


def _ratio(sums: Counts) -> Counts:
    """The first over the second of the last axis; NaN over nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]
