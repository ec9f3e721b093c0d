"""Ways to guess a market's next direction, all walked through the same folds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from workbench.core import machine
from workbench.methods import classifiers
from workbench.methods.classifiers import Labelled, Reading
from workbench.models.encoder import Encoder
from workbench.models.text_classifier import TextClassifier
from workbench.tasks.finance import walk_forward
from workbench.tasks.finance.walk_forward import (
    LABELS,
    Examples,
    Fold,
    Inputs,
    Learner,
    Predict,
    Said,
)
from workbench.training import Log, Recipe

OWN, PLACEBO = "fine-tuned encoder", "shuffled texts"
LOGISTIC, LAST_MOVE, MAJORITY = "logistic regression on the numbers", "last move", "majority"
OPPOSITE = "opposite of the last move"
BATCH_TOKENS = 640
LORA_RANK = 8
"""LoRA found more of the edges planted in generated markets than full training (docs/log.md)."""
MAX_TOKENS = 128


@dataclass(frozen=True)
class Answer:
    """What a method says of the test days, and what learning took, over all folds."""

    said: Said
    trainable: int
    """Weights that one fold learns."""
    seconds: float
    tokens: int = 0
    trainings: dict[int, Said] = field(default_factory=dict)
    """Seed -> what the training with it says alone, where `said` is their mean."""

    @property
    def cost(self) -> dict[str, Any]:
        """What a table shows of it."""
        return {"trainable": self.trainable, "seconds": round(self.seconds, 2)}


def majority(seen: Inputs, labels: Sequence[str]) -> Predict:
    """The fractions of both directions in training."""
    known = Labelled(seen.texts, labels)
    return lambda asked: classifiers.majority(known, LABELS, len(asked))


def last_move(_seen: Inputs, _labels: Sequence[str]) -> Predict:
    """The direction of the day's own move goes on; a day without a move counts as up."""
    return lambda asked: np.eye(2)[(asked.numbers[:, -1] >= 0).astype(int)]


def opposite(_seen: Inputs, _labels: Sequence[str]) -> Predict:
    """The day's own move turns back: the opposite of what `last_move` says."""
    return lambda asked: np.eye(2)[(asked.numbers[:, -1] < 0).astype(int)]


def logistic(seen: Inputs, labels: Sequence[str]) -> Predict:
    """Logistic regression on the moves that the words tell of, with scikit-learn's penalty."""
    if len(set(labels)) < len(LABELS):
        return majority(seen, labels)
    # Its classes are in order of the alphabet, as LABELS are.
    model = LogisticRegression().fit(seen.numbers, list(labels))
    return lambda asked: model.predict_proba(asked.numbers)


class FineTuned:
    """The encoder with LoRA and a new classification layer, trained anew in each fold."""

    def __init__(
        self, encoder: Encoder, recipe: Recipe, reading: Reading, *, seed: int, log: Log, name: str
    ) -> None:
        self.encoder, self.recipe, self.reading = encoder, recipe, reading
        self.seed, self.log, self.name = seed, log, name
        self.folds = self.tokens = self.trainable = 0
        self.seconds = 0.0

    def __call__(self, seen: Inputs, labels: Sequence[str]) -> Predict:
        """Train on the fold's past, for a number of epochs fixed before, and keep the last."""
        self.folds += 1
        self.log.method = f"{self.name}, fold {self.folds}"
        machine.seed(self.seed)
        model = TextClassifier(self.encoder, LABELS, lora_rank=LORA_RANK)
        fit = classifiers.fine_tune(
            model,
            Labelled(seen.texts, labels),
            None,
            self.recipe,
            self.reading,
            self.log,
            batch_tokens=BATCH_TOKENS,
            seed=self.seed,
        )
        self.tokens, self.seconds = self.tokens + fit.tokens, self.seconds + fit.seconds
        self.trainable = model.trainable
        return lambda asked: classifiers.predict(model, asked.texts, self.reading)


def answer(
    examples: Examples,
    cuts: Sequence[Fold],
    tuned: Callable[..., FineTuned],
    *,
    embargo_days: int,
    seeds: Sequence[int],
) -> dict[str, Answer]:
    """What each method says of all folds' test days, and what that took.

    The encoder is trained once with each of the `seeds`, and says the mean; the placebo is trained
    with the first.
    """
    walk = partial(walk_forward.walk, examples, cuts, embargo_days=embargo_days)
    weights = examples.inputs.numbers.shape[1] + 1
    plain: dict[str, tuple[Learner, int]] = {
        MAJORITY: (majority, 1),
        LAST_MOVE: (last_move, 0),
        OPPOSITE: (opposite, 0),
        LOGISTIC: (logistic, weights),
    }
    found = {}
    for name, (learner, trainable) in plain.items():
        began = time.monotonic()
        found[name] = Answer(walk(learner), trainable, time.monotonic() - began)
    learners = [tuned(name=f"{OWN}, seed {seed}", seed=seed) for seed in seeds]
    said = [walk(learner) for learner in learners]
    found[OWN] = Answer(
        walk_forward.average(said, [1] * len(said)),
        learners[0].trainable,
        sum(learner.seconds for learner in learners),
        sum(learner.tokens for learner in learners),
        trainings=dict(zip(seeds, said, strict=True)),
    )
    shuffled = tuned(name=PLACEBO, seed=seeds[0])
    said_shuffled = walk(shuffled, placebo=seeds[0])
    found[PLACEBO] = Answer(said_shuffled, shuffled.trainable, shuffled.seconds, shuffled.tokens)
    return found
