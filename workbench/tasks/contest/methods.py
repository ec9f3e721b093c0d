"""What learns in the contest, from nested draws of labelled texts.

With n labelled examples a method may use those n and no other label. Nothing is chosen on
validation labels in a run: epochs and learning rates are fixed (they were looked at before, on 300
validation labels of `brand_tweets`), and where a penalty is to be chosen, folds of the n choose it.
Of validation, batch calibration reads texts, not labels.
"""

import math
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from workbench.core import machine
from workbench.core.config import names
from workbench.core.errors import DataError, ParameterError
from workbench.data.text import TextData
from workbench.methods import (
    adaptation,
    classifiers,
    label_scores,
    prompt_scores,
)
from workbench.methods.adaptation import BATCH_TOKENS, MAJORITY, Answer, Setting
from workbench.methods.classifiers import Labelled, Reading
from workbench.methods.label_scores import Compared
from workbench.methods.prompt_scores import BATCH
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.tasks.contest.config import DECODER, Config
from workbench.tasks.contest.levels import Levels, Models
from workbench.tasks.contest.scores import Answered
from workbench.training import Log, Recipe

EPOCHS, STEPS = 3, 40
"""Passes over the examples: as many as make 40 steps, and never fewer than three. Few examples
need more passes (Mosbach et al. 2021, "On the Stability of Fine-tuning BERT")."""
LEARNING_RATE = 1e-4
"""Of full fine-tuning and SetFit, as chosen in earlier runs (docs/log.md); LoRA takes ten times."""
LORA_RANK = 8


@dataclass(frozen=True)
class Point:
    """What a method says of the test items, learned from one draw of so many texts."""

    method: str
    draw: int
    texts: Sequence[str]
    """What it learned from."""
    answer: Answer
    answer_seconds: float
    """Wall time of answering for all test items."""


def dtype(model: CausalLM | Encoder) -> torch.dtype:
    """In what matrix products are made."""
    return machine.precision("auto", model.device)


def pools(config: Config, data: TextData) -> list[Labelled]:
    """The labelled texts of each draw, of which a size takes the first ones.

    They are drawn as they come, not label by label: whoever begins to label texts does not know
    their labels. ParameterError where there are fewer than the largest size, DataError where that
    holds one label only.
    """
    train = classifiers.labelled(data, "train")
    largest = config.counts[-1]
    if largest > len(train.texts):
        raise ParameterError(
            f"sizes={config.sizes!r}, but there are only {len(train.texts):,} training texts",
            do="lower the largest of sizes",
        )
    found = []
    for draw in range(config.draws):
        chance = random.Random(f"{config.seed}/{draw}")
        places = chance.sample(range(len(train.texts)), largest)
        found.append(Labelled([train.texts[p] for p in places], [train.labels[p] for p in places]))
    if any(len(set(pool.labels)) < 2 for pool in found):
        raise DataError(
            f"a draw of {largest:,} training texts has one label only",
            expected="two labels at least among them",
            do="raise the largest of sizes",
        )
    return found


def learn(
    config: Config, models: Models, data: TextData, drawn: Sequence[Labelled], log: Log
) -> list[Point]:
    """All methods, learned from every size of every draw.

    The log keeps the history of the largest size of the first draw, and shows the others only.
    """
    texts = data.splits["test"][: config.items]["text"]
    quiet = Log(None)
    points = []
    for draw, pool in enumerate(drawn):
        for size in config.counts:
            kept = draw == 0 and size == config.counts[-1]
            for method in names(config.methods):
                of = log if kept else quiet
                of.method = f"{method}, {size:,} texts, draw {draw + 1}"
                own = learner(method, models)
                part = pool.first(size)
                setting = _setting(config, own, data.labels, part, draw, of)
                points.append(_learn(method, draw, part, texts, setting))
    return points


def learner(method: str, models: Models) -> Encoder:
    """The encoder that a method adapts: the decoder as one, or the other."""
    own = models.reader if method.startswith(DECODER) else models.encoder
    assert own is not None, "the decoder is loaded as an encoder where it learns"
    return own


def _setting(
    config: Config, own: Encoder, labels: Sequence[str], train: Labelled, draw: int, log: Log
) -> Setting:
    """How one draw of one size is learned: no text is known before, none is there to validate."""
    kind = dtype(own)
    encoded, _ = own.encode(train.texts, config.max_tokens)
    return Setting(
        encoder=own,
        labels=labels,
        validation=Labelled([], []),
        reading=Reading(config.max_tokens, kind),
        recipe=Recipe(epochs(map(len, encoded)), LEARNING_RATE, dtype=kind),
        lora_rank=LORA_RANK,
        seed=config.seed + draw,
        log=log,
    )


def epochs(lengths: Iterable[int]) -> int:
    """Passes over texts of so many tokens.

    >>> epochs([30] * 8), epochs([30] * 512)
    (40, 3)
    """
    return max(EPOCHS, math.ceil(STEPS / math.ceil(sum(lengths) / BATCH_TOKENS)))


def _learn(
    method: str, draw: int, train: Labelled, texts: Sequence[str], setting: Setting
) -> Point:
    began = time.monotonic()
    plain = method.removeprefix(DECODER)
    answer = adaptation.learn(plain, train, texts, setting, name=method)
    return Point(method, draw, train.texts, answer, time.monotonic() - began - answer.seconds)


def references(config: Config) -> list[str]:
    """The prompts that what learns is to overtake, fixed in advance; the most shots come last."""
    conditions = dict.fromkeys(prompt_scores.condition(shots) for shots in (0, config.shots))
    return [prompt_scores.method(name, BATCH) for name in conditions]


def compare(
    config: Config,
    levels: Levels,
    points: Sequence[Point],
    drawn: Sequence[Labelled],
    data: TextData,
) -> Compared:
    """The first draw alone, the largest size of it, with every label's answer an item's row."""
    rows = data.splits["test"][: config.items]
    largest = drawn[0]
    scored = {
        point.method: point.answer.probabilities
        for point in points
        if point.draw == 0 and len(point.texts) == config.counts[-1]
    }
    scored |= {name: found[0] for name, found in levels.answers.items()}
    scored[MAJORITY] = classifiers.majority(largest, data.labels, len(rows["text"]))
    return label_scores.compare(
        names(config.methods)[0],
        {name: classifiers.chosen(found, data.labels) for name, found in scored.items()},
        rows,
        data.labels,
        of=data.unit,
        losses={
            name: classifiers.losses(found, rows["label"], data.labels)
            for name, found in scored.items()
        },
    )


def answered(
    config: Config,
    levels: Levels,
    points: Sequence[Point],
    rows: Mapping[str, Sequence[str]],
    data: TextData,
) -> Answered:
    """Which items every method had right, by size and draw."""
    gold = np.array([data.labels.index(label) for label in rows["label"]])
    right = {
        (point.method, len(point.texts), point.draw): point.answer.probabilities.argmax(1) == gold
        for point in points
    }
    return Answered(
        sizes=config.counts,
        curves={
            method: np.array(
                [
                    [right[method, size, draw] for draw in range(config.draws)]
                    for size in config.counts
                ]
            )
            for method in names(config.methods)
        },
        levels={
            name: np.stack([each.argmax(1) == gold for each in found])
            for name, found in levels.answers.items()
        },
        clusters=rows["cluster"],
        unit=data.unit,
    )


def costs(config: Config, levels: Levels, points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    """What each method takes at the largest size, the mean over the draws."""
    found = {name: dict(cost) for name, cost in levels.costs.items()}
    for method in names(config.methods):
        own = [p for p in points if p.method == method and len(p.texts) == config.counts[-1]]
        memory = [p.answer.memory_mb for p in own if p.answer.memory_mb is not None]
        items = len(own[0].answer.probabilities)
        found[method] = {
            "trainable": own[0].answer.trainable,
            "seconds": float(np.mean([p.answer.seconds for p in own])),
            "answer_1000_seconds": 1000 * float(np.mean([p.answer_seconds for p in own])) / items,
            "memory_mb": max(memory, default=None),
        }
    return found
