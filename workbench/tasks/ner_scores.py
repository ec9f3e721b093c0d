"""Scores of predicted tags over one split: metrics with intervals, baselines, items, tables."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas
import yaml

from workbench import metrics as m
from workbench import paths
from workbench.data.ner import NerData
from workbench.result import ITEM_COLUMNS, Metric
from workbench.statistics import RESAMPLES, Counts, bootstrap

Predicted = Sequence[Sequence[str]]
REFERENCES = paths.PACKAGE / "tasks" / "ner_references.yaml"


def metrics(data: NerData, split: str, predicted: Predicted) -> dict[str, Metric]:
    """All metrics of a split, each with an interval from a bootstrap over documents."""
    gold, documents = data.splits[split]["ner_tags"], data.splits[split]["document"]
    entities = m.entity_counts(gold, predicted, documents, data.types)
    lenient = m.entity_counts(gold, predicted, documents, data.types, lenient=True)
    tokens = m.token_counts(gold, predicted, documents, data.labels)
    found = {
        "entity_f1": _metric(entities.sum(axis=1), m.f1),
        "entity_precision": _metric(entities.sum(axis=1), m.precision),
        "entity_recall": _metric(entities.sum(axis=1), m.recall),
        "entity_f1_lenient": _metric(lenient.sum(axis=1), m.f1),
        "token_accuracy": _metric(tokens.sum(axis=1), m.recall),
        "token_macro_f1": _metric(tokens, lambda sums: np.nanmean(m.f1(sums), axis=-1)),
    }
    for column, kind in enumerate(data.types):
        found[f"entity_f1/{kind}"] = _metric(entities[:, column], m.f1)
    return {f"{split}/{name}": metric for name, metric in found.items() if metric}


def _metric(counts: Counts, statistic: Callable[[Counts], Counts]) -> Metric | None:
    """The number and its interval; None where it is not defined, as for a class without items."""
    value, low, high = bootstrap(counts, statistic)
    if np.isnan(value):
        return None
    return Metric(
        value=value,
        low=low,
        high=high,
        n=int(counts[..., 2].sum()),
        how=f"percentile bootstrap over {len(counts):,} documents, {RESAMPLES:,} resamples",
    )


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
    data: NerData, split: str, predicted: Predicted, losses: Sequence[float] | None = None
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
