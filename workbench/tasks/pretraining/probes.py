"""Linear probes: which tags can be read off a frozen encoder's words, layer by layer.

Source: Alain and Bengio 2017, "Understanding intermediate layers using linear classifier probes".
T counts the tags of all tag sets together, H a hidden state's size, L the encoder's layers.
"""

import copy
import random
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from workbench.core import machine
from workbench.data.ner import NerData
from workbench.models.encoder import Encoder
from workbench.models.windows import batches, pack

SHRINKAGE = 0.001
"""Fraction of the mean variance added to each; from 0.0001 to 0.01 scores move by under 0.002."""
WINDOW_TOKENS = 96
BATCH_TOKENS = 4096
COLUMNS = {"pos": "pos_tags", "chunk": "chunk_tags", "ner": "ner_tags"}
"""Tag set -> its column in the data, where it has one."""
SPLITS = ("train", "validation", "test")
CONTROL = " control"
"""What a tag set's name ends in where the tags are those of its control task."""
RARE, SUFFIX = 10, 4
"""Words seen more often, and longer endings, say nothing of a new word's tag (`by_ending`)."""

Tags = list[list[str]]
"""One tag a word, a list a sentence."""
Answers = NDArray[np.int64]
"""Places in a tag set's labels: of [W] words, or of [L + 1, W] layers and words."""


@dataclass(frozen=True)
class Sample:
    """Sentences of a split with W words in all: whole documents in random order, the last cut."""

    names: list[str]
    """Place of each sentence in its split."""
    words: list[list[str]]
    documents: list[int]
    tags: dict[str, Tags]
    """Tag set -> gold tags."""

    @property
    def starts(self) -> NDArray[np.int64]:
        """Place of each sentence's first word among all words, and W at the end."""
        return np.cumsum([0, *map(len, self.words)])


def sample(data: NerData, split: str, most: int, seed: int) -> Sample:
    """At most `most` sentences of a split, the documents in random order."""
    rows: Dataset = data.splits[split]
    documents = list(rows["document"])
    order = list(dict.fromkeys(documents))
    random.Random(seed).shuffle(order)
    rank = {document: place for place, document in enumerate(order)}
    chosen = sorted(range(len(rows)), key=lambda row: rank[documents[row]])[:most]
    part = rows.select(chosen)
    return Sample(
        names=[f"{split}/{row}" for row in chosen],
        words=list(part["tokens"]),
        documents=list(part["document"]),
        tags={
            name: list(part[column])
            for name, column in COLUMNS.items()
            if column in rows.column_names
        },
    )


def places(tags: Tags, labels: Sequence[str]) -> Answers:
    """Tags of all words [W] as places in `labels`."""
    known = {label: place for place, label in enumerate(labels)}
    return np.array([known[tag] for row in tags for tag in row])


def with_controls(parts: Sequence[Sample], seed: int) -> list[Sample]:
    """Add a control task to each tag set: every word type gets one random tag, wherever it stands.

    The tag is drawn as often as the tag set's own occur in the first sample, so a probe can do well
    only by knowing which word it reads. Source: Hewitt and Liang 2019, "Designing and interpreting
    probes with control tasks", section 2.
    """
    types = sorted({word for part in parts for words in part.words for word in words})
    drawn: dict[str, dict[str, str]] = {}
    for number, (kind, tags) in enumerate(parts[0].tags.items()):
        counts = Counter(tag for row in tags for tag in row)
        labels = sorted(counts)
        fractions = np.array([counts[label] for label in labels]) / counts.total()
        chance = np.random.default_rng([seed, number])
        places = chance.choice(len(labels), size=len(types), p=fractions)
        drawn[kind + CONTROL] = dict(
            zip(types, [labels[place] for place in places.tolist()], strict=True)
        )
    return [
        replace(
            part,
            tags=part.tags
            | {
                kind: [[known[word] for word in words] for words in part.words]
                for kind, known in drawn.items()
            },
        )
        for part in parts
    ]


class Discriminant:
    """Linear discriminant analysis of several tag sets, from sums, so that no features are kept.

    Each tag is a normal distribution around its own mean, all of one covariance; the answer is the
    tag of the highest posterior. Source: Hastie, Tibshirani and Friedman 2009, "The Elements of
    Statistical Learning", section 4.3. Regression on one-hot tags, as cheap, never answers with a
    rare tag that stands between frequent ones (section 4.2).
    """

    def __init__(self, features: int, tags: int) -> None:
        self.gram = torch.zeros(features, features, dtype=torch.float64)
        self.sums = torch.zeros(tags, features, dtype=torch.float64)
        self.counts = torch.zeros(tags, dtype=torch.float64)

    def add(self, features: torch.Tensor, tags: torch.Tensor) -> None:
        """Count words' features [W, H] and one-hot tags [W, T], both in float64."""
        self.gram += features.T @ features
        self.sums += tags.T @ features
        self.counts += tags.sum(0)

    def solve(self, sizes: Sequence[int]) -> torch.Tensor:
        """Weights [H + 1, T], the intercept last; `sizes` are the tag sets' numbers of tags."""
        ends = np.cumsum(sizes)
        parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        solved = [self._solve(self.sums[part], self.counts[part]) for part in parts]
        return torch.cat(solved, dim=1)

    def _solve(self, sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        means = sums / counts.clamp(min=1).unsqueeze(1)
        total = counts.sum()
        within = (self.gram - sums.T @ means) / total
        size = len(within)
        within += SHRINKAGE * within.trace() / size * torch.eye(size, dtype=torch.float64)
        weights = torch.linalg.solve(within, means.T)
        # A tag without a word in the sample has no prior: log 0 keeps it from being an answer.
        intercept = (counts / total).log() - 0.5 * (means * weights.T).sum(1)
        return torch.cat([weights, intercept.unsqueeze(0)])


class Probes:
    """A probe for each tag set and layer."""

    def __init__(self, labels: dict[str, list[str]]) -> None:
        self.labels = labels
        self.sizes = [len(known) for known in labels.values()]
        self.weights: list[torch.Tensor] = []

    def fit(self, encoder: Encoder, train: Sample, dtype: torch.dtype, *, name: str) -> None:
        """Solve every layer's probes after one pass over the training sample."""
        targets = [places(train.tags[kind], labels) for kind, labels in self.labels.items()]
        layers: list[Discriminant] = []
        for rows, states in hidden(encoder, train, dtype, name=f"{name}, training words"):
            wanted = torch.cat(
                [
                    torch.nn.functional.one_hot(torch.from_numpy(tags[rows]), size).double()
                    for tags, size in zip(targets, self.sizes, strict=True)
                ],
                dim=1,
            )
            layers = layers or [Discriminant(states.shape[-1], wanted.shape[1]) for _ in states]
            for layer, features in zip(layers, states, strict=True):
                layer.add(features, wanted)
        self.weights = [layer.solve(self.sizes) for layer in layers]

    def predict(
        self, encoder: Encoder, read: Sample, dtype: torch.dtype, *, name: str
    ) -> dict[str, Answers]:
        """Answers [L + 1, W] by tag set."""
        count = int(read.starts[-1])
        found = np.full((len(self.sizes), len(self.weights), count), -1)
        for rows, states in hidden(encoder, read, dtype, name=name):
            for layer, features in enumerate(states):
                outputs = features @ self.weights[layer][:-1] + self.weights[layer][-1]
                for head, output in enumerate(outputs.split(self.sizes, dim=1)):
                    found[head, layer, rows] = output.argmax(1).numpy()
        if (found < 0).any():
            raise RuntimeError("a word was not predicted")
        return dict(zip(self.labels, found, strict=True))


def hidden(
    encoder: Encoder, read: Sample, dtype: torch.dtype, *, name: str
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
    """Places of some words in the sample, and their hidden states [L + 1, words, H] in float64.

    A word is read at its first token, beside its neighbouring sentences; layer 0 is the embedding.
    """
    segments = encoder.segments(read.words, read.documents)
    grouped = batches(pack(segments, min(WINDOW_TOKENS, encoder.capacity)), BATCH_TOKENS)
    starts = read.starts
    for number, group in enumerate(grouped, 1):
        print(f"\r{name}: {number} of {len(grouped)} batches".ljust(80), end="", flush=True)
        batch = encoder.collate(group)
        with torch.inference_mode(), machine.autocast(dtype, encoder.device):
            output = encoder.network(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                output_hidden_states=True,
            )
        layers = [layer.flatten(0, 1)[batch.positions] for layer in output.hidden_states]
        yield starts[batch.sentences] + batch.words, torch.stack(layers).cpu().double()
    print("\r".ljust(81) + "\r", end="", flush=True)


def untrained(encoder: Encoder, seed: int) -> Encoder:
    """The same encoder with the random weights that its pretraining began from."""
    machine.seed(seed)
    network = type(encoder.network)(encoder.network.config)
    fresh = copy.copy(encoder)
    fresh._modules = {**encoder._modules, "network": network.to(encoder.device).eval()}
    return fresh


def majority(train: Sample, read: Sample, name: str) -> Tags:
    """The most frequent tag of the training sample for every word."""
    counts = Counter(tag for row in train.tags[name] for tag in row)
    return [[counts.most_common(1)[0][0]] * len(words) for words in read.words]


def by_word(train: Sample, read: Sample, name: str) -> Tags:
    """Each word's most frequent tag in the training sample, and the overall one of a new word."""
    known = _most_frequent(_pairs(train, name))
    usual = majority(train, read, name)
    return [
        [known.get(word, tag) for word, tag in zip(words, tags, strict=True)]
        for words, tags in zip(read.words, usual, strict=True)
    ]


def by_ending(train: Sample, read: Sample, name: str) -> Tags:
    """As `by_word`, but a new word gets the tag that is most frequent among rare words like it.

    Like it are those of the same shape and longest ending of up to 4 characters, among words seen
    at most 10 times, as in Brants 2000, "TnT: a statistical part-of-speech tagger", section 2.3.
    """
    known = _most_frequent(_pairs(train, name))
    seen = Counter(word for words in train.words for word in words)
    rare = _most_frequent(
        (ending, tag)
        for word, tag in _pairs(train, name)
        if seen[word] <= RARE
        for ending in _endings(word)
    )
    usual = majority(train, read, name)
    return [
        [
            known.get(word) or next((rare[end] for end in _endings(word) if end in rare), tag)
            for word, tag in zip(words, tags, strict=True)
        ]
        for words, tags in zip(read.words, usual, strict=True)
    ]


def _pairs(train: Sample, name: str) -> Iterator[tuple[str, str]]:
    for words, tags in zip(train.words, train.tags[name], strict=True):
        yield from zip(words, tags, strict=True)


def _most_frequent(pairs: Iterable[tuple[Hashable, str]]) -> dict[Hashable, str]:
    counts: dict[Hashable, Counter[str]] = {}
    for key, tag in pairs:
        counts.setdefault(key, Counter())[tag] += 1
    return {key: tags.most_common(1)[0][0] for key, tags in counts.items()}


def _endings(word: str) -> Iterator[tuple[str, str]]:
    """A word's shape with its endings, the longest first and the empty one last.

    >>> list(_endings("McCoys"))[-3:]
    [('XxXx', 'ys'), ('XxXx', 's'), ('XxXx', '')]
    """
    shape = re.sub(r"[^\W\d_]", lambda letter: "X" if letter[0].isupper() else "x", word)
    shape = re.sub(r"(.)\1+", r"\1", re.sub(r"\d", "9", shape))
    for length in range(min(SUFFIX, len(word)), -1, -1):
        yield shape, word[len(word) - length :].lower()
