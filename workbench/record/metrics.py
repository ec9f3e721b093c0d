"""Scores of predicted tags, as `evaluate.Metric`s that need no network, and their counts.

Counts are kept per document, [documents, classes, (correct, predicted, gold)], so that intervals
can be made by drawing documents.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import classification_report

from workbench.record.draws import Counts
from workbench.record.f1 import (
    f1,
    macro_f1,
    macro_f1_difference,
    measure_macro_f1,
    precision,
    recall,
)
from workbench.record.iob import spans

__all__ = [
    "EntityScores", "TokenReport", "entity_counts", "f1", "macro_f1", "macro_f1_difference",
    "measure_macro_f1", "precision", "recall", "token_counts",
]  # fmt: skip
Tags = Sequence[Sequence[str]]


def entity_counts(
    gold: Tags,
    predicted: Tags,
    documents: Sequence[int],
    types: Sequence[str],
    *,
    lenient: bool = False,
) -> Counts:
    """Correct, predicted and gold entities: [documents, types, 3].

    An entity is correct when its first word, last word and type all are.
    """
    rows = {document: row for row, document in enumerate(dict.fromkeys(documents))}
    columns = {kind: column for column, kind in enumerate(types)}
    counts = np.zeros((len(rows), len(types), 3))
    for gold_tags, predicted_tags, document in zip(gold, predicted, documents, strict=True):
        wanted = spans(gold_tags, lenient=lenient)
        found = spans(predicted_tags, lenient=lenient)
        for place, entities in enumerate((wanted & found, found, wanted)):
            for kind, _, _ in entities:
                counts[rows[document], columns[kind], place] += 1
    return counts


def token_counts(
    gold: Tags, predicted: Tags, documents: Sequence[int], labels: Sequence[str]
) -> Counts:
    """Correct, predicted and gold tokens of each label: [documents, labels, 3]."""
    rows = {document: row for row, document in enumerate(dict.fromkeys(documents))}
    columns = {label: column for column, label in enumerate(labels)}
    row = np.repeat([rows[document] for document in documents], [len(tags) for tags in gold])
    wanted = np.array([columns[tag] for tags in gold for tag in tags])
    found = np.array([columns[tag] for tags in predicted for tag in tags])

    def count(column: NDArray[np.int64], weights: NDArray[np.bool_] | None = None) -> Counts:
        cells = len(rows) * len(labels)
        flat = np.bincount(row * len(labels) + column, weights=weights, minlength=cells)
        return flat.reshape(len(rows), len(labels)).astype(np.float64)

    return np.stack([count(wanted, wanted == found), count(found), count(wanted)], axis=-1)


class _TagMetric(evaluate.Metric):
    """Takes lists of tags; kept in memory, so that runs side by side share no cache file."""

    def __init__(self, **options: Any) -> None:
        # A folder is made even so, and the user's home may be read-only.
        cache = Path(tempfile.gettempdir()) / f"workbench-metrics-{os.getuid()}"
        super().__init__(keep_in_memory=True, cache_dir=str(cache), **options)

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            inputs_description="predictions, references: IOB2 tags, a list a sentence",
            features=datasets.Features({"predictions": tags, "references": tags}),
        )


class EntityScores(_TagMetric):
    """Micro-averaged precision, recall and F1 of entities, strict IOB2 or lenient."""

    def _compute(self, predictions: Tags, references: Tags, *, lenient: bool = False) -> dict:
        kinds = sorted({tag[2:] for tags in (*references, *predictions) for tag in tags} - {""})
        documents = [0] * len(references)
        counts = entity_counts(references, predictions, documents, kinds, lenient=lenient)
        total = counts.sum(axis=(0, 1))
        scores = {"precision": precision(total), "recall": recall(total), "f1": f1(total)}
        return {name: float(np.nan_to_num(score)) for name, score in scores.items()}


class TokenReport(_TagMetric):
    """scikit-learn's classification report over single tokens, `O` among the classes.

    Its macro average is over labels that are gold or predicted, as `macro_f1` is.
    """

    def _compute(self, predictions: Tags, references: Tags, *, labels: list[str]) -> dict:
        gold = [tag for tags in references for tag in tags]
        predicted = [tag for tags in predictions for tag in tags]
        report = classification_report(
            gold, predicted, labels=labels, output_dict=True, zero_division=0.0
        )
        of_those_there = classification_report(gold, predicted, output_dict=True, zero_division=0.0)
        report["macro avg"] = of_those_there["macro avg"]
        if "accuracy" in report:
            # Over all classes micro precision, recall and F1 are one number, the accuracy.
            accuracy = report.pop("accuracy")
            averages = {name: report.pop(name) for name in ("macro avg", "weighted avg")}
            micro = dict.fromkeys(("precision", "recall", "f1-score"), accuracy)
            report["micro avg"] = {**micro, "support": float(len(gold))}
            report |= averages
        return report
