"""Scores of one predicted label an item: metrics with intervals, paired differences, items.

Confusion counts are kept per cluster of items, [clusters, L, L + 1], rows gold and columns
predicted; the last column is `unparsed`, an answer that is no label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas

from workbench.record import f1 as m
from workbench.record import means
from workbench.record.draws import Counts, resample
from workbench.record.metric import UNPARSED
from workbench.record.result import ITEM_COLUMNS, Metric
from workbench.record.statistics import Statistic, difference, measure


def accuracy(counts: Counts) -> Counts:
    """Fraction of right labels, of counts [..., L, L + 1]; `unparsed` is wrong."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def by_label(counts: Counts) -> Counts:
    """Correct, predicted and gold of each label [..., L, 3], of counts [..., L, L + 1]."""
    labels = counts.shape[-2]
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    return np.stack([right, counts[..., :labels].sum(axis=-2), counts.sum(axis=-1)], axis=-1)


def macro_f1(counts: Counts) -> Counts:
    """Mean F1 over the labels that are gold or predicted, of counts [..., L, L + 1]."""
    return m.macro_f1(by_label(counts))


def mcc(counts: Counts) -> Counts:
    """Matthews correlation, -1 to 1; 0 where gold or predictions are all of one label.

    For any number of classes: Gorodkin 2004, "Comparing two K-category assignments", eq. 8.
    """
    right = np.trace(counts, axis1=-2, axis2=-1)
    total = counts.sum(axis=(-2, -1))
    predicted = counts.sum(axis=-2)
    gold = np.concatenate([counts.sum(axis=-1), np.zeros((*total.shape, 1))], axis=-1)
    covariance = right * total - (gold * predicted).sum(axis=-1)
    spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (gold**2).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, covariance / np.sqrt(spread), 0.0)


HEADLINE = ("accuracy", "macro_f1", "mcc")
SIMPLE: dict[str, tuple[Statistic, str]] = {
    "accuracy": (accuracy, "fraction"),
    "mcc": (mcc, "correlation"),
}
"""Metric -> statistic and unit; macro F1 has an interval of its own kind."""


def unparsed(counts: Counts) -> Counts:
    """Fraction of answers that are no label, of counts [..., L, L + 1]."""
    return counts[..., -1].sum(axis=-1) / counts.sum(axis=(-2, -1))


def confusion(
    gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str], clusters: Sequence[object]
) -> Counts:
    """Confusion counts [clusters, L, L + 1] in order of the clusters' first items."""
    rows = {cluster: row for row, cluster in enumerate(dict.fromkeys(clusters))}
    places = {label: place for place, label in enumerate([*labels, UNPARSED])}
    counts = np.zeros((len(rows), len(labels), len(labels) + 1))
    for right, found, cluster in zip(gold, predicted, clusters, strict=True):
        counts[rows[cluster], places[right], places[found]] += 1
    return counts


def metrics(
    gold: Sequence[str],
    predicted: Sequence[str],
    labels: Sequence[str],
    clusters: Sequence[object],
    *,
    of: str,
    split: str = "test",
) -> dict[str, Metric]:
    """Accuracy, macro F1, MCC and each label's F1, with intervals over clusters.

    `of` says in words what a cluster is, such as "texts". A gold label outside `labels` raises
    KeyError, a prediction outside of them and `unparsed` too.
    """
    counts = confusion(gold, predicted, labels, clusters)
    samples = resample(counts)
    each, drawn = by_label(counts), by_label(samples)
    n = len(gold)
    found: dict[str, Metric | None] = {**headline(counts, samples, n=n, of=of)}
    for place, label in enumerate(labels):
        found[f"f1/{label}"] = measure(
            each[:, place],
            m.f1,
            n=int(each[:, place, 2].sum()),
            clusters=of,
            samples=drawn[:, place],
        )
    if any(label == UNPARSED for label in predicted):
        found[UNPARSED] = measure(counts, unparsed, n=n, clusters=of, samples=samples)
    return {f"{split}/{name}": metric for name, metric in found.items() if metric}


def headline(counts: Counts, samples: Counts, *, n: int, of: str) -> dict[str, Metric]:
    """Accuracy, macro F1 and MCC of counts [clusters, L, L + 1], from their sums [samples, ...]."""
    found = {
        name: measure(counts, statistic, n=n, clusters=of, unit=unit, samples=samples)
        for name, (statistic, unit) in SIMPLE.items()
    }
    found["macro_f1"] = m.measure_macro_f1(
        by_label(counts), n=n, clusters=of, samples=by_label(samples)
    )
    return {name: metric for name in HEADLINE if (metric := found[name])}


def headline_differences(pairs: Counts, samples: Counts, *, n: int, of: str) -> dict[str, Metric]:
    """The first's minus the second's, of counts [clusters, 2, L, L + 1], paired."""
    found = {
        name: difference(pairs, statistic, n=n, clusters=of, unit=unit, samples=samples)
        for name, (statistic, unit) in SIMPLE.items()
    }
    found["macro_f1"] = m.macro_f1_difference(
        by_label(pairs), n=n, clusters=of, samples=by_label(samples)
    )
    return {name: metric for name in HEADLINE if (metric := found[name])}


def differences(
    gold: Sequence[str],
    ours: Sequence[str],
    theirs: Sequence[str],
    labels: Sequence[str],
    clusters: Sequence[object],
    *,
    of: str,
    split: str = "test",
) -> dict[str, Metric]:
    """Ours minus theirs in accuracy, macro F1 and MCC on the same items, paired by cluster."""
    both = np.stack(
        [confusion(gold, predicted, labels, clusters) for predicted in (ours, theirs)], axis=1
    )
    found = headline_differences(both, resample(both), n=len(gold), of=of)
    return {f"{split}/{name}": metric for name, metric in found.items()}


def accuracy_metric(
    gold: Sequence[str],
    predicted: Sequence[str],
    labels: Sequence[str],
    clusters: Sequence[object],
    *,
    of: str,
) -> Metric:
    """Accuracy alone, with its interval."""
    counts = confusion(gold, predicted, labels, clusters)
    metric = measure(counts, accuracy, n=len(gold), clusters=of)
    assert metric is not None, "an accuracy is defined wherever there is an item"
    return metric


@dataclass(frozen=True)
class Compared:
    """Several methods on the same items, one of them the run's own."""

    method: str
    metrics: dict[str, Metric]
    baselines: dict[str, dict[str, Metric]]
    comparisons: dict[str, dict[str, Metric]]
    items: pandas.DataFrame

    def record(self) -> dict[str, Any]:
        """The fields of a `Result` that say who did how well."""
        return {
            "method": self.method,
            "metrics": self.metrics,
            "baselines": self.baselines,
            "comparisons": self.comparisons,
        }


def compare(
    own: str,
    predicted: Mapping[str, Sequence[str]],
    rows: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    *,
    of: str,
    losses: Mapping[str, Sequence[float]] | None = None,
) -> Compared:
    """Score each method's labels for the same items; `own` against each of the others.

    `rows` has the columns item, cluster, text and label; `losses` are cross-entropies in nats.
    """
    gold, clusters = rows["label"], rows["cluster"]
    scores = {
        method: metrics(gold, found, labels, clusters, of=of) for method, found in predicted.items()
    }
    others = [method for method in predicted if method != own]
    parts = [
        items(
            rows["item"],
            method,
            rows["text"],
            gold,
            found,
            clusters=clusters,
            losses=(losses or {}).get(method),
        )
        for method, found in predicted.items()
    ]
    return Compared(
        method=own,
        metrics=scores[own],
        baselines={method: scores[method] for method in others},
        comparisons={
            method: differences(gold, predicted[own], predicted[method], labels, clusters, of=of)
            for method in others
        },
        items=pandas.concat(parts, ignore_index=True),
    )


def compare_values(
    own: str,
    values: Mapping[str, Mapping[str, means.Values]],
    items: pandas.DataFrame,
    clusters: Sequence[object] | None = None,
    *,
    of: str,
) -> Compared:
    """Means of what each method gets for the same N items, metric by metric; `own` against others.

    `values` are method -> metric -> numbers [N], NaN where the metric leaves an item out.
    """

    def scores(
        ours: Mapping[str, means.Values], theirs: Mapping[str, means.Values] | None = None
    ) -> dict[str, Metric]:
        found = {
            name: means.mean(column, clusters, of=of)
            if theirs is None
            else means.mean_difference(column, theirs[name], clusters, of=of)
            for name, column in ours.items()
        }
        return {name: metric for name, metric in found.items() if metric}

    others = [method for method in values if method != own]
    return Compared(
        method=own,
        metrics=scores(values[own]),
        baselines={method: scores(values[method]) for method in others},
        comparisons={method: scores(values[own], values[method]) for method in others},
        items=items,
    )


def items(
    names: Sequence[str],
    method: str,
    inputs: Sequence[str],
    gold: Sequence[str],
    predicted: Sequence[str],
    *,
    clusters: Sequence[object],
    losses: Sequence[float] | None = None,
    split: str = "test",
) -> pandas.DataFrame:
    """One row an item, in the format that all tasks share (see `Result.items`)."""
    columns = (
        [f"{split}/{name}" for name in names],
        [split] * len(names),
        [method] * len(names),
        [str(cluster) for cluster in clusters],
        [[text] for text in inputs],
        [[label] for label in gold],
        [[label] for label in predicted],
        list(losses) if losses is not None else [None] * len(names),
    )
    frame = pandas.DataFrame(dict(zip(ITEM_COLUMNS, columns, strict=True)))
    return frame.astype({"loss": float})
