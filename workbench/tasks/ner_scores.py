"""Scores of predicted tags over one split: metrics with intervals, baselines, items, tables."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
import yaml

from workbench import metrics as m
from workbench import paths
from workbench.data.ner import NerData
from workbench.result import ITEM_COLUMNS, Metric
from workbench.statistics import MIN_CLUSTERS, Counts, Statistic, measure

Predicted = Sequence[Sequence[str]]
PREDICTED, GOLD = 1, 2
"""Places of the counts that a metric's n is taken from."""
METHOD = "fine-tuned"
REFERENCES = paths.PACKAGE / "tasks" / "ner_references.yaml"


def metrics(
    data: NerData, split: str, predicted: Predicted, argmax: Predicted | None = None
) -> dict[str, Metric]:
    """All metrics of a split, each with an interval.

    `predicted` are valid IOB2 tags. `argmax` are a classifier's best tag of each word by itself,
    which need not be valid: they are read strictly and leniently.
    """
    gold = list(data.splits[split]["ner_tags"])
    clusters, unit = drawn(data, split)
    entities = m.entity_counts(gold, predicted, clusters, data.types)
    tokens = m.token_counts(gold, predicted, clusters, data.labels)
    found = {
        "entity_f1": _metric(entities.sum(axis=1), m.f1, unit),
        "entity_precision": _metric(entities.sum(axis=1), m.precision, unit, n=PREDICTED),
        "entity_recall": _metric(entities.sum(axis=1), m.recall, unit),
        "token_accuracy": _metric(tokens.sum(axis=1), m.recall, unit),
        "token_macro_f1": _metric(tokens, _macro_f1, unit),
    }
    for lenient in (False, True) if argmax else ():
        reading = "lenient" if lenient else "strict"
        counts = m.entity_counts(gold, argmax or [], clusters, data.types, lenient=lenient)
        found[f"entity_f1_argmax_{reading}"] = _metric(counts.sum(axis=1), m.f1, unit)
    for column, kind in enumerate(data.types):
        found[f"entity_f1/{kind}"] = _metric(entities[:, column], m.f1, unit)
    return {f"{split}/{name}": metric for name, metric in found.items() if metric}


def drawn(data: NerData, split: str) -> tuple[list[int], str]:
    """For each sentence of a split what is drawn with it for intervals, and what that is."""
    documents = list(data.splits[split]["document"])
    if len(set(documents)) < MIN_CLUSTERS:
        return list(range(len(documents))), f"sentences (fewer than {MIN_CLUSTERS} documents)"
    return documents, "documents"


def _macro_f1(counts: Counts) -> Counts:
    """Mean F1 over the labels; one that occurs nowhere counts 0, as in scikit-learn."""
    return np.nan_to_num(m.f1(counts)).mean(axis=-1)


def _metric(counts: Counts, statistic: Statistic, clusters: str, n: int = GOLD) -> Metric | None:
    return measure(counts, statistic, n=int(counts[..., n].sum()), clusters=clusters)


def majority(data: NerData) -> dict[str, Metric]:
    """Test metrics of tagging every word `O`."""
    return _baseline(data, [["O"] * len(words) for words in data.splits["test"]["tokens"]])


def lexicon(data: NerData) -> dict[str, Metric]:
    """Test metrics of remembering the entities of the training split."""
    from workbench.models.lexicon import Lexicon

    model = Lexicon()
    model.fit(data.splits["train"]["tokens"], data.splits["train"]["ner_tags"])
    return _baseline(data, [model.predict(words) for words in data.splits["test"]["tokens"]])


def _baseline(data: NerData, predicted: Predicted) -> dict[str, Metric]:
    kept = ("test/entity_f1", "test/token_accuracy", "test/token_macro_f1")
    return {
        name: metric for name, metric in metrics(data, "test", predicted).items() if name in kept
    }


def items(
    data: NerData,
    split: str,
    predicted: Predicted,
    losses: Sequence[float] | None = None,
    *,
    method: str = METHOD,
) -> pandas.DataFrame:
    """One row a sentence, in the format that all tasks share (see `Result.items`)."""
    rows = data.splits[split]
    names = [
        f"{split}/{index}/{hashlib.sha256(' '.join(words).encode()).hexdigest()[:8]}"
        for index, words in enumerate(rows["tokens"])
    ]
    columns = (
        names,
        [split] * len(names),
        [method] * len(names),
        [str(document) for document in rows["document"]],
        list(rows["tokens"]),
        list(rows["ner_tags"]),
        [list(tags) for tags in predicted],
        list(losses) if losses is not None else [None] * len(names),
    )
    return pandas.DataFrame(dict(zip(ITEM_COLUMNS, columns, strict=True)))


def tables(data: NerData, predicted: Predicted) -> dict[str, Any]:
    """The token-by-token report over the test split, and published ones on the same data."""
    labels = [*data.labels[1:], "O"]
    report = m.TokenReport().compute(
        predictions=[list(tags) for tags in predicted],
        references=list(data.splits["test"]["ner_tags"]),
        labels=labels,
    )
    published = yaml.safe_load(REFERENCES.read_text(encoding="utf-8"))
    return {"token_report": report, "reference": published.get(data.source.name)}
