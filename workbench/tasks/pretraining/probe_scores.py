"""Scores of probes by layer beside their controls, an untrained encoder, and no model at all."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import pandas
import torch
from numpy.typing import NDArray

from workbench.data.ner import NerData
from workbench.models.encoder import Encoder
from workbench.record.draws import Counts
from workbench.record.metrics import macro_f1, macro_f1_difference, measure_macro_f1, recall
from workbench.record.result import ITEM_COLUMNS, DataIssue, Metric
from workbench.record.statistics import MIN_CLUSTERS, Statistic, difference, measure
from workbench.tasks.pretraining import probes
from workbench.tasks.pretraining.probes import COLUMNS, SPLITS, Answers, Probes, Sample

CONTROL, UNTRAINED = "control task", "untrained encoder"
ENDING, FREQUENT, MAJORITY = "word, ending and shape", "most frequent tag", "majority"


def accuracy(counts: Counts) -> Counts:
    """Fraction of right tags, of counts [..., K, (correct, predicted, gold)]."""
    return recall(counts.sum(axis=-2))


STATISTICS: dict[str, tuple[str, Statistic]] = {
    "pos": ("accuracy", accuracy),
    "chunk": ("accuracy", accuracy),
    "ner": ("macro_f1", macro_f1),
}
"""Tag set -> its measure. Most words are outside any entity: accuracy says little of names."""


@dataclass
class Report:
    """What the probes found, to put into a result."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    baselines: dict[str, dict[str, Metric]] = field(default_factory=dict)
    comparisons: dict[str, dict[str, Metric]] = field(default_factory=dict)
    data_issues: dict[str, DataIssue] = field(default_factory=dict)
    best_layers: dict[str, int] = field(default_factory=dict)
    selective_layers: dict[str, int] = field(default_factory=dict)
    """Tag set -> the layer of the highest selectivity on validation."""
    items: list[pandas.DataFrame] = field(default_factory=list)


@dataclass(frozen=True)
class Scorer:
    """Scores answers to one tag set of K labels, or to its control task, over a sample."""

    read: Sample
    kind: str
    labels: list[str]
    control: bool = False

    @property
    def tags(self) -> probes.Tags:
        """Gold tags, of the tag set or of its control task."""
        return self.read.tags[self.kind + probes.CONTROL * self.control]

    @cached_property
    def _words(self) -> tuple[Answers, NDArray[np.int64], str]:
        """Gold answer and cluster of each word [W], and what a cluster is."""
        documents, of = self.read.documents, "documents"
        if len(set(documents)) < MIN_CLUSTERS:
            documents = list(range(len(documents)))
            of = f"sentences (fewer than {MIN_CLUSTERS} documents)"
        _, places = np.unique(documents, return_inverse=True)
        gold = probes.places(self.tags, self.labels)
        return gold, np.repeat(places, np.diff(self.read.starts)), of

    def counts(self, answers: Answers) -> Counts:
        """Correct, predicted and gold words of each label: [clusters, K, 3]."""
        gold, clusters, _ = self._words
        size, last = len(self.labels), int(clusters.max()) + 1
        right = answers == gold

        def count(tags: Answers, weights: NDArray[np.bool_] | None = None) -> Counts:
            flat = np.bincount(clusters * size + tags, weights=weights, minlength=last * size)
            return flat.reshape(last, size).astype(np.float64)

        return np.stack([count(gold, right), count(answers), count(gold)], axis=-1)

    def metric(self, answers: Answers) -> Metric:
        """The tag set's statistic with its interval."""
        return self._measured(self.counts(answers), measure, measure_macro_f1)

    def difference(self, ours: Answers, theirs: Answers, other: "Scorer | None" = None) -> Metric:
        """Ours minus theirs on the same words, paired by document; theirs may have another task."""
        both = np.stack([self.counts(ours), (other or self).counts(theirs)], axis=1)
        return self._measured(both, difference, macro_f1_difference)

    def _measured(
        self,
        counts: Counts,
        simple: Callable[..., Metric | None],
        macro: Callable[..., Metric | None],
    ) -> Metric:
        gold, _, of = self._words
        _, statistic = STATISTICS[self.kind]
        made = macro if statistic is macro_f1 else partial(simple, statistic=statistic)
        metric = made(counts, n=len(gold), clusters=of)
        if metric is None:
            raise RuntimeError(f"the {self.kind} probe has no words")
        return metric

    def value(self, answers: Answers) -> float:
        """The statistic without an interval."""
        _, statistic = STATISTICS[self.kind]
        return float(statistic(self.counts(answers).sum(axis=0)[None])[0])


@dataclass(frozen=True)
class Probed:
    """What one encoder's probes answer on the test sample: [L + 1, W] by tag set and control."""

    own: dict[str, Answers]
    values: dict[str, list[float]]
    """Each layer's score on the validation sample."""

    def best(self, kind: str) -> int:
        """The layer with the highest score on validation; of equals the lowest."""
        return int(np.argmax(self.values[kind]))

    def most_selective(self, kind: str) -> int:
        """The layer whose score is furthest above its control task's on validation."""
        control = self.values[kind + probes.CONTROL]
        return int(np.argmax(np.subtract(self.values[kind], control)))

    def chosen(self, kind: str) -> Answers:
        """Answers [W] of the best layer."""
        return self.own[kind][self.best(kind)]


def run(data: NerData, encoder: Encoder, *, most: int, seed: int, dtype: torch.dtype) -> Report:
    """Probe the encoder and an untrained one; layers are chosen on validation, scored on test.

    `most` sentences of each split are read.
    """
    read = [probes.sample(data, split, most, seed) for split in SPLITS]
    parts = probes.with_controls(read, seed)
    train, _, test = parts
    known = {
        kind: sorted({tag for part in read for tags in part.tags[kind] for tag in tags})
        for kind in read[0].tags
    }
    controls = {kind + probes.CONTROL: labels for kind, labels in known.items()}
    ours = _probed("probes", Probes(known | controls), encoder, parts, dtype)
    fresh = _probed(UNTRAINED, Probes(known), probes.untrained(encoder, seed), parts, dtype)
    report = Report(
        data_issues=_data_issues(data, read),
        best_layers={kind: ours.best(kind) for kind in known},
        selective_layers={kind: ours.most_selective(kind) for kind in known},
    )
    for kind, labels in known.items():
        scorer = Scorer(test, kind, labels)
        control, untrained = ours.own[kind + probes.CONTROL], fresh.own[kind]
        for layer, own in enumerate(ours.own[kind]):
            others = {CONTROL: control[layer], UNTRAINED: untrained[layer]}
            _add(report, scorer, f"{_name(scorer)}/layer_{layer}", own, others)
        others = {
            CONTROL: control[ours.best(kind)],
            UNTRAINED: fresh.chosen(kind),
            ENDING: probes.places(probes.by_ending(train, test, kind), labels),
            FREQUENT: probes.places(probes.by_word(train, test, kind), labels),
            MAJORITY: probes.places(probes.majority(train, test, kind), labels),
        }
        _add(report, scorer, _name(scorer), ours.chosen(kind), others)
        report.items.append(_items(scorer, f"{kind} probe", ours.chosen(kind)))
        for method, answers in others.items():
            task = _task(scorer, method)
            report.items.append(_items(task, f"{kind}, {method}", answers))
    return report


def _probed(
    name: str, probe: Probes, encoder: Encoder, parts: Sequence[Sample], dtype: torch.dtype
) -> Probed:
    """Fit on the training sample, score layers on validation, answer on test."""
    train, validation, test = parts
    probe.fit(encoder, train, dtype, name=name)
    held_out = probe.predict(encoder, validation, dtype, name=f"{name}, validation words")
    own = probe.predict(encoder, test, dtype, name=f"{name}, test words")
    values = {}
    for kind, labels in probe.labels.items():
        control = kind.endswith(probes.CONTROL)
        scorer = Scorer(validation, kind.removesuffix(probes.CONTROL), labels, control)
        values[kind] = [scorer.value(layer) for layer in held_out[kind]]
    return Probed(own, values)


def _name(scorer: Scorer) -> str:
    return f"{scorer.kind}/{STATISTICS[scorer.kind][0]}"


def _task(scorer: Scorer, method: str) -> Scorer:
    """The scorer of what a method was asked: the tag set or its control task."""
    return replace(scorer, control=method == CONTROL)


def _add(
    report: Report, scorer: Scorer, name: str, own: Answers, others: dict[str, Answers]
) -> None:
    """The score of a probe and of others, and the differences; from the control: selectivity."""
    report.metrics[name] = scorer.metric(own)
    for method, answers in others.items():
        task = _task(scorer, method)
        report.baselines.setdefault(method, {})[name] = task.metric(answers)
        report.comparisons.setdefault(method, {})[name] = scorer.difference(own, answers, task)


def _items(scorer: Scorer, method: str, answers: Answers) -> pandas.DataFrame:
    """One row a sentence, in the format that all tasks share (see `Result.items`)."""
    read, labels = scorer.read, scorer.labels
    parts = np.split(answers, read.starts[1:-1])
    names = [
        f"{name}/{hashlib.sha256(' '.join(words).encode()).hexdigest()[:8]}"
        for name, words in zip(read.names, read.words, strict=True)
    ]
    columns = (
        names,
        ["test"] * len(names),
        [method] * len(names),
        [str(document) for document in read.documents],
        read.words,
        scorer.tags,
        [[labels[place] for place in part] for part in parts],
        [None] * len(names),
    )
    frame = pandas.DataFrame(dict(zip(ITEM_COLUMNS, columns, strict=True)))
    return frame.astype({"loss": float})


def _data_issues(data: NerData, parts: Sequence[Sample]) -> dict[str, DataIssue]:
    """Sentences that no probe read, and tag sets that the data set lacks."""
    whole = sum(len(data.splits[split]) for split in SPLITS)
    read = sum(len(part.words) for part in parts)
    lacking = [kind for kind in COLUMNS if kind not in parts[0].tags]
    found = {
        "probes/unread": DataIssue(count=whole - read, of=whole, note="tagged sentences not read"),
        "probes/lacking": DataIssue(
            count=len(lacking),
            of=len(COLUMNS),
            note=f"kinds of tags that {data.source.name} lacks"
            + (f" ({', '.join(lacking)})" if lacking else ""),
        ),
    }
    return data.data_issues | found
