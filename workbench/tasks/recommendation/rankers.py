"""Recommenders: each scores the whole catalogue for a user's history.

All are fitted on events before the split. A history is the places of the items that a user has
taken, in order; a user who was not there before can so be scored by the same functions.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import rankdata

from workbench.core.errors import DataError
from workbench.methods import embeddings
from workbench.models.embedder import Pair

Scores = NDArray[np.float64]
Rank = Callable[[Sequence[Sequence[int]]], Scores]
"""Scores [users, items] of histories, none of them empty; the higher comes first."""
SHRINK = 10.0
"""Added to the product of norms: likeness of items with few users in common is trusted less."""
CONFIDENCE, PENALTY, SWEEPS = 10.0, 10.0, 15
"""Of matrix factorisation, untuned: weight of an event over a missing one, penalty, iterations."""
LAST = 10
"""Items of a history, the last ones, that text is compared with."""


@dataclass(frozen=True)
class Past:
    """Events before the split, of U users with M items: a history for each user."""

    histories: Sequence[Sequence[int]]
    recent: Sequence[int]
    """Items of the last of these events."""
    items: int


Makers = dict[str, Callable[[Past], Rank]]
"""Name -> what learns a recommender from the past."""


def rows(histories: Sequence[Sequence[int]], items: int) -> csr_array:
    """1 where a history has an item [histories, items]."""
    ends = np.cumsum([0, *map(len, histories)])
    places = np.array([*chain.from_iterable(histories)], dtype=np.int64)
    return csr_array((np.ones(len(places)), places, ends), shape=(len(histories), items))


def without_taken(scores: Scores, histories: Sequence[Sequence[int]]) -> Scores:
    """The scores [users, items] with what a user has taken already below all else."""
    found = scores.copy()
    found[rows(histories, scores.shape[1]).nonzero()] = -np.inf
    return found


def popularity(histories: Sequence[Sequence[int]], items: int) -> Rank:
    """How often each item occurs in all of the histories, the same for all users."""
    counts = rows(histories, items).sum(axis=0)
    return lambda histories: np.tile(counts, (len(histories), 1))


def neighbours(past: Past) -> Rank:
    """Sum over a history of the shrunk cosine of its items' users and each item's users.

    All items are neighbours. Sources: Deshpande and Karypis 2004, "Item-Based Top-N Recommendation
    Algorithms", section 4; the shrinkage of Ferrari Dacrema et al. 2019, "Are We Really Making
    Much Progress?", appendix.
    """
    matrix = rows(past.histories, past.items)
    together = (matrix.T @ matrix).toarray()
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
    matrix = rows(past.histories, past.items)
    for _ in range(SWEEPS):
        user_factors = _solve(matrix, item_factors)
        item_factors = _solve(csr_array(matrix.T), user_factors)
    return lambda histories: _solve(rows(histories, past.items), item_factors) @ item_factors.T


def _solve(matrix: csr_array, fixed: Scores) -> Scores:
    """Factors of each row, given those of the columns: eq. 4 of Hu et al."""
    gram = fixed.T @ fixed + PENALTY * np.eye(fixed.shape[1])
    found = np.zeros((matrix.shape[0], fixed.shape[1]))
    for row, places in enumerate(np.split(matrix.indices, matrix.indptr[1:-1])):
        own = fixed[places]
        if len(own):
            left = gram + CONFIDENCE * own.T @ own
            found[row] = np.linalg.solve(left, (1 + CONFIDENCE) * own.sum(axis=0))
    return found


def by_text(features: NDArray[np.float32]) -> Rank:
    """Cosine of each item's embedding [M, H] and the mean of the last ones of a history."""

    def rank(histories: Sequence[Sequence[int]]) -> Scores:
        profiles = np.stack([features[list(own[-LAST:])].mean(axis=0) for own in histories])
        return (embeddings.unit(profiles) @ features.T).astype(np.float64)

    return rank


def combined(ranks: Sequence[Rank]) -> Rank:
    """Reciprocal rank fusion: 1 / (60 + place), summed over several rankings of what is not taken.

    Source: Cormack, Clarke and Buettcher 2009, "Reciprocal Rank Fusion outperforms Condorcet".
    """
    return lambda histories: sum(
        1 / (60 + rankdata(-without_taken(one(histories), histories), "ordinal", axis=1))
        for one in ranks
    )


def followed(
    histories: Sequence[Sequence[int]], texts: Sequence[str], count: int, seed: int
) -> list[Pair]:
    """Of at most `count` items and those that the same user took next, the pairs of two texts.

    Items with one text are one: they can't be told from each other. Raises DataError for no pair.
    """
    found = [pair for history in histories for pair in pairwise(history)]
    random.Random(seed).shuffle(found)
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    pairs = [(first[texts[a]], first[texts[b]], True) for a, b in found[:count]]
    if different := [pair for pair in pairs if pair[0] != pair[1]]:
        return different
    raise DataError(
        "no user has two events of different texts before the split",
        expected="items with what was taken after them",
    )
