"""Labels that a classifier disputes, as it is surer of another than on average where that is right.

Source: Northcutt et al. 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
sections 3.1 and 3.2.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.methods.classifiers import Labelled, Probabilities

SHOWN = 8


def disputed(
    probabilities: Probabilities, gold: Sequence[str], labels: Sequence[str]
) -> NDArray[np.intp]:
    """For each text the place of the label that the classifier holds against its own; else -1.

    A label counts as confidently given where its probability is at least the mean probability of
    that label over the texts that have it; of several the most probable counts. The texts must
    not have been trained on.
    """
    places = np.array([labels.index(label) for label in gold])
    usual = np.array(
        [
            probabilities[places == label, label].mean() if (places == label).any() else np.inf
            for label in range(len(labels))
        ]
    )
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    best = confident.argmax(axis=1)
    against = (confident.max(axis=1) >= 0) & (best != places)
    return np.where(against, best, -1)


def study(texts: Labelled, probabilities: Probabilities, labels: Sequence[str]) -> dict[str, Any]:
    """How many labels are disputed, which for which, and the texts where it is most confident.

    `gold` in a shown text is the label it has, `held` the one held against it.
    """
    against = disputed(probabilities, texts.labels, labels)
    rows = np.flatnonzero(against >= 0).tolist()
    pairs = Counter((texts.labels[row], labels[against[row]]) for row in rows)
    most_confident = sorted(rows, key=lambda row: -probabilities[row, against[row]])[:SHOWN]
    return {
        "n": len(against),
        "count": len(rows),
        "pairs": [[gold, held, count] for (gold, held), count in pairs.most_common()],
        "texts": [
            {
                "text": texts.texts[row],
                "gold": texts.labels[row],
                "held": labels[against[row]],
                "probability": float(probabilities[row, against[row]]),
                "of_gold": float(probabilities[row, labels.index(texts.labels[row])]),
            }
            for row in most_confident
        ],
    }
