"""Scores of predicted tags over one split: metrics with intervals, baselines, items, tables."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
import yaml
from datasets import DatasetDict
from numpy.typing import NDArray

from workbench.core import paths
from workbench.data.ner import NerData
from workbench.record import metrics as m
from workbench.record.draws import Counts
from workbench.record.result import ITEM_COLUMNS, Metric
from workbench.record.statistics import MIN_CLUSTERS, Statistic, difference, measure

Predicted = Sequence[Sequence[str]]
PREDICTED, GOLD = 1, 2
"""Places of the counts that a metric's n is taken from."""
METHOD = "fine-tuned"
REFERENCES = paths.PACKAGE / "methods" / "tag_references.yaml"


def metrics(
    data: NerData,
    split: str,
    predicted: Predicted,
    argmax: Predicted | None = None,
    unplaced: Predicted | None = None,
) -> dict[str, Metric]:
    """All metrics of a split, each with an interval.

    `predicted` are valid IOB2 tags. `argmax` are a classifier's best tag of each word by itself,
    which need not be valid: they are read strictly and leniently. `unplaced` are of each sentence
    the types of entities that were named but have no place in it: each is a false positive.
    """
    gold = list(data.splits[split]["ner_tags"])
    clusters, unit = drawn(data, split)
    entities = m.entity_counts(gold, predicted, clusters, data.types)
    entities[..., PREDICTED] += _counted(unplaced or [[]] * len(gold), clusters, data.types)
    tokens = m.token_counts(gold, predicted, clusters, data.labels)
    found = {
        "entity_f1": _metric(entities.sum(axis=1), m.f1, unit),
        "entity_precision": _metric(entities.sum(axis=1), m.precision, unit, n=PREDICTED),
        "entity_recall": _metric(entities.sum(axis=1), m.recall, unit),
        "token_accuracy": _metric(tokens.sum(axis=1), m.recall, unit),
        "token_macro_f1": m.measure_macro_f1(tokens, n=int(tokens[..., GOLD].sum()), clusters=unit),
    }
    for lenient in (False, True) if argmax else ():
        reading = "lenient" if lenient else "strict"
        counts = m.entity_counts(gold, argmax or [], clusters, data.types, lenient=lenient)
        found[f"entity_f1_argmax_{reading}"] = _metric(counts.sum(axis=1), m.f1, unit)
    for column, kind in enumerate(data.types):
        found[f"entity_f1/{kind}"] = _metric(entities[:, column], m.f1, unit)
    return {f"{split}/{name}": metric for name, metric in found.items() if metric}


def _counted(
    named: Predicted, clusters: Sequence[int], types: Sequence[str]
) -> NDArray[np.float64]:
    """How often each type is named in each cluster: [clusters, types]."""
    rows = {cluster: row for row, cluster in enumerate(dict.fromkeys(clusters))}
    counts = np.zeros((len(rows), len(types)))
    for cluster, kinds in zip(clusters, named, strict=True):
        for kind in kinds:
            counts[rows[cluster], types.index(kind)] += 1
    return counts


def differences(data: NerData, split: str, ours: Predicted, theirs: Predicted) -> dict[str, Metric]:
    """Entity F1 of our tags minus that of theirs on the same sentences, paired by cluster."""
    both, unit = _both(data, split, ours, theirs)
    metric = difference(both, m.f1, n=int(both[:, 0, GOLD].sum()), clusters=unit)
    return {f"{split}/entity_f1": metric} if metric else {}


def _both(data: NerData, split: str, ours: Predicted, theirs: Predicted) -> tuple[Counts, str]:
    """Entity counts of two taggings by cluster [clusters, 2, 3], and what a cluster is."""
    gold = list(data.splits[split]["ner_tags"])
    clusters, unit = drawn(data, split)
    sides = [
        m.entity_counts(gold, tags, clusters, data.types).sum(axis=1) for tags in (ours, theirs)
    ]
    return np.stack(sides, axis=1), unit


def alone(data: NerData, split: str, predicted: Predicted, alone: Predicted) -> dict[str, Metric]:
    """Entity F1 where each sentence is read alone, and what the rest of the split adds to it.

    `predicted` are read among their document's other sentences, which are test sentences too:
    that is transductive. The difference is paired, over the same clusters.
    """
    both, unit = _both(data, split, predicted, alone)
    found = {
        "entity_f1_sentence_alone": _metric(both[:, 1], m.f1, unit),
        "entity_f1_gain_of_document": difference(
            both, m.f1, n=int(both[:, 0, GOLD].sum()), clusters=unit
        ),
    }
    return {f"{split}/{name}": metric for name, metric in found.items() if metric}


def sample(data: NerData, split: str, count: int) -> tuple[NerData, list[int]]:
    """The data with `count` sentences of a split, or all, and their places in it, in its order.

    Which ones goes by a hash of each sentence and its place: those of a smaller count are among
    those of a larger one, and they are of all parts of the split.
    """
    rows = data.splits[split]
    order = sorted(zip(map(_digest, names(data, split)), range(len(rows)), strict=True))
    places = sorted(place for _, place in order[:count])
    splits = DatasetDict({**data.splits, split: rows.select(places)})
    return dataclasses.replace(data, splits=splits), places


def names(data: NerData, split: str, places: Sequence[int] | None = None) -> list[str]:
    """The name of each sentence of a split as an item; `places` where it is a sample."""
    rows = list(data.splits[split]["tokens"])
    return [
        f"{split}/{index}/{_digest(' '.join(words))[:8]}"
        for index, words in zip(places or range(len(rows)), rows, strict=True)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def drawn(data: NerData, split: str) -> tuple[list[int], str]:
    """For each sentence of a split what is drawn with it for intervals, and what that is."""
    documents = list(data.splits[split]["document"])
    if len(set(documents)) < MIN_CLUSTERS:
        return list(range(len(documents))), f"sentences (fewer than {MIN_CLUSTERS} documents)"
    return documents, "documents"


def _metric(counts: Counts, statistic: Statistic, clusters: str, n: int = GOLD) -> Metric | None:
    return measure(counts, statistic, n=int(counts[..., n].sum()), clusters=clusters)


def majority(data: NerData) -> dict[str, Metric]:
    """Test metrics of tagging every word `O`."""
    return baseline(data, outside(data))


def outside(data: NerData) -> list[list[str]]:
    """`O` for every word of the test split."""
    return [["O"] * len(words) for words in data.splits["test"]["tokens"]]


def remembered(data: NerData) -> list[list[str]]:
    """Tags of the test split by remembering the entities of the training split."""
    from workbench.models.lexicon import Lexicon

    model = Lexicon()
    model.fit(data.splits["train"]["tokens"], data.splits["train"]["ner_tags"])
    return [model.predict(words) for words in data.splits["test"]["tokens"]]


def baseline(data: NerData, predicted: Predicted) -> dict[str, Metric]:
    """Test metrics of tags that others are compared with."""
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
    places: Sequence[int] | None = None,
) -> pandas.DataFrame:
    """One row a sentence, in the format that all tasks share (see `Result.items`).

    `places` are the sentences' in the whole split where `data` holds a sample of it.
    """
    rows = data.splits[split]
    columns = (
        names(data, split, places),
        [split] * len(rows),
        [method] * len(rows),
        [str(document) for document in rows["document"]],
        list(rows["tokens"]),
        list(rows["ner_tags"]),
        [list(tags) for tags in predicted],
        list(losses) if losses is not None else [None] * len(rows),
    )
    return pandas.DataFrame(dict(zip(ITEM_COLUMNS, columns, strict=True)))


def tables(data: NerData, predicted: Predicted, *, reference: bool = True) -> dict[str, Any]:
    """The token-by-token report over the test split, and published ones on the same data.

    A `reference` is of a whole split: beside a sample there is none.
    """
    labels = [*data.labels[1:], "O"]
    report = m.TokenReport().compute(
        predictions=[list(tags) for tags in predicted],
        references=list(data.splits["test"]["ner_tags"]),
        labels=labels,
    )
    published = yaml.safe_load(REFERENCES.read_text(encoding="utf-8"))
    known = published.get(data.source.name) if reference else None
    return {"token_report": report, "reference": known}
