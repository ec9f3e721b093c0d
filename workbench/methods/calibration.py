"""Calibration of label scores: divide out what a prompt says without, or before, looking at a text.

Scores are log-probabilities [..., L] of the labels; so are the results, normalised over labels. All
move each label's scores by one number, the same for all items: an offset.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
CONTENT_FREE = ("N/A", "", "[MASK]")
"""Inputs that say nothing: Zhao et al. 2021, "Calibrate Before Use", section 4."""
PREMISE = CONTENT_FREE.index("")
"""The one of them that leaves the prompt itself: PMI's premise."""
RESTARTS = 8
"""Random starts of the search for the best offsets of more than two labels."""


def normalise(scores: Scores) -> Scores:
    """Log-probabilities that sum to one over the labels.

    >>> np.exp(normalise(np.log([[0.1, 0.3]]))).round(2).tolist()
    [[0.25, 0.75]]
    """
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def calibrate(scores: Scores, reference: Scores) -> Scores:
    """Scores [N, L] over the mean probability of each label in `reference` [M, L].

    With content-free inputs as the reference this is contextual calibration (Zhao et al. 2021,
    section 4: W = diag(p)^-1, b = 0, the same ranking of labels); with unlabelled texts it is batch
    calibration (Zhou et al. 2024, "Batch Calibration", section 3.2).

    >>> calibrate(np.log([[0.6, 0.4]]), np.log([[0.9, 0.1], [0.7, 0.3]])).argmax()
    np.int64(1)
    """
    mean = np.exp(normalise(reference)).mean(axis=0)
    return normalise(normalise(scores) - np.log(np.maximum(mean, 1e-12)))


def pmi(scores: Scores, premise: Scores) -> Scores:
    """Scores [N, L] minus those of the domain's premise [L]: log p(y|x) - log p(y|premise).

    Domain-conditional pointwise mutual information (Holtzman et al. 2021, "Surface Form
    Competition", section 3); the premise here is the same prompt with an empty text. Labels are
    ranked as by contextual calibration with that one input as the reference.

    >>> np.exp(pmi(np.log([[0.6, 0.2]]), np.log([0.6, 0.1]))).round(3).tolist()
    [[0.333, 0.667]]
    """
    return normalise(scores - premise)


def oracle(scores: Scores, gold: NDArray[np.int64], *, seed: int = 0) -> Scores:
    """Scores [N, L] with the offsets that make most of the labels `gold` [N] come out on top.

    A bound for what moves labels by offsets, and no method: it looks at the right labels. For two
    labels no offsets do better. For more it is a lower bound of the best: an exact search label by
    label until none improves, from the scores as they are, from equal mean scores and from random
    starts.

    >>> found = oracle(np.log([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]), np.array([0, 0, 1]))
    >>> found.argmax(axis=1).tolist()
    [0, 0, 1]
    """
    scores = normalise(scores)
    labels = scores.shape[1]
    generator = np.random.default_rng(seed)
    level = -scores.mean(axis=0)
    starts = [np.zeros(labels), level]
    if labels > 2:
        spread = scores.std(axis=0).mean()
        starts += [level + spread * generator.normal(size=labels) for _ in range(RESTARTS)]
    found = [_climb(scores, gold, start, generator) for start in starts]
    _, best = max(found, key=lambda pair: pair[0])
    return normalise(scores + best)


def _climb(
    scores: Scores, gold: NDArray[np.int64], offsets: Scores, generator: np.random.Generator
) -> tuple[int, Scores]:
    """Items got right, and the offsets after moving one label at a time while that gets more."""
    offsets = offsets.copy()
    right = int(((scores + offsets).argmax(axis=1) == gold).sum())
    idle = 0
    while idle < len(offsets):
        for label in generator.permutation(len(offsets)):
            count, offset = _best_offset(scores + offsets, gold, label)
            idle = 0 if count > right else idle + 1
            if count > right:
                right = count
                offsets[label] += offset
    return right, offsets


def _best_offset(scores: Scores, gold: NDArray[np.int64], label: int) -> tuple[int, float]:
    """Most items got right by moving one label's scores, and by how much: exact.

    An item turns to the label where the offset passes its lead over it, so that only the order of
    the leads counts; the offset is taken half-way between two.
    """
    others = np.delete(scores, label, axis=1)
    rivals = np.delete(np.arange(scores.shape[1]), label)[others.argmax(axis=1)]
    lead = others.max(axis=1) - scores[:, label]
    change = (gold == label).astype(np.int64) - (rivals == gold)
    leads, places = np.unique(lead, return_inverse=True)
    gains = np.bincount(places, weights=change)
    counts = (rivals == gold).sum() + np.concatenate([[0], np.cumsum(gains)])
    middles = [(low + high) / 2 for low, high in pairwise([leads[0] - 2, *leads, leads[-1] + 2])]
    best = int(counts.argmax())
    return int(counts[best]), float(middles[best])


def ensemble(prompts: Scores) -> Scores:
    """Mean of P prompts' log-probabilities [P, N, L], normalised [N, L]."""
    return normalise(prompts.mean(axis=0))
