"""Embeddings of texts: nearest neighbours, training by pairs, and SetFit."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline

from workbench.methods import classifiers, logistic
from workbench.methods.classifiers import Labelled, Predict, Probabilities, Reading
from workbench.models.embedder import Embedder, Pair, PairBatch
from workbench.models.encoder import Encoder
from workbench.training import Log, Recipe, fit

ROUNDS = 20
"""Pairs of each kind that a text begins: R of Tunstall et al. 2022, section 3."""
MOST_PAIRS = 480
"""More are not drawn: beyond 12 texts a text begins fewer than ROUNDS of each kind."""
BATCH_PAIRS = 16
TEMPERATURE = 0.05
"""That cosines are divided by in `successors`."""
Features = NDArray[np.float32]
Read = Callable[[Sequence[str]], Features]
Loss = Callable[[Embedder, PairBatch], torch.Tensor]
"""Mean loss of a batch's pairs."""


def neighbours(texts: int) -> int:
    """How many neighbours vote among so many labelled texts: the odd number about their root.

    Fixed, so that no label is needed to choose it.

    >>> [neighbours(texts) for texts in (1, 8, 32, 128, 512)]
    [1, 3, 5, 11, 23]
    """
    return min(texts, 2 * (math.isqrt(texts) // 2) + 1)


def unit(features: Features) -> Features:
    """Features [N, H] of length 1; one of length 0 stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def nearest(read: Read, train: Labelled, labels: Sequence[str]) -> tuple[Predict, int]:
    """The votes of the nearest training texts by cosine of the features [N, H] that `read` gives.

    A label's probability is its votes and one L-th of a vote more, over all: what nobody voted for
    is not impossible. Of equals the first label is chosen. Gives a function from texts to
    probabilities, and the number of weights learned, which is none.
    """
    index = NearestNeighbors(n_neighbors=neighbours(len(train.texts)), metric="cosine")
    index.fit(unit(read(train.texts)))
    ballots = np.eye(len(labels))[[labels.index(label) for label in train.labels]]

    def predict(texts: Sequence[str]) -> Probabilities:
        places = index.kneighbors(unit(read(texts)), return_distance=False)
        votes = ballots[places].sum(axis=1) + 1 / len(labels)
        return votes / votes.sum(axis=1, keepdims=True)

    return predict, 0


def most_alike(
    read: Read, texts: Sequence[str], asked: Sequence[str], count: int
) -> list[list[int]]:
    """For each text of `asked` the places of `count` of `texts` nearest to it, the nearest last.

    Near is by cosine of the features that `read` gives. Of equal texts the first counts; there are
    fewer than `count` where fewer differ. Source: Liu et al. 2022, "What Makes Good In-Context
    Examples for GPT-3?", section 2.
    """
    distinct = list({text: place for place, text in reversed(list(enumerate(texts)))}.values())
    others = unit(read([texts[place] for place in distinct]))
    likeness = unit(read(asked)) @ others.T
    # Stable, so that of equally near texts the same are taken on any machine.
    order = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
    return [[distinct[column] for column in reversed(row)] for row in order.tolist()]


def draw_pairs(labels: Sequence[str], seed: int) -> list[Pair]:
    """Pairs of texts to learn from, as many of equal as of different labels, at most MOST_PAIRS.

    In each of ROUNDS every text in random order begins one pair of each kind, unless it has no
    partner of one kind. No text is paired with itself. Source: Tunstall et al. 2022, "Efficient
    Few-Shot Learning Without Prompts", section 3.

    >>> {pair for pair in draw_pairs(["a", "a", "b"], 0) if pair[2]} == {(0, 1, True), (1, 0, True)}
    True
    """
    chance = random.Random(seed)
    alike: dict[str, list[int]] = {label: [] for label in labels}
    for place, label in enumerate(labels):
        alike[label].append(place)
    others = {
        label: [place for place, other in enumerate(labels) if other != label] for label in alike
    }
    can = [place for place, label in enumerate(labels) if len(alike[label]) > 1 and others[label]]
    found: list[Pair] = []
    for _ in range(ROUNDS if can else 0):
        for place in chance.sample(can, len(can)):
            if len(found) + 2 > MOST_PAIRS:
                return found
            equal = chance.choice([other for other in alike[labels[place]] if other != place])
            found.append((place, equal, True))
            found.append((place, chance.choice(others[labels[place]]), False))
    return found


def centred(encoder: Encoder, texts: Sequence[str], reading: Reading) -> Features:
    """Features [N, H] of length 1, from which the mean over all texts was taken off.

    Embeddings of a pretrained encoder share a direction that says nothing of a text (Mu and
    Viswanath 2018, "All-but-the-Top", section 2).
    """
    found = unit(classifiers.encode(encoder, texts, reading))
    return unit(found - found.mean(axis=0)).astype(np.float32)


def cosine_error(model: Embedder, batch: PairBatch) -> torch.Tensor:
    """Squared error of the cosine against 1 for a pair of equal labels, 0 for another."""
    return torch.nn.functional.mse_loss(model(batch), batch.same)


def successors(model: Embedder, batch: PairBatch) -> torch.Tensor:
    """Each pair's second text is to be told from the other pairs' by its first.

    Cross-entropy over cosines by TEMPERATURE. Neither the first text itself nor another pair's copy
    of the right one is a wrong one. Source: van den Oord et al. 2018, "Representation Learning with
    Contrastive Predictive Coding", section 2.3.
    """
    left, right = model.pairs(batch)
    logits = left @ right.T / TEMPERATURE
    alike = batch.right[:, None] == batch.right[None, :]
    same = alike | (batch.left[:, None] == batch.right[None, :])
    same.fill_diagonal_(False)
    target = torch.arange(len(left), device=logits.device)
    return torch.nn.functional.cross_entropy(logits.masked_fill(same, -torch.inf), target)


def learn_pairs(
    encoder: Encoder,
    texts: Sequence[str],
    pairs: Sequence[Pair],
    loss: Loss,
    recipe: Recipe,
    reading: Reading,
    log: Log,
    *,
    batch_pairs: int = BATCH_PAIRS,
) -> tuple[Embedder, int]:
    """A copy of the encoder after one pass over pairs of the texts, and the tokens trained on.

    The recipe's epochs do not count. Without pairs nothing is learned. Of a text of several windows
    each batch reads one, in turn: a pair costs and counts the same however long its texts are.
    """
    model = Embedder(encoder)
    encoded, windows = model.encoder.encode(texts, reading.max_tokens, "query")
    groups = [pairs[start : start + batch_pairs] for start in range(0, len(pairs), batch_pairs)]

    def epoch_batches(_epoch: int) -> list[PairBatch]:
        return [
            model.collate([encoded[row] for row in windows.turn(number)], group)
            for number, group in enumerate(groups)
        ]

    def weight(batch: PairBatch) -> float:
        return float(len(batch.left))

    tokens = 0
    if pairs:
        once = replace(recipe, epochs=1)
        tokens = fit(model, epoch_batches, partial(loss, model), weight, None, once, log).tokens
    model.eval()
    return model, tokens


def setfit(
    encoder: Encoder,
    train: Labelled,
    labels: Sequence[str],
    recipe: Recipe,
    reading: Reading,
    log: Log,
    *,
    seed: int,
) -> tuple[Predict, int, int]:
    """Draw embeddings of equal labels together and others apart, then logistic regression on them.

    A copy of the encoder learns from `draw_pairs` by `cosine_error`. Source: Tunstall et al. 2022,
    "Efficient Few-Shot Learning Without Prompts", section 3. Gives a function from texts to
    probabilities, the number of weights learned, and the tokens trained on.
    """
    pairs = draw_pairs(train.labels, seed)
    random.Random(seed).shuffle(pairs)
    model, tokens = learn_pairs(encoder, train.texts, pairs, cosine_error, recipe, reading, log)
    read: Read = lambda texts: unit(classifiers.encode(model.encoder, texts, reading))  # noqa: E731
    head = _head(read(train.texts), train.labels)
    predict = lambda texts: logistic.in_order(head, read(texts), labels)  # noqa: E731
    return predict, model.trainable + logistic.weights_of(head), tokens


def _head(features: Features, labels: Sequence[str]) -> Pipeline:
    """Logistic regression with scikit-learn's penalty, as in the paper's code; or the one label."""
    if len(set(labels)) < 2:
        return make_pipeline(DummyClassifier().fit(features, labels))
    return make_pipeline(LogisticRegression(max_iter=2000)).fit(features, labels)
