"""What a decoder says of items through several prompts: scores of the labels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from workbench.decoding import score as scoring
from workbench.methods import calibration, label_scores
from workbench.methods.calibration import CONTENT_FREE, PREMISE, Scores
from workbench.methods.prompts import SPARE_TOKENS, Prompts, fitting
from workbench.methods.templates import Fields, Shots, Template
from workbench.models.causal_lm import CausalLM

RAW, PMI, CONTEXTUAL, BATCH, ON_TEST = "", "PMI", "contextual", "batch", "batch on test"
VARIANTS = (RAW, PMI, CONTEXTUAL, BATCH, ON_TEST)
"""Scores as they are, and calibrated: by an empty text, by several empty inputs, by other
unlabelled texts, by the test texts."""
ORACLE = "oracle"
"""Scores as they are with the offsets that are best on the test items: a bound, no method."""
Rows = Mapping[str, Sequence[str]]
"""Columns of the test items: item, cluster, text, label."""


@dataclass(frozen=True)
class Asked:
    """The decoder, its prompts, and the fields of the items it is asked about."""

    model: CausalLM
    prompts: Prompts
    items: Sequence[Fields]
    """The test items."""
    sample: Sequence[Fields]
    """Other items, whose labels nobody looks at: batch calibration's reference."""
    dtype: torch.dtype


@dataclass(frozen=True)
class Draw:
    """Labelled examples for prompts: none, the same for all texts, or each text's own."""

    shots: Shots = ()
    number: int = 0
    """Which draw of so many."""
    own: Sequence[Shots] = ()
    """Of each item and then each text of the sample, equally many, the most telling last."""
    seconds: float = 0.0
    """What it took to choose them."""

    @property
    def count(self) -> int:
        """Examples in a prompt."""
        return len(self.own[0] if self.own else self.shots)

    @property
    def condition(self) -> str:
        """How prompts with such examples are called."""
        return condition(self.count, nearest=bool(self.own))

    def kept(self, count: int) -> "Draw":
        """With at most so many examples in a prompt."""
        own = [shots[len(shots) - count :] for shots in self.own]
        return Draw(self.shots[:count], self.number, own, self.seconds)

    def of(self, place: int) -> Shots:
        """The examples of an item or, counted on, of a text of the sample."""
        return self.own[place] if self.own else self.shots


@dataclass(frozen=True)
class Prompted:
    """Log-likelihoods [..., L] of the labels through one prompt."""

    condition: str
    """How many shots were asked for, in words."""
    template: str
    shot_seed: int
    """Which draw of shots; 0 where there are none."""
    contexts: Sequence[str]
    """The exact prompt of each item."""
    items: Scores
    sample: Scores
    content_free: Scores
    """Of inputs that say nothing; none of those where each text has shots of its own."""
    shots: int
    """Shots that were asked for."""
    dropped_shots: int
    """Shots left out because the prompt would not fit."""
    merged: int
    """Prompts whose last token an answer changes."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The ways to answer by this prompt."""
        without = () if len(self.content_free) else (PMI, CONTEXTUAL)
        return tuple(variant for variant in VARIANTS if variant not in without)

    @property
    def asked(self) -> int:
        """Number of texts that were scored with it."""
        return len(self.items) + len(self.sample) + len(self.content_free)

    def scores(self, variant: str) -> Scores:
        """Log-probabilities of the labels [N, L], by one of the variants."""
        if variant == RAW:
            return calibration.normalise(self.items)
        if variant == PMI:
            return calibration.pmi(self.items, self.content_free[PREMISE])
        reference = {
            CONTEXTUAL: self.content_free,
            BATCH: self.sample,
            ON_TEST: self.items,
        }[variant]
        return calibration.calibrate(self.items, reference)


def condition(shots: int, *, nearest: bool = False) -> str:
    """How a number of shots is called.

    >>> [condition(shots) for shots in (0, 1, 4)], condition(4, nearest=True)
    (['zero-shot', '1 shot', '4 shots'], '4 nearest shots')
    """
    kind = f"{'nearest ' if nearest else ''}shot{'' if shots == 1 else 's'}"
    return f"{shots} {kind}" if shots else "zero-shot"


def method(condition: str, variant: str) -> str:
    """The name of a way to answer.

    >>> method("4 shots", "batch"), method("zero-shot", "")
    ('4 shots + batch', 'zero-shot')
    """
    return f"{condition} + {variant}" if variant else condition


def score(asked: Asked, draws: Sequence[Draw]) -> list[Prompted]:
    """Score every label for every item, by each template and each draw of shots."""
    templates = asked.prompts.templates
    return [
        _score_one(
            asked,
            template,
            drawn,
            f"{drawn.condition}: draw {drawn.number + 1}, template {number} of {len(templates)}",
        )
        for drawn in draws
        for number, template in enumerate(templates, 1)
    ]


def _score_one(asked: Asked, template: Template, drawn: Draw, progress: str) -> Prompted:
    fit = _fitting(asked, template, drawn)
    kept = drawn.kept(fit)
    empty = [] if drawn.own else [asked.prompts.same(value) for value in CONTENT_FREE]
    texts = [*asked.items, *asked.sample, *empty]
    contexts = [template.fill(kept.of(place), each) for place, each in enumerate(texts)]
    scored = scoring.log_likelihoods(
        asked.model,
        contexts,
        asked.prompts.answers(template),
        dtype=asked.dtype,
        progress=progress,
    )
    items, sample = len(asked.items), len(asked.items) + len(asked.sample)
    return Prompted(
        condition=drawn.condition,
        template=template.name,
        shot_seed=drawn.number,
        contexts=contexts[:items],
        items=scored.sums[:items],
        sample=scored.sums[items:sample],
        content_free=scored.sums[sample:],
        shots=drawn.count,
        dropped_shots=drawn.count - fit,
        merged=scored.merged,
    )


def _fitting(asked: Asked, template: Template, drawn: Draw) -> int:
    """How many shots a prompt fit in all prompts."""
    room = asked.model.capacity - asked.prompts.new_tokens - SPARE_TOKENS
    texts = [*asked.items, *asked.sample]
    if drawn.own:
        fits = [
            fitting(asked.model, template.fill, shots[::-1], [text], room)
            for shots, text in zip(drawn.own, texts, strict=True)
        ]
        return min(fits)
    return fitting(asked.model, template.fill, drawn.shots, texts, room)


def ensembles(prompted: Sequence[Prompted], *, brief: Collection[str] = ()) -> dict[str, Scores]:
    """Each method's log-probabilities [N, L], the mean over its templates and draws of shots.

    Of the conditions in `brief` only as they are and batch-calibrated.
    """
    ways = dict.fromkeys(
        (one.condition, variant)
        for one in prompted
        for variant in one.variants
        if one.condition not in brief or variant in {RAW, BATCH}
    )
    return {
        method(name, variant): calibration.ensemble(
            np.stack(
                [
                    one.scores(variant)
                    for one in prompted
                    if one.condition == name and variant in one.variants
                ]
            )
        )
        for name, variant in ways
    }


def by_prompt(
    prompted: Sequence[Prompted], rows: Rows, labels: Sequence[str], of: str
) -> list[dict[str, Any]]:
    """Accuracy of each single prompt, as it is and calibrated, and the bound of offsets."""
    gold = np.array([labels.index(label) for label in rows["label"]])
    found = []
    for one in prompted:
        scores = {variant: one.scores(variant) for variant in one.variants}
        scores[ORACLE] = calibration.oracle(one.items, gold)
        for variant, of_labels in scores.items():
            guessed = [labels[place] for place in of_labels.argmax(axis=1)]
            metric = label_scores.accuracy_metric(
                rows["label"], guessed, labels, rows["cluster"], of=of
            )
            found.append(
                {
                    "condition": one.condition,
                    "shots": one.shots,
                    "variant": variant,
                    "template": one.template,
                    "shot_seed": one.shot_seed,
                    "accuracy": metric.model_dump(mode="json"),
                }
            )
    return found


def priors(prompted: Sequence[Prompted], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Mean probability of each label over unlabelled texts, and over empty inputs, by prompt.

    A prompt that was asked about no empty input has no `empty`.
    """
    return [
        {
            "condition": one.condition,
            "template": one.template,
            "shot_seed": one.shot_seed,
            **{
                name: dict(zip(labels, _mean(scores), strict=True))
                for name, scores in (("texts", one.sample), ("empty", one.content_free))
                if len(scores)
            },
        }
        for one in prompted
    ]


def _mean(scores: Scores) -> list[float]:
    return np.exp(calibration.normalise(scores)).mean(axis=0).round(4).tolist()
