"""Learning from ever more labelled texts, in several nested draws of them.

With n labelled examples a method may use those n and no other label. Nothing is chosen on
validation labels in a run: epochs and learning rates are fixed (they were looked at before, on 300
validation labels of `brand_tweets`), and where a penalty is to be chosen, folds of the n choose it.
"""

import math
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.core import machine
from workbench.core.errors import DataError, ParameterError
from workbench.methods import adaptation, classifiers, label_scores, logistic
from workbench.methods.adaptation import BATCH_TOKENS, Answer, Setting
from workbench.methods.classifiers import Labelled, Probabilities, Reading
from workbench.methods.crossings import Answered
from workbench.methods.label_scores import Compared
from workbench.methods.learners import MAJORITY
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.training import Log, Recipe

EPOCHS, STEPS = 3, 40
"""Passes over the examples: as many as make 40 steps, and never fewer than three. Few examples
need more passes (Mosbach et al. 2021, "On the Stability of Fine-tuning BERT")."""
LEARNING_RATE = 1e-4
"""Of full fine-tuning and SetFit, as chosen in earlier runs (docs/log.md); LoRA takes ten times."""
LORA_RANK = 8
NOTHING = Labelled([], [])


@dataclass(frozen=True)
class Plan:
    """What learns, from how many labelled texts, and how often."""

    methods: Sequence[str]
    """Ways to learn, the first first."""
    sizes: Sequence[int]
    """Numbers of labelled texts, ascending."""
    draws: int
    seed: int
    max_tokens: int

    @property
    def largest(self) -> int:
        """The largest of the sizes."""
        return self.sizes[-1]


@dataclass(frozen=True)
class Point:
    """What a method says of the test items, learned from one draw of so many texts."""

    method: str
    draw: int
    texts: Sequence[str]
    """What it learned from, texts it always has left out."""
    answer: Answer
    answer_seconds: float
    """Wall time of answering for all test items."""


@dataclass(frozen=True)
class Learner:
    """What makes an answer out of labelled texts: a way to learn, and the encoder that adapts."""

    method: str
    """Name on the page."""
    encoder: Encoder
    plain: str
    """Name of the way, as in `learners`."""
    base: Labelled = NOTHING
    """Labelled texts that it always has, besides those that are drawn."""
    features: dict[str, NDArray[np.float32]] | None = None
    """What the encoder makes of texts, kept from one learning to the next; None reads them anew."""


def dtype(model: CausalLM | Encoder) -> torch.dtype:
    """In what matrix products are made."""
    return machine.precision("auto", model.device)


def pools(plan: Plan, train: Labelled) -> list[Labelled]:
    """The labelled texts of each draw, of which a size takes the first ones.

    They are drawn as they come, not label by label: whoever begins to label texts does not know
    their labels. ParameterError where there are fewer than the largest size, DataError where that
    holds one label only.
    """
    if plan.largest > len(train.texts):
        raise ParameterError(
            f"sizes={', '.join(map(str, plan.sizes))!r}, but there are only "
            f"{len(train.texts):,} training texts",
            do="lower the largest of sizes",
        )
    found = []
    for draw in range(plan.draws):
        chance = random.Random(f"{plan.seed}/{draw}")
        places = chance.sample(range(len(train.texts)), plan.largest)
        found.append(Labelled([train.texts[p] for p in places], [train.labels[p] for p in places]))
    if any(len(set(pool.labels)) < 2 for pool in found):
        raise DataError(
            f"a draw of {plan.largest:,} training texts has one label only",
            expected="two labels at least among them",
            do="raise the largest of sizes",
        )
    return found


def learn(
    plan: Plan,
    own: Sequence[Learner],
    labels: Sequence[str],
    drawn: Sequence[Labelled],
    texts: Sequence[str],
    log: Log,
) -> list[Point]:
    """All learners, from every size of every draw; they answer for `texts`.

    The log keeps the history of the largest size of the first draw, and shows the others only.
    """
    quiet = Log(None)
    points = []
    for draw, pool in enumerate(drawn):
        for size in plan.sizes:
            kept = draw == 0 and size == plan.largest
            for learner in own:
                of = log if kept else quiet
                of.method = f"{learner.method}, {size:,} texts, draw {draw + 1}"
                part = pool.first(size)
                points.append(once(plan, learner, labels, part, texts, of, draw=draw))
    return points


def once(
    plan: Plan,
    learner: Learner,
    labels: Sequence[str],
    drawn: Labelled,
    texts: Sequence[str],
    log: Log,
    *,
    draw: int = 0,
) -> Point:
    """Learn from drawn texts and those that the learner always has; answer for `texts`."""
    train = Labelled([*learner.base.texts, *drawn.texts], [*learner.base.labels, *drawn.labels])
    setting = _setting(plan, learner, labels, train, draw, log)
    began = time.monotonic()
    answer = adaptation.learn(learner.plain, train, texts, setting, name=learner.method)
    elapsed = time.monotonic() - began - answer.seconds
    return Point(learner.method, draw, drawn.texts, answer, elapsed)


def _setting(
    plan: Plan, learner: Learner, labels: Sequence[str], train: Labelled, draw: int, log: Log
) -> Setting:
    """How one draw of one size is learned: none is there to validate."""
    encoder = learner.encoder
    kind = dtype(encoder)
    _, windows = encoder.encode(train.texts, plan.max_tokens)
    return Setting(
        encoder=encoder,
        labels=labels,
        validation=NOTHING,
        reading=Reading(plan.max_tokens, kind),
        recipe=Recipe(epochs(windows.lengths.tolist()), LEARNING_RATE, dtype=kind),
        lora_rank=LORA_RANK,
        seed=plan.seed + draw,
        log=log,
        features={} if learner.features is None else learner.features,
    )


def epochs(lengths: Iterable[int]) -> int:
    """Passes over texts of so many tokens.

    >>> epochs([30] * 8), epochs([30] * 512)
    (40, 3)
    """
    return max(EPOCHS, math.ceil(STEPS / math.ceil(sum(lengths) / BATCH_TOKENS)))


def answered(
    plan: Plan,
    points: Sequence[Point],
    levels: Mapping[str, Sequence[Probabilities]],
    rows: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    unit: str,
) -> Answered:
    """Which items every curve had right, by size and draw, and every level, by draw.

    `levels` are probabilities of the labels [N, L] in each draw; `rows` has label and cluster.
    """
    gold = np.array([labels.index(label) for label in rows["label"]])
    right = {
        (point.method, len(point.texts), point.draw): point.answer.probabilities.argmax(1) == gold
        for point in points
    }
    return Answered(
        sizes=plan.sizes,
        curves={
            method: np.array(
                [[right[method, size, draw] for draw in range(plan.draws)] for size in plan.sizes]
            )
            for method in dict.fromkeys(point.method for point in points)
        },
        levels={
            name: np.stack([each.argmax(1) == gold for each in found])
            for name, found in levels.items()
        },
        clusters=rows["cluster"],
        unit=unit,
    )


def compare(
    plan: Plan,
    own: str,
    points: Sequence[Point],
    levels: Mapping[str, Sequence[Probabilities]],
    majority_of: Labelled,
    rows: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    unit: str,
) -> Compared:
    """Curves at their largest size, levels and majority label, of the first draw, on all items.

    `own` is the run's own among them; every label's answer is an item's row.
    """
    scored = {
        point.method: point.answer.probabilities
        for point in points
        if point.draw == 0 and len(point.texts) == plan.largest
    }
    scored |= {name: found[0] for name, found in levels.items()}
    scored[MAJORITY] = classifiers.majority(majority_of, labels, len(rows["text"]))
    gold = rows["label"]
    return label_scores.compare(
        own,
        {name: classifiers.chosen(found, labels) for name, found in scored.items()},
        rows,
        labels,
        of=unit,
        losses={name: logistic.losses(found, gold, labels) for name, found in scored.items()},
    )


def costs(points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    """What each method takes at the largest size, the mean over the draws."""
    found = {}
    for method in dict.fromkeys(point.method for point in points):
        own = [point for point in points if point.method == method]
        own = [point for point in own if len(point.texts) == len(own[-1].texts)]
        memory = [p.answer.memory_mb for p in own if p.answer.memory_mb is not None]
        items = len(own[0].answer.probabilities)
        found[method] = {
            "trainable": own[0].answer.trainable,
            "seconds": float(np.mean([p.answer.seconds for p in own])),
            "answer_1000_seconds": 1000 * float(np.mean([p.answer_seconds for p in own])) / items,
            "memory_mb": max(memory, default=None),
        }
    return found
