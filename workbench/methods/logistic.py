"""Logistic regression on features of texts, its penalty chosen by validation or by folds."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

PENALTIES = (0.03, 0.3, 3.0, 30.0)
"""Inverse strengths of logistic regression's L2 penalty that validation chooses from."""
FOLDS = 4
"""Of the training texts, where there is no validation to choose by."""


def regression(
    seen: NDArray, labels: Sequence[str], held_out: NDArray, gold: Sequence[str]
) -> Pipeline:
    """Logistic regression with the penalty of least loss on validation.

    Where no validation text has a label of training, the loss is that of folds of the training
    texts. Of training texts that all have one label, nothing but that label can be learned.
    """
    if len(set(labels)) < 2:
        return make_pipeline(DummyClassifier().fit(seen, labels))
    known = [place for place, label in enumerate(gold) if label in set(labels)]
    if not known:
        return _penalised(seen, labels, min(PENALTIES, key=lambda p: _folded_loss(seen, labels, p)))
    models = [_penalised(seen, labels, penalty) for penalty in PENALTIES]
    of_known = [gold[place] for place in known]
    loss = [
        log_loss(of_known, model.predict_proba(held_out[known]), labels=model.classes_)
        for model in models
    ]
    return models[int(np.argmin(loss))]


def _penalised(seen: NDArray, labels: Sequence[str], penalty: float) -> Pipeline:
    scale = [StandardScaler()] if isinstance(seen, np.ndarray) else []
    model = make_pipeline(*scale, LogisticRegression(C=penalty, max_iter=2000, tol=1e-3))
    # Its products are too small to share: on two threads they take three times as long, and fifteen
    # times beside other work (docs/log.md).
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes", module="sklearn")
        return model.fit(seen, labels)


def _folded_loss(seen: NDArray, labels: Sequence[str], penalty: float) -> float:
    """Loss in nats of the texts of each fold under what the other folds teach.

    A label that those lack costs every penalty the same; folds that leave one label are skipped.
    """
    order, total = sorted(set(labels)), 0.0
    folds = KFold(min(FOLDS, len(labels)), shuffle=True, random_state=0)
    for rest, fold in folds.split(np.arange(len(labels))):
        learned = [labels[place] for place in rest]
        if len(set(learned)) > 1:
            found = in_order(_penalised(seen[rest], learned, penalty), seen[fold], order)
            total += sum(losses(found, [labels[place] for place in fold], order))
    return total


def weights_of(model: Pipeline) -> int:
    """Weights and biases of the logistic regression that a pipeline ends with."""
    if isinstance(model[-1], DummyClassifier):
        return 0
    return int(model[-1].coef_.size + model[-1].intercept_.size)


def in_order(model: Pipeline, inputs: NDArray, labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities with a column a label, 0 for a label that training lacked."""
    found = np.zeros((inputs.shape[0], len(labels)))
    places = [labels.index(label) for label in model.classes_]
    found[:, places] = model.predict_proba(inputs)
    return found


def losses(
    probabilities: NDArray[np.float64], gold: Sequence[str], labels: Sequence[str]
) -> list[float]:
    """Cross-entropy of each gold label in nats."""
    places = [labels.index(label) for label in gold]
    found = probabilities[np.arange(len(places)), places]
    return [float(value) for value in -np.log(np.maximum(found, 1e-12))]
