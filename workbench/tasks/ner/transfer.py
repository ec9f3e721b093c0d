"""A tagger on other text than it learned from, in the entity types that both data sets have."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.data import ner
from workbench.data.ner import NerData
from workbench.data.tables import SPLITS
from workbench.methods.tag_scores import drawn
from workbench.methods.taggers import Settings, scored
from workbench.models.encoder import TokenClassifier
from workbench.record import iob
from workbench.record import metrics as m
from workbench.record.draws import Counts
from workbench.record.iob import Span, spans
from workbench.record.metrics import Tags
from workbench.record.result import DataIssue, Metric
from workbench.record.statistics import difference, measure
from workbench.tasks.ner.config import Config

COMMON = {
    "person": ("per", "person"),
    "location": ("loc", "location", "geo-loc", "gpe"),
    "organisation": ("org", "organisation", "organization", "company", "corporation", "sportsteam"),
}
"""Types by the names that data sets give them; teams are organisations in CoNLL-2003."""


@dataclass(frozen=True)
class Transferred:
    """Scores in the common types on both, their difference, and what was left out."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    data_issues: dict[str, DataIssue] = field(default_factory=dict)


def load(config: Config, data: NerData) -> NerData | None:
    """The other data, described on screen; None, with the reason said, where nothing compares."""
    if not config.transfer:
        return None
    other = ner.load(config.transfer)
    if other.source.fingerprint == data.source.fingerprint:
        print("transfer: the same data, so nothing to compare with")
        return None
    if not _same_test(data, other) and not _shared(data, other):
        print(
            f"transfer: no entity type in common with {other.source.name}, so it is left out: "
            f"{', '.join(data.types)} and {', '.join(other.types)}"
        )
        return None
    print(f"transfer, tested on after training:\n{other.describe()}\n")
    return other


def scores(
    tagger: TokenClassifier,
    data: NerData,
    predicted: Tags,
    other: NerData | None,
    settings: Settings,
) -> Transferred:
    """Entity F1 in the common types of `predicted` on `data`'s test split and on other data.

    Where the other data's test sentences are the same, such as CoNLL++'s, its tags are a second
    gold: entity F1 of all types by it, less that by the first, and the F1 of the first by it.

    Of other data that is one file all sentences count, else its test split. A predicted entity
    that overlaps a gold one of a type without a counterpart is left out on both sides, as it may
    be right there.
    """
    if other is None:
        return Transferred()
    if _same_test(data, other):
        return Transferred(_second_gold(data, predicted, other))
    shared = _shared(data, other)
    splits = tuple(SPLITS) if other.one_file else ("test",)
    found = [
        [iob.decode(score, tagger.labels) for score in scored(tagger, other, split, settings)]
        for split in splits
    ]
    inside, _ = _counted(data, ("test",), [predicted], shared)
    outside, omitted = _counted(other, splits, found, shared)
    metrics = {
        "test/entity_f1_common_types": _f1(inside),
        "transfer/entity_f1_common_types": _f1(outside),
        "transfer/entity_f1_drop": _drop(inside, outside),
    }
    known = {" ".join(words) for words in data.splits["train"]["tokens"]}
    sentences = [" ".join(words) for split in splits for words in other.splits[split]["tokens"]]
    return Transferred(
        {name: metric for name, metric in metrics.items() if metric},
        {
            "transfer_omitted": omitted,
            "transfer_known": DataIssue(
                count=sum(sentence in known for sentence in sentences),
                of=len(sentences),
                note="sentences of the transfer data that also stand in the training split (kept)",
            ),
        },
    )


def _same_test(data: NerData, other: NerData) -> bool:
    """Whether both have the same test sentences and name their types alike, so that tags differ."""
    ours, theirs = (list(each.splits["test"]["tokens"]) for each in (data, other))
    types = sorted((set(data.types), set(other.types)), key=len)
    return ours == theirs and types[0] <= types[1]


def _second_gold(data: NerData, predicted: Tags, other: NerData) -> dict[str, Metric]:
    clusters, unit = drawn(data, "test")
    first, second = (list(each.splits["test"]["ner_tags"]) for each in (data, other))
    types = sorted({*data.types, *other.types})
    counts = np.stack(
        [
            m.entity_counts(gold, tags, clusters, types).sum(axis=1)
            for gold, tags in ((second, predicted), (first, predicted), (second, first))
        ],
        axis=1,
    )  # documents, the three comparisons, correct and predicted and gold
    n = int(counts[:, 0, 2].sum())
    found = {
        "entity_f1": measure(counts, lambda sums: m.f1(sums[:, 0]), n=n, clusters=unit),
        "entity_f1_gain": difference(counts[:, :2], m.f1, n=n, clusters=unit),
        "entity_f1_of_first_gold": measure(
            counts, lambda sums: m.f1(sums[:, 2]), n=n, clusters=unit
        ),
    }
    return {f"second_gold/{name}": metric for name, metric in found.items() if metric}


def common(kind: str) -> str:
    """The common type that a data set's own means; "" where it is none of them.

    >>> common("PER"), common("geo-loc"), common("MISC")
    ('person', 'location', '')
    """
    return next((name for name, meant in COMMON.items() if kind.lower() in meant), "")


def _shared(data: NerData, other: NerData) -> list[str]:
    return sorted(set(map(common, data.types)) & set(map(common, other.types)) - {""})


@dataclass(frozen=True)
class _Counted:
    counts: Counts
    """Correct, predicted and gold entities of each cluster [clusters, 3]."""
    unit: str


def _counted(
    data: NerData, splits: Sequence[str], predicted: Sequence[Tags], shared: Sequence[str]
) -> tuple[_Counted, DataIssue]:
    """Counts in the shared types, and the predicted entities left out."""
    counts: dict[tuple[str, int], list[int]] = {}
    units, omitted, given = [], 0, 0
    for split, tagged in zip(splits, predicted, strict=True):
        clusters, unit = drawn(data, split)
        units.append(unit)
        for cluster, gold, tags in zip(
            clusters, data.splits[split]["ner_tags"], tagged, strict=True
        ):
            wanted, found = _renamed(spans(gold)), _renamed(spans(tags))
            found = {span for span in found if span[0] in shared}
            strange = [span for span in wanted if span[0] not in shared]
            kept = {span for span in found if not any(_overlap(span, odd) for odd in strange)}
            wanted -= set(strange)
            omitted, given = omitted + len(found - kept), given + len(found)
            row = counts.setdefault((split, cluster), [0, 0, 0])
            for place, entities in enumerate((wanted & kept, kept, wanted)):
                row[place] += len(entities)
    note = "predicted entities left out, as they overlap a gold one of a type without counterpart"
    loss = DataIssue(count=omitted, of=given, note=f"{data.source.name}: {note}")
    return _Counted(np.array(list(counts.values()), float), units[0]), loss


def _renamed(found: set[Span]) -> set[Span]:
    return {(common(kind), start, end) for kind, start, end in found}


def _overlap(one: Span, other: Span) -> bool:
    return one[1] < other[2] and other[1] < one[2]


def _f1(found: _Counted) -> Metric | None:
    return measure(found.counts, m.f1, n=int(found.counts[:, 2].sum()), clusters=found.unit)


def _drop(inside: _Counted, outside: _Counted) -> Metric | None:
    """F1 on the text learned from less that on the other; both are drawn by themselves."""
    here, there = _f1(inside), _f1(outside)
    if here is None or there is None:
        return None
    missing = [side.how for side in (here, there) if side.low is None]
    how = missing[0] if missing else f"Newcombe interval of a {here.how}; and a {there.how}"
    return here.less(there, n=there.n, how=how)
