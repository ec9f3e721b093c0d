"""What a decoder says of items through several prompts: scores of the labels, written answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from workbench import generation, scoring
from workbench.models.causal_lm import CausalLM
from workbench.models.grammar import Grammar
from workbench.result import Metric
from workbench.statistics import Counts, measure
from workbench.tasks import answers, calibration, channel_scores, class_scores
from workbench.tasks.calibration import CONTENT_FREE, PREMISE, Scores
from workbench.tasks.prompts import SPARE_TOKENS, Fields, Prompts, Shots, Template, fitting

RAW, PMI, CONTEXTUAL, BATCH, ON_TEST = "", "PMI", "contextual", "batch", "batch on test"
VARIANTS = (RAW, PMI, CONTEXTUAL, BATCH, ON_TEST)
"""Scores as they are, and calibrated: by an empty text, by several empty inputs, by other
unlabelled texts, by the test texts."""
CHANNEL = "channel"
"""Scores of the texts after the labels: another pass through the model, where it was asked for."""
ORACLE = "oracle"
"""Scores as they are with the offsets that are best on the test items: a bound, no method."""
GENERATION, CONSTRAINED = "generation", "constrained generation"
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
class Prompted:
    """Log-likelihoods [..., L] of the labels through one prompt."""

    condition: str
    """How many shots were asked for, in words."""
    template: str
    shot_seed: int
    """Which draw of shots; 0 where there are none."""
    items: Scores
    sample: Scores
    content_free: Scores
    dropped_shots: int
    """Shots left out because the prompt would not fit."""
    merged: int
    """Prompts whose last token an answer changes."""
    channel: Scores | None = None
    """Log-likelihoods of the items after the labels [N, L], where the template has that form."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The ways to answer by this prompt."""
        return VARIANTS if self.channel is None else (*VARIANTS, CHANNEL)

    @property
    def asked(self) -> int:
        """Number of texts that were scored with it."""
        direct = len(self.items) + len(self.sample) + len(self.content_free)
        return direct + (0 if self.channel is None else len(self.channel))

    def scores(self, variant: str) -> Scores:
        """Log-probabilities of the labels [N, L], by one of the variants."""
        if variant == RAW:
            return calibration.normalise(self.items)
        if variant == PMI:
            return calibration.pmi(self.items, self.content_free[PREMISE])
        if variant == CHANNEL and self.channel is not None:
            return calibration.channel(self.channel)
        reference = {
            CONTEXTUAL: self.content_free,
            BATCH: self.sample,
            ON_TEST: self.items,
        }[variant]
        return calibration.calibrate(self.items, reference)


def condition(shots: int) -> str:
    """How a number of shots is called.

    >>> [condition(shots) for shots in (0, 1, 4)]
    ['zero-shot', '1 shot', '4 shots']
    """
    return f"{shots} shot{'' if shots == 1 else 's'}" if shots else "zero-shot"


def method(condition: str, variant: str) -> str:
    """The name of a way to answer.

    >>> method("4 shots", "batch"), method("zero-shot", "")
    ('4 shots + batch', 'zero-shot')
    """
    return f"{condition} + {variant}" if variant else condition


def score(asked: Asked, shots: Sequence[Shots], *, channel: bool = False) -> list[Prompted]:
    """Score every label for every item, by each template and each draw of shots.

    With `channel` also every item for every label, by the templates that have a channel form; that
    reads each text once a label.
    """
    templates = asked.prompts.templates
    return [
        _score_one(
            asked,
            template,
            drawn,
            seed,
            f"{condition(len(drawn))}: draw {seed + 1} of {len(shots)}, "
            f"template {number} of {len(templates)}",
            channel=channel and bool(template.channel),
        )
        for seed, drawn in enumerate(shots)
        for number, template in enumerate(templates, 1)
    ]


def _score_one(
    asked: Asked, template: Template, shots: Shots, seed: int, progress: str, *, channel: bool
) -> Prompted:
    fit = _fitting(asked, template, shots, channel=channel)
    empty = [asked.prompts.same(value) for value in CONTENT_FREE]
    scored = scoring.log_likelihoods(
        asked.model,
        [template.fill(shots[:fit], each) for each in [*asked.items, *asked.sample, *empty]],
        asked.prompts.answers,
        dtype=asked.dtype,
        progress=progress,
    )
    turned, merged = None, 0
    if channel:
        turned, merged = channel_scores.score(
            asked.model,
            template,
            shots[:fit],
            asked.items,
            list(asked.prompts.words.values()),
            dtype=asked.dtype,
            progress=f"{progress}, channel",
        )
    items = len(asked.items)
    return Prompted(
        condition=condition(len(shots)),
        template=template.name,
        shot_seed=seed,
        items=scored.sums[:items],
        sample=scored.sums[items : -len(empty)],
        content_free=scored.sums[-len(empty) :],
        dropped_shots=len(shots) - fit,
        merged=scored.merged + merged,
        channel=turned,
    )


def _fitting(asked: Asked, template: Template, shots: Shots, *, channel: bool) -> int:
    """How many of the shots fit, in the channel form too where that is asked for."""
    room = asked.model.capacity - asked.prompts.new_tokens - SPARE_TOKENS
    fit = fitting(asked.model, template.fill, shots, [*asked.items, *asked.sample], room)
    if not channel:
        return fit
    word = max(asked.prompts.words.values(), key=len)
    turn = lambda shown, fields: "".join(template.turn(shown, fields, word))  # noqa: E731
    return fitting(asked.model, turn, shots[:fit], asked.items, room)


def write(asked: Asked, grammar: Grammar | None = None) -> dict[str, list[str]]:
    """What the model writes for each item, zero-shot, by template; held to a grammar if given."""
    templates = asked.prompts.templates
    return {
        template.name: [
            answer.text
            for answer in generation.generate(
                asked.model,
                [template.fill([], fields) for fields in asked.items],
                max_new_tokens=asked.prompts.new_tokens,
                grammar=grammar,
                dtype=asked.dtype,
                progress=f"generation, template {number} of {len(templates)}",
            )
        ]
        for number, template in enumerate(templates, 1)
    }


def ensembles(prompted: Sequence[Prompted]) -> dict[str, Scores]:
    """Each method's log-probabilities [N, L], the mean over its templates and draws of shots."""
    ways = dict.fromkeys((one.condition, variant) for one in prompted for variant in one.variants)
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
            metric = class_scores.accuracy_metric(
                rows["label"], guessed, labels, rows["cluster"], of=of
            )
            found.append(
                {
                    "condition": one.condition,
                    "variant": variant,
                    "template": one.template,
                    "shot_seed": one.shot_seed,
                    "accuracy": metric.model_dump(mode="json"),
                }
            )
    return found


def priors(prompted: Sequence[Prompted], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Mean probability of each label over unlabelled texts, and over empty inputs, by prompt."""
    return [
        {
            "condition": one.condition,
            "template": one.template,
            "shot_seed": one.shot_seed,
            **{
                name: dict(zip(labels, _mean(scores), strict=True))
                for name, scores in (("texts", one.sample), ("empty", one.content_free))
            },
        }
        for one in prompted
    ]


def _mean(scores: Scores) -> list[float]:
    return np.exp(calibration.normalise(scores)).mean(axis=0).round(4).tolist()


def read_answers(
    written: Mapping[str, Sequence[str]], prompts: Prompts
) -> tuple[dict[str, list[str]], list[tuple[str, int]]]:
    """Each template's answers as labels or `unparsed`, and the commonest that are none."""
    read = {
        name: [answers.parse(answer, prompts.words) for answer in found]
        for name, found in written.items()
    }
    refused = Counter(
        answers.read_part(answer)
        for name, found in written.items()
        for answer, label in zip(found, read[name], strict=True)
        if label == class_scores.UNPARSED
    )
    return read, refused.most_common(12)


def answer_scores(
    predicted: Sequence[str], rows: Rows, labels: Sequence[str], of: str
) -> dict[str, Metric]:
    """Accuracy with unparsed answers wrong, over the parsed ones only, and the unparsed share."""
    counts = class_scores.confusion(rows["label"], predicted, labels, rows["cluster"])
    parsed = int(counts[..., :-1].sum())
    found = {
        "accuracy": measure(counts, class_scores.accuracy, n=len(predicted), clusters=of),
        "accuracy_parsed": measure(counts, _parsed_accuracy, n=parsed, clusters=of),
        "unparsed": measure(counts, _unparsed_share, n=len(predicted), clusters=of),
    }
    return {name: metric for name, metric in found.items() if metric}


def _parsed_accuracy(counts: Counts) -> Counts:
    right = np.trace(counts, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):
        return right / counts[..., :-1].sum(axis=(-2, -1))


def _unparsed_share(counts: Counts) -> Counts:
    return counts[..., -1].sum(axis=-1) / counts.sum(axis=(-2, -1))
