"""Calibration of label scores: divide out what a prompt says without, or before, looking at a text.

Scores are log-probabilities [..., L] of the labels; so are the results, normalised over labels.
"""

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
CONTENT_FREE = ("N/A", "", "[MASK]")
"""Inputs that say nothing: Zhao et al. 2021, "Calibrate Before Use", section 4."""


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


def ensemble(prompts: Scores) -> Scores:
    """Mean of P prompts' log-probabilities [P, N, L], normalised [N, L]."""
    return normalise(prompts.mean(axis=0))
