"""Whether a classifier is right as often as it says, and the temperature that mends it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

from workbench.methods.classifiers import Labelled, Probabilities, chosen
from workbench.methods.logistic import losses
from workbench.record.result import Metric
from workbench.record.statistics import LEVEL

BINS = 10
TEMPERATURES = (0.05, 20.0)
"""Lowest and highest that is looked at."""
MIN_OF_EACH = 5
"""Fewest right and wrong validation texts to choose a temperature by."""
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
        "overconfidence": mean_gap(confidence - right).model_dump(mode="json"),
    }


def temper(
    probabilities: Probabilities,
    test: Labelled,
    held_out: Probabilities,
    validation: Labelled,
    labels: Sequence[str],
) -> dict[str, Any]:
    """`measure` of the test texts with all logits divided by one temperature, which it adds.

    The temperature is that of least cross-entropy on the validation texts, of which `held_out` are
    the probabilities (Guo et al. 2017, section 4.2). It changes no choice of a label. `loss` is
    the mean cross-entropy of the test texts in nats with the temperature less that without. With
    fewer than 5 wrong or 5 right validation texts it is left at 1: it would run to its bound.
    """

    def loss(log_temperature: float) -> float:
        cooled = _divided(held_out, float(np.exp(log_temperature)))
        return float(np.mean(losses(cooled, validation.labels, labels)))

    temperature = 1.0
    wrong = sum(a != b for a, b in zip(chosen(held_out, labels), validation.labels, strict=True))
    if min(wrong, len(held_out) - wrong) >= MIN_OF_EACH:
        found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded")
        temperature = float(np.exp(found.x))
    cooled = _divided(probabilities, temperature)
    before, after = (np.array(losses(p, test.labels, labels)) for p in (probabilities, cooled))
    return {
        **measure(cooled, test.labels, labels),
        "temperature": temperature,
        "validation_n": len(held_out),
        "loss": mean_gap(after - before, unit="nats").model_dump(mode="json"),
    }


def _divided(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Softmax of the logits divided by a temperature; log-probabilities serve as logits."""
    logs = np.log(np.maximum(probabilities, 1e-12)) / temperature
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def mean_gap(gaps: NDArray[np.float64], unit: str = "fraction") -> Metric:
    """Mean of a difference, with a normal interval over independent texts."""
    mean, n = float(gaps.mean()), len(gaps)
    if n < MIN_TEXTS:
        return Metric(value=mean, n=n, unit=unit, how=f"no interval: only {n} texts")
    if not gaps.std():
        return Metric(value=mean, n=n, unit=unit, how=f"no interval: the same in all {n:,} texts")
    half = float(norm.ppf((1 + LEVEL) / 2) * gaps.std(ddof=1) / np.sqrt(n))
    how = f"normal interval over {n:,} texts"
    return Metric(value=mean, low=mean - half, high=mean + half, n=n, unit=unit, how=how)
