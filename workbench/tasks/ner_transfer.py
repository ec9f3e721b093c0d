"""A tagger on other text than it learned from, in the entity types that both data sets have."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench import iob
from workbench import metrics as m
from workbench.data import ner
from workbench.data.ner import NerData
from workbench.errors import ParameterError
from workbench.metrics import Tags
from workbench.models.encoder import TokenClassifier
from workbench.result import Metric
from workbench.statistics import measure
from workbench.tasks.ner import Config
from workbench.tasks.ner_scores import drawn
from workbench.tasks.ner_tagger import scored

COMMON = {
    "person": ("per", "person"),
    "location": ("loc", "location", "geo-loc", "gpe"),
    "organisation": ("org", "organisation", "organization", "company", "corporation", "sportsteam"),
}
"""Types by the names that data sets give them; teams are organisations in CoNLL-2003."""


@dataclass(frozen=True)
class Transferred:
    """Scores in the common types, on the data learned from and on the other."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)


def scores(tagger: TokenClassifier, data: NerData, predicted: Tags, config: Config) -> Transferred:
    """Entity F1 in the common types: of `predicted` on `data`'s test split, and on the other's.

    Nothing where the configuration names no other data. Raises ParameterError where no type is in
    both.
    """
    if config.transfer in ("", config.dataset):
        return Transferred()
    other = ner.load(config.transfer)
    shared = sorted(set(map(common, data.types)) & set(map(common, other.types)) - {""})
    if not shared:
        raise ParameterError(
            f"transfer={config.transfer!r} has no entity type in common with {config.dataset!r}: "
            f"{', '.join(other.types)} and {', '.join(data.types)}",
            expected=f"some of {', '.join(COMMON)} in both",
            do='name other data, or "" for none',
        )
    found = [iob.decode(score, tagger.labels) for score in scored(tagger, other, "test", config)]
    return Transferred(
        {
            "test/entity_f1_common_types": _f1(data, predicted, shared),
            "transfer/entity_f1_common_types": _f1(other, found, shared),
        },
        {"transfer": other.source.record()},
    )


def common(kind: str) -> str:
    """The common type that a data set's own means; "" where it is none of them.

    >>> common("PER"), common("geo-loc"), common("MISC")
    ('person', 'location', '')
    """
    return next((name for name, meant in COMMON.items() if kind.lower() in meant), "")


def _f1(data: NerData, predicted: Tags, shared: Sequence[str]) -> Metric:
    clusters, unit = drawn(data, "test")
    gold, found = (
        [[_renamed(tag, shared) for tag in tags] for tags in rows]
        for rows in (data.splits["test"]["ner_tags"], predicted)
    )
    counts = m.entity_counts(gold, found, clusters, shared).sum(axis=1)
    entities = int(counts[:, 2].sum())
    metric = measure(counts, lambda sums: np.nan_to_num(m.f1(sums)), n=entities, clusters=unit)
    assert metric is not None
    return metric


def _renamed(tag: str, shared: Sequence[str]) -> str:
    kind = common(tag[2:])
    return f"{tag[:2]}{kind}" if kind in shared else "O"
