"""Ways to learn a label for a text from labelled ones, each with what it took."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core import machine
from workbench.methods import classifiers, embeddings
from workbench.methods.classifiers import Labelled, Predict, Probabilities, Reading
from workbench.methods.learners import BITFIT, FULL, HEAD, LORA, MAJORITY, NEAREST, SETFIT, TFIDF
from workbench.models.encoder import Encoder
from workbench.models.text_classifier import TextClassifier, biases
from workbench.training import Log, Recipe

BATCH_TOKENS = 640
LIGHT_RATE = 10
"""Learning rate of LoRA and BitFit as a multiple of full fine-tuning's: few weights change."""


@dataclass(frozen=True)
class Setting:
    """What every way to learn has in common."""

    encoder: Encoder
    labels: Sequence[str]
    validation: Labelled
    """Chooses epoch and penalty. Without texts in it the last epoch is kept, and folds of the
    training texts choose the penalty: then nothing is learned from labels but those of training."""
    reading: Reading
    recipe: Recipe
    """Of full fine-tuning."""
    lora_rank: int
    seed: int
    log: Log
    """Keeps the history of what is learned under a name of its own."""
    extras: Collection[str] = ()
    """Additions to the head and the recipe, by name (`methods.extras`)."""
    features: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """What the frozen encoder makes of the texts it has read: each is read once."""

    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features [N, H] of texts under the frozen encoder."""
        new = [text for text in dict.fromkeys(texts) if text not in self.features]
        if new:
            found = classifiers.encode(self.encoder, new, self.reading)
            self.features.update(zip(new, found, strict=True))
        return np.stack([self.features[text] for text in texts])


@dataclass(frozen=True)
class Answer:
    """What a learned method says of some texts, and what learning took."""

    probabilities: Probabilities
    trainable: int
    """Weights that were learned."""
    seconds: float
    """Wall time of learning, scoring not counted, nor texts whose features were known."""
    memory_mb: float | None
    """Most memory while learning, in MiB, the loaded models included; None if not measured."""
    tokens: int = 0
    """Subword tokens trained on, over all epochs."""
    model: TextClassifier | None = None
    """What was fine-tuned, where it is kept."""

    def chosen(self, labels: Sequence[str]) -> list[str]:
        """The most probable label of each text."""
        return classifiers.chosen(self.probabilities, labels)

    @property
    def cost(self) -> dict[str, Any]:
        """What a table shows of it."""
        return {
            "trainable": self.trainable,
            "seconds": round(self.seconds, 2),
            "memory_mb": self.memory_mb,
        }


@dataclass(frozen=True)
class _Learned:
    predict: Predict
    trainable: int
    tokens: int = 0
    model: TextClassifier | None = None


def learn(
    method: str,
    train: Labelled,
    texts: Sequence[str],
    setting: Setting,
    *,
    keep: bool = False,
    name: str = "",
) -> Answer:
    """Learn by one of METHODS or FEW from `train`, and answer for `texts`; `keep` the model too.

    `name` is what is printed of it, where it has another.
    """
    print(f"{name or method}: learning from {len(train.texts):,} texts", flush=True)
    machine.seed(setting.seed)
    place = setting.encoder.device
    measured = machine.reset_peak_memory(place)
    began = time.monotonic()
    learned = (METHODS | FEW)[method](train, setting)
    seconds = time.monotonic() - began
    memory = machine.part_memory_mb(place) if measured else None
    answers, model = learned.predict(texts), learned.model if keep else None
    return Answer(answers, learned.trainable, seconds, memory, learned.tokens, model)


def _majority(train: Labelled, setting: Setting) -> _Learned:
    predict = lambda texts: classifiers.majority(train, setting.labels, len(texts))  # noqa: E731
    return _Learned(predict, len(setting.labels) - 1)


def _tfidf(train: Labelled, setting: Setting) -> _Learned:
    return _Learned(*classifiers.tfidf(train, setting.validation, setting.labels))


def _head(train: Labelled, setting: Setting) -> _Learned:
    probe = classifiers.linear_probe(setting.read, train, setting.validation, setting.labels)
    return _Learned(*probe)


def _lora(train: Labelled, setting: Setting) -> _Learned:
    return _tuned(train, setting, LIGHT_RATE, lora_rank=setting.lora_rank)


def _bitfit(train: Labelled, setting: Setting) -> _Learned:
    return _tuned(train, setting, LIGHT_RATE, biases_only=True)


def _full(train: Labelled, setting: Setting) -> _Learned:
    return _tuned(train, setting, 1)


def _tuned(train: Labelled, setting: Setting, rate: float, **kind: Any) -> _Learned:
    recipe = replace(setting.recipe, learning_rate=rate * setting.recipe.learning_rate)
    model = TextClassifier(
        setting.encoder, setting.labels, **kind, attention="attention" in setting.extras
    )
    fit = classifiers.fine_tune(
        model,
        train,
        setting.validation if setting.validation.texts else None,
        recipe,
        setting.reading,
        setting.log,
        batch_tokens=BATCH_TOKENS,
        seed=setting.seed,
        extras=setting.extras,
    )
    predict = lambda texts: classifiers.predict(model, texts, setting.reading)  # noqa: E731
    return _Learned(predict, model.trainable, fit.tokens, model)


def _nearest(train: Labelled, setting: Setting) -> _Learned:
    return _Learned(*embeddings.nearest(setting.read, train, setting.labels))


def _setfit(train: Labelled, setting: Setting) -> _Learned:
    learned = embeddings.setfit(
        setting.encoder,
        train,
        setting.labels,
        setting.recipe,
        setting.reading,
        setting.log,
        seed=setting.seed,
    )
    return _Learned(*learned)


METHODS: dict[str, Callable[[Labelled, Setting], _Learned]] = {
    MAJORITY: _majority,
    TFIDF: _tfidf,
    HEAD: _head,
    BITFIT: _bitfit,
    LORA: _lora,
    FULL: _full,
}
"""From the cheapest to the dearest."""
FEW: dict[str, Callable[[Labelled, Setting], _Learned]] = {NEAREST: _nearest, SETFIT: _setfit}
"""Made for few labelled texts; neither looks at validation."""


def methods(encoder: Encoder) -> list[str]:
    """The METHODS that an encoder can be adapted by; without biases not BitFit, which is said."""
    if biases(encoder):
        return list(METHODS)
    print(f"{BITFIT} is left out: {encoder.source.name} has no biases")
    return [method for method in METHODS if method != BITFIT]
