"""Scores of one predicted label an item: metrics with intervals, paired differences, items.

Confusion counts are kept per cluster of items, [clusters, L, L + 1], rows gold and columns
predicted; the last column is `unparsed`, an answer that is no label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas

from workbench.data import text
from workbench.result import ITEM_COLUMNS, Metric
from workbench.statistics import Counts, Statistic, measure, resample

UNPARSED = text.UNPARSED
"""The outcome of an answer that can't be read as a label; always wrong, never a label."""


def accuracy(counts: Counts) -> Counts:
    """Share of right labels, of counts [..., L, L + 1]; `unparsed` is wrong."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def f1_by_label(counts: Counts) -> Counts:
    """F1 of each label [..., L]; NaN of a label that is neither gold nor predicted."""
    labels = counts.shape[-2]
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    both = counts.sum(axis=-1) + counts[..., :labels].sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * right / both


def macro_f1(counts: Counts) -> Counts:
    """Mean F1 over the labels; one that occurs nowhere counts 0, as in scikit-learn."""
    return np.nan_to_num(f1_by_label(counts)).mean(axis=-1)


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


HEADLINE = {"accuracy": accuracy, "macro_f1": macro_f1, "mcc": mcc}


def _unit(name: str) -> str:
    return "correlation" if name == "mcc" else "share"


def _f1_of(place: int, counts: Counts) -> Counts:
    return f1_by_label(counts)[..., place]


def unparsed(counts: Counts) -> Counts:
    """Share of answers that are no label, of counts [..., L, L + 1]."""
    return counts[..., -1].sum(axis=-1) / counts.sum(axis=(-2, -1))


def _difference(statistic: Statistic, pairs: Counts) -> Counts:
    return statistic(pairs[..., 0, :, :]) - statistic(pairs[..., 1, :, :])


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
    found = {
        name: measure(
            counts, statistic, n=len(gold), clusters=of, unit=_unit(name), samples=samples
        )
        for name, statistic in HEADLINE.items()
    }
    for place, label in enumerate(labels):
        found[f"f1/{label}"] = measure(
            counts,
            partial(_f1_of, place),
            n=int(counts[:, place].sum()),
            clusters=of,
            samples=samples,
        )
    if any(label == UNPARSED for label in predicted):
        found[UNPARSED] = measure(
            counts,
            unparsed,
            n=len(gold),
            clusters=of,
            samples=samples,
        )
    return {f"{split}/{name}": metric for name, metric in found.items() if metric}


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
    samples = resample(both)
    found = {
        f"{split}/{name}": measure(
            both,
            partial(_difference, statistic),
            n=len(gold),
            clusters=of,
            unit=_unit(name),
            samples=samples,
        )
        for name, statistic in HEADLINE.items()
    }
    return {name: metric for name, metric in found.items() if metric}


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
