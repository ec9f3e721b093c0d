"""Precision, recall and F1 from counts, and macro F1 with an interval of its own kind."""

from collections.abc import Callable
from functools import partial

import numpy as np

from workbench.record.draws import Counts
from workbench.record.metric import Metric
from workbench.record.statistics import difference, measure

MIN_OF_LABEL = 5
"""Fewest items of the typical label (the median) for an interval of macro F1."""


def precision(counts: Counts) -> Counts:
    """Correct among predicted, over the last axis (correct, predicted, gold); NaN of none."""
    return _ratio(counts[..., 0], counts[..., 1])


def recall(counts: Counts) -> Counts:
    """Correct among gold; NaN of none."""
    return _ratio(counts[..., 0], counts[..., 2])


def f1(counts: Counts) -> Counts:
    """Harmonic mean of precision and recall, 2 * correct / (predicted + gold); NaN of none.

    >>> float(f1(np.array([1.0, 1.0, 2.0])))  # precision 1/1, recall 1/2
    0.6666666666666666
    """
    return _ratio(2 * counts[..., 0], counts[..., 1] + counts[..., 2])


def macro_f1(counts: Counts) -> Counts:
    """Mean F1 of counts [..., labels, 3] over the labels that are gold or predicted; NaN of none.

    As scikit-learn's `f1_score(average="macro")` with its default labels.

    >>> float(macro_f1(np.array([[1.0, 1.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])))
    0.3333333333333333
    """
    each = f1(counts)
    return _ratio(np.nansum(each, axis=-1), np.count_nonzero(~np.isnan(each), axis=-1))


def measure_macro_f1(
    counts: Counts, *, n: int, clusters: str, samples: Counts | None = None
) -> Metric | None:
    """Macro F1 of counts [clusters, labels, 3] with its interval, or why it has none."""
    made = partial(measure, counts, n=n, clusters=clusters, samples=samples)
    return _of_macro_f1(made, counts)


def macro_f1_difference(
    pairs: Counts, *, n: int, clusters: str, samples: Counts | None = None
) -> Metric | None:
    """Macro F1 of the first minus that of the second, counts [clusters, 2, labels, 3], paired."""
    made = partial(difference, pairs, n=n, clusters=clusters, samples=samples)
    return _of_macro_f1(made, pairs[:, 0])


def _of_macro_f1(made: Callable[..., Metric | None], counts: Counts) -> Metric | None:
    """`measure` or `difference` of macro F1 over the gold labels of `counts`.

    A rare label's F1 is lower, or missing, in resamples: the bootstrap's mean lies below the value,
    about as far as the value lies below the truth. The interval takes that back. Where the typical
    label has under 5 items it no longer can (benchmarks/coverage.py): there is none then.
    """
    gold = counts[..., 2].sum(axis=0)
    gold = gold[gold > 0]
    # So many independent items would tell their accuracy as precisely as these tell the mean over
    # labels, if those of a cluster were all alike.
    alike = min(1.0, len(counts) / gold.sum()) if len(gold) else 1.0
    size = alike * len(gold) ** 2 / (1 / gold).sum() if len(gold) else None
    found = made(macro_f1, biased=True, size=size)
    if found is None or found.low is None or np.median(gold) >= MIN_OF_LABEL:
        return found
    rare = f"no interval: half of {len(gold)} labels have under {MIN_OF_LABEL} items"
    return found.model_copy(update={"low": None, "high": None, "p": None, "how": rare})


def _ratio(part: Counts, whole: Counts) -> Counts:
    with np.errstate(invalid="ignore", divide="ignore"):
        return part / whole
