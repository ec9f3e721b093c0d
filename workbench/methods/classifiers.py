"""Classifiers of texts by one label each, learned from labelled texts: what every task compares.

Each gives probabilities [N, L] over labels in the data's order. A long text is read in windows: its
features, or its logits, are the mean over them, weighted by their tokens. Source: Sun et al. 2019,
"How to Fine-Tune BERT for Text Classification?", section 5.3.1, whose mean of the windows' states
is, under a linear head, this mean of their logits.
"""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from workbench.core.machine import autocast
from workbench.data.text import TextData
from workbench.methods import label_scores, logistic
from workbench.methods.extras import PARTS
from workbench.models.encoder import Encoder
from workbench.models.text_classifier import TextBatch, TextClassifier, collate, features
from workbench.models.windows import MAX_WINDOWS, group_by_length
from workbench.record.result import DataIssue
from workbench.training import Fit, Log, Recipe, fit

EVALUATION_TOKENS = 4096
Probabilities = NDArray[np.float64]
Predict = Callable[[Sequence[str]], Probabilities]


@dataclass(frozen=True)
class Labelled:
    """Texts and their labels, of equal length."""

    texts: Sequence[str]
    labels: Sequence[str]

    def first(self, count: int) -> "Labelled":
        """The first `count`; 0 takes all."""
        return Labelled(self.texts[: count or None], self.labels[: count or None])


@dataclass(frozen=True)
class Reading:
    """How texts are read: in windows of at most `max_tokens`, products in `dtype`."""

    max_tokens: int
    dtype: torch.dtype


def labelled(data: TextData, split: str) -> Labelled:
    """The texts of a split, in their fixed random order."""
    return Labelled(list(data.splits[split]["text"]), list(data.splits[split]["label"]))


def majority(train: Labelled, labels: Sequence[str], count: int) -> Probabilities:
    """The fractions of the labels in training, for each of `count` texts."""
    fractions = np.array([sum(label == found for found in train.labels) for label in labels])
    return np.tile(fractions / fractions.sum(), (count, 1))


def tfidf(train: Labelled, validation: Labelled, labels: Sequence[str]) -> tuple[Predict, int]:
    """TF-IDF of 2 to 5 characters within words, and logistic regression; penalty by validation.

    Without validation texts the training texts choose it, by folds. On tweets this is stronger than
    words and pairs of words (docs/log.md).

    Gives a function from texts to probabilities, and the number of weights learned.
    """
    grams = TfidfVectorizer(sublinear_tf=True, ngram_range=(2, 5), analyzer="char_wb")
    seen = grams.fit_transform(train.texts)
    held_out = grams.transform(validation.texts) if validation.texts else seen[:0]
    model = logistic.regression(seen, train.labels, held_out, validation.labels)
    predict = lambda texts: logistic.in_order(model, grams.transform(texts), labels)  # noqa: E731
    return predict, logistic.weights_of(model)


def linear_probe(
    read: Callable[[Sequence[str]], NDArray[np.float32]],
    train: Labelled,
    validation: Labelled,
    labels: Sequence[str],
) -> tuple[Predict, int]:
    """Logistic regression on the features [N, H] that `read` gives: only a head is learned.

    Validation chooses the penalty, or without it folds of the training texts.

    Gives a function from texts to probabilities, and the number of weights learned.
    """
    seen = read(train.texts)
    held_out = read(validation.texts) if validation.texts else seen[:0]
    model = logistic.regression(seen, train.labels, held_out, validation.labels)
    return lambda texts: logistic.in_order(model, read(texts), labels), logistic.weights_of(model)


def long_texts(
    encoder: Encoder, texts: Sequence[str], max_tokens: int, of: str = "texts"
) -> dict[str, DataIssue]:
    """How many texts are read in windows; how many are cut after the last, where some are."""
    _, windows = encoder.encode(texts, max_tokens)
    limit, long = min(max_tokens, encoder.capacity), int((windows.counts > 1).sum())
    note = f"{of} of more than {limit} tokens, read in windows by the encoder"
    found = {"long_texts": DataIssue(count=long, of=len(texts), note=note)}
    note = f"{of} cut after {MAX_WINDOWS} windows of {limit} tokens"
    cut = {"cut_texts": DataIssue(count=windows.cut, of=len(texts), note=note)}
    return found | cut if windows.cut else found


def encode(
    encoder: Encoder, texts: Sequence[str], reading: Reading, kind: str = "query"
) -> NDArray[np.float32]:
    """Features [N, H] of texts of a `kind` under a frozen encoder (see `Encoder.encode`)."""
    return _averaged(encoder, texts, reading, partial(features, encoder), encoder.width, kind)


def _averaged(
    encoder: Encoder,
    texts: Sequence[str],
    reading: Reading,
    forward: Callable[[TextBatch], torch.Tensor],
    width: int,
    kind: str = "",
    *,
    progress: bool = False,
) -> NDArray[np.float32]:
    """What `forward` gives of windows [B, width], averaged by tokens over each text's [N, .]."""
    encoded, windows = encoder.encode(texts, reading.max_tokens, kind)
    groups = group_by_length(windows.tokens.tolist(), EVALUATION_TOKENS)
    fractions, found = windows.fractions[:, None], np.zeros((len(texts), width), np.float32)
    for number, rows in enumerate(groups, 1):
        if progress and len(groups) > 1:
            print(f"\rscoring: {number} of {len(groups)} batches".ljust(80), end="", flush=True)
        with torch.inference_mode(), autocast(reading.dtype, encoder.device):
            given = forward(collate(encoder, encoded, rows)).float().cpu().numpy()
        np.add.at(found, windows.texts[rows], given * fractions[rows])
    if progress:
        print("\r".ljust(81) + "\r", end="", flush=True)
    return found


def fine_tune(
    model: TextClassifier,
    train: Labelled,
    validation: Labelled | None,
    recipe: Recipe,
    reading: Reading,
    log: Log,
    *,
    batch_tokens: int,
    seed: int,
    extras: Collection[str] = (),
) -> Fit:
    """Minimise the mean cross-entropy over the training texts, in place.

    Equal texts are read once, and count with all their labels. Each of a text's k windows is an
    example with the text's labels and weight 1 / k. The epoch with the best macro F1 on validation
    is kept, or the last where there is none. Of the `extras`, accumulation and compiling are done
    here; the head has those that are its own.
    """
    texts, counts = count_labels(train, model.labels)
    recipe = replace(recipe, parts=PARTS) if "accumulation" in extras else recipe
    if "compiled" in extras:
        model.encoder.train_compiled()
    encoded, windows = model.encoder.encode(texts, reading.max_tokens)
    counts = (counts / windows.counts[:, None]).astype(np.float32)[windows.texts]
    weights = torch.from_numpy(counts).to(model.encoder.device)
    chance = random.Random(seed)
    drawn: list[list[list[int]]] = []

    def epoch_batches(epoch: int) -> list[TextBatch]:
        while len(drawn) < epoch:  # in order, so that a training that goes on draws the same
            drawn.append(group_by_length(windows.tokens.tolist(), batch_tokens, shuffle=chance))
        return [model.collate(encoded, rows, windows.texts) for rows in drawn[epoch - 1]]

    def loss(batch: TextBatch) -> torch.Tensor:
        each = weights[batch.rows]
        return -(each * model(batch).float().log_softmax(-1)).sum() / each.sum()

    def weight(batch: TextBatch) -> float:
        return float(counts[batch.rows].sum())

    def validate() -> float:
        assert validation is not None
        guessed = chosen(predict(model, validation.texts, reading), model.labels)
        clusters = [0] * len(guessed)
        counts = label_scores.confusion(validation.labels, guessed, model.labels, clusters)
        return float(label_scores.macro_f1(counts.sum(axis=0)))

    evaluate = validate if validation else None
    return fit(model, epoch_batches, loss, weight, evaluate, recipe, log)


def count_labels(train: Labelled, labels: Sequence[str]) -> tuple[list[str], NDArray[np.float32]]:
    """The U different texts in order of appearance, and how often each has each label [U, L].

    >>> count_labels(Labelled(["b", "a", "b"], ["up", "up", "down"]), ["down", "up"])
    (['b', 'a'], array([[1., 1.],
           [0., 1.]], dtype=float32))
    """
    texts = {text: place for place, text in enumerate(dict.fromkeys(train.texts))}
    counts = np.zeros((len(texts), len(labels)), np.float32)
    rows = [texts[text] for text in train.texts]
    np.add.at(counts, (rows, [labels.index(label) for label in train.labels]), 1)
    return list(texts), counts


def predict(
    model: TextClassifier, texts: Sequence[str], reading: Reading, *, progress: bool = True
) -> Probabilities:
    """Probabilities of a fine-tuned classifier; equal texts are read once."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    model.eval()
    width = len(model.labels)
    logits = _averaged(model.encoder, [*places], reading, model, width, progress=progress)
    found = torch.from_numpy(logits).double().softmax(-1).numpy()
    return found[[places[text] for text in texts]]


def chosen(probabilities: Probabilities, labels: Sequence[str]) -> list[str]:
    """The most probable label of each text; of equals the first."""
    return [labels[place] for place in probabilities.argmax(axis=1)]
