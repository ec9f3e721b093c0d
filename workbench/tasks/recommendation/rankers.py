"""Recommenders: each scores the whole catalogue for a user's history.

All are fitted on events before the split. A history is the places of the items that a user has
taken, in order; a user who was not there before can so be scored by the same functions.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from workbench.core.errors import DataError
from workbench.methods import classifiers, embeddings
from workbench.methods.classifiers import Reading
from workbench.models.embedder import Embedder, PairBatch
from workbench.models.encoder import Encoder
from workbench.training import Log, Recipe, fit

Scores = NDArray[np.float64]
Rank = Callable[[Sequence[Sequence[int]]], Scores]
"""Scores [users, items] of histories; of two items the one of the higher score comes first."""
RECENT_FRACTION = 0.1
"""Events, the last ones before the split, that recent popularity counts."""
SHRINK = 10.0
"""Added to the product of norms: likeness of items with few users in common is trusted less."""
CONFIDENCE, PENALTY, SWEEPS = 10.0, 10.0, 15
"""Of implicit matrix factorisation: weight of an event over a missing one, penalty, iterations.
Not tuned."""
LAST = 10
"""Items of a history, the last ones, that text is compared with."""
BATCH_PAIRS, TEMPERATURE = 64, 0.05
EPOCHS, LEARNING_RATE = 1, 1e-4


@dataclass(frozen=True)
class Past:
    """Events before the split, of U users with M items: a history for each user."""

    histories: Sequence[Sequence[int]]
    recent: NDArray[np.int64]
    """Items of the last of these events."""
    items: int

    @property
    def taken(self) -> NDArray[np.int64]:
        """The item of each event."""
        return np.array([item for own in self.histories for item in own], dtype=np.int64)

    @property
    def matrix(self) -> csr_array:
        """1 where a user took an item [U, M]."""
        return rows(self.histories, self.items)


def rows(histories: Sequence[Sequence[int]], items: int) -> csr_array:
    """1 where a history has an item [histories, items]."""
    ends = np.cumsum([0, *map(len, histories)])
    places = np.array([item for history in histories for item in history], dtype=np.int64)
    return csr_array((np.ones(len(places)), places, ends), shape=(len(histories), items))


def without_taken(scores: Scores, histories: Sequence[Sequence[int]]) -> Scores:
    """The scores [users, items] with what a user has taken already below all else."""
    found = scores.copy()
    for row, history in enumerate(histories):
        found[row, list(history)] = -np.inf
    return found


def popularity(counted: NDArray[np.int64], items: int) -> Rank:
    """How often each item occurs among `counted`, the same for all users."""
    counts = np.bincount(counted, minlength=items).astype(np.float64)
    return lambda histories: np.tile(counts, (len(histories), 1))


def neighbours(past: Past) -> Rank:
    """Sum over a history of the shrunk cosine of its items' users and each item's users.

    All items are neighbours. Sources: Deshpande and Karypis 2004, "Item-Based Top-N Recommendation
    Algorithms", section 4; the shrinkage of Ferrari Dacrema et al. 2019, "Are We Really Making
    Much Progress?", appendix.
    """
    together = (past.matrix.T @ past.matrix).toarray()
    norms = np.sqrt(np.diag(together))
    likeness = together / (np.outer(norms, norms) + SHRINK)
    np.fill_diagonal(likeness, 0.0)
    return lambda histories: np.asarray(rows(histories, past.items) @ likeness)


def factorisation(past: Past, factors: int, seed: int) -> Rank:
    """Matrix factorisation of implicit feedback by alternating least squares.

    Every missing event counts 1, an event 1 + CONFIDENCE. A user's factors follow from the history
    in one step, so users need not have been there in training. Source: Hu, Koren and Volinsky 2008,
    "Collaborative Filtering for Implicit Feedback Datasets", section 4.
    """
    chance = np.random.default_rng(seed)
    item_factors = chance.normal(0, 0.1, (past.items, factors))
    matrix = past.matrix
    for _ in range(SWEEPS):
        user_factors = _solve(matrix, item_factors)
        item_factors = _solve(csr_array(matrix.T), user_factors)
    return lambda histories: _solve(rows(histories, past.items), item_factors) @ item_factors.T


def _solve(matrix: csr_array, fixed: Scores) -> Scores:
    """Factors of each row, given those of the columns: eq. 4 of Hu et al."""
    gram = fixed.T @ fixed + PENALTY * np.eye(fixed.shape[1])
    found = np.zeros((matrix.shape[0], fixed.shape[1]))
    for row in range(matrix.shape[0]):
        own = fixed[matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]]
        if len(own):
            left = gram + CONFIDENCE * own.T @ own
            found[row] = np.linalg.solve(left, (1 + CONFIDENCE) * own.sum(axis=0))
    return found


def by_text(features: NDArray[np.float32]) -> Rank:
    """Cosine of each item's embedding [M, H] and the mean of the history's last ones."""

    def rank(histories: Sequence[Sequence[int]]) -> Scores:
        profiles = np.zeros((len(histories), features.shape[1]))
        for place, history in enumerate(histories):
            if history:
                profiles[place] = features[list(history[-LAST:])].mean(axis=0)
        near = embeddings.unit(profiles.astype(np.float32)) @ features.T
        return near.astype(np.float64)

    return rank


def combined(ranks: Sequence[Rank]) -> Rank:
    """Reciprocal rank fusion: 1 / (60 + place), summed over several rankings of what is not taken.

    Source: Cormack, Clarke and Buettcher 2009, "Reciprocal Rank Fusion outperforms Condorcet".
    """

    def rank(histories: Sequence[Sequence[int]]) -> Scores:
        total = np.zeros(())
        for one in ranks:
            scores = without_taken(one(histories), histories)
            places = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
            total = total + 1 / (61 + places)
        return total

    return rank


def embed(encoder: Encoder, texts: Sequence[str], reading: Reading) -> NDArray[np.float32]:
    """Embeddings [M, H] of length 1, the mean over all items taken off.

    Embeddings of a pretrained encoder share a direction that says nothing of an item (Mu and
    Viswanath 2018, "All-but-the-Top", section 2).
    """
    features = embeddings.unit(classifiers.encode(encoder, texts, reading))
    return embeddings.unit(features - features.mean(axis=0)).astype(np.float32)


def followed(histories: Sequence[Sequence[int]], count: int, seed: int) -> list[tuple[int, int]]:
    """At most `count` pairs of an item and the one that the same user took next."""
    found = [pair for history in histories for pair in pairwise(history)]
    random.Random(seed).shuffle(found)
    return found[:count]


def fine_tune(
    encoder: Encoder,
    texts: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    reading: Reading,
    log: Log,
) -> tuple[Embedder, int]:
    """A copy of the encoder in whose space an item is near to what was taken next.

    Of a batch's items each is to be told from the others as the successor of its own predecessor:
    cross-entropy over cosines by TEMPERATURE, with what is the same item left out (van den Oord et
    al. 2018, "Representation Learning with Contrastive Predictive Coding", section 2.3). Returns
    the tokens trained on as well.
    """
    model = Embedder(encoder)
    encoded, _ = model.encoder.encode(texts, reading.max_tokens)
    # Items with one text are one: they can't be told from each other.
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    pairs = [(first[texts[a]], first[texts[b]]) for a, b in pairs if texts[a] != texts[b]]
    if not pairs:
        raise DataError(
            "no user has two events of different texts before the split",
            expected="items with what was taken after them",
        )
    groups = [pairs[start : start + BATCH_PAIRS] for start in range(0, len(pairs), BATCH_PAIRS)]

    def epoch_batches(_epoch: int) -> list[PairBatch]:
        return [model.collate(encoded, [(a, b, True) for a, b in group]) for group in groups]

    def loss(batch: PairBatch) -> torch.Tensor:
        left, right = model.pairs(batch)
        logits = left @ right.T / TEMPERATURE
        # Neither the item itself nor another pair's copy of the right one is a wrong one.
        alike = batch.right[:, None] == batch.right[None, :]
        same = alike | (batch.left[:, None] == batch.right[None, :])
        same.fill_diagonal_(False)
        target = torch.arange(len(left), device=logits.device)
        return torch.nn.functional.cross_entropy(logits.masked_fill(same, -torch.inf), target)

    recipe = Recipe(EPOCHS, LEARNING_RATE, dtype=reading.dtype)
    weight = lambda batch: float(len(batch.left))  # noqa: E731
    done = fit(model, epoch_batches, loss, weight, None, recipe, log)
    model.eval()
    return model, done.tokens
