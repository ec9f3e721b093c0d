"""Whether a classifier is right as often as it says: confidence beside accuracy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from workbench.result import Metric
from workbench.statistics import LEVEL
from workbench.tasks.classifiers import Probabilities, chosen

BINS = 10
MIN_TEXTS = 20
"""Fewest answers in a bin: below, its accuracy says nothing."""


def measure(
    probabilities: Probabilities, gold: Sequence[str], labels: Sequence[str]
) -> dict[str, Any]:
    """Bins of equally many answers by rising confidence, and the expected calibration error.

    Of each bin: `n`, mean `confidence` (the chosen label's probability), `accuracy` and its 95 %
    Wilson interval. `overconfidence` is the mean of confidence less correctness. The error is the
    mean gap of the bins, weighted by n (Guo et al. 2017, "On Calibration of Modern Neural
    Networks", section 2, here with equally filled bins).
    """
    confidence = probabilities.max(axis=1)
    right = np.array(chosen(probabilities, labels)) == np.array(gold)
    order = np.argsort(confidence, kind="stable")
    bins = []
    for part in np.array_split(order, min(BINS, max(1, len(order) // MIN_TEXTS))):
        hits, n = int(right[part].sum()), len(part)
        interval = binomtest(hits, n).proportion_ci(LEVEL, method="wilson")
        bins.append(
            {
                "n": n,
                "confidence": float(confidence[part].mean()),
                "accuracy": hits / n,
                "low": float(interval.low),
                "high": float(interval.high),
            }
        )
    gaps = [abs(part["confidence"] - part["accuracy"]) * part["n"] for part in bins]
    return {
        "bins": bins,
        "n": len(order),
        "expected_calibration_error": sum(gaps) / len(order),
        "confidence": float(confidence.mean()),
        "accuracy": float(right.mean()),
        "overconfidence": _mean_gap(confidence - right).model_dump(mode="json"),
    }


def _mean_gap(gaps: NDArray[np.float64]) -> Metric:
    """Mean of confidence less correctness, with a normal interval over independent texts."""
    mean, n = float(gaps.mean()), len(gaps)
    if n < MIN_TEXTS:
        return Metric(value=mean, n=n, how=f"no interval: only {n} texts")
    half = float(norm.ppf((1 + LEVEL) / 2) * gaps.std(ddof=1) / np.sqrt(n))
    return Metric(
        value=mean, low=mean - half, high=mean + half, n=n, how=f"normal interval over {n:,} texts"
    )
