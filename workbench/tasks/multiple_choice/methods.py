"""How choices are scored: by a decoder through templates, and by what knows no language."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset

from workbench.core import machine
from workbench.core.errors import ParameterError
from workbench.decoding import score as scoring
from workbench.methods.calibration import Scores
from workbench.methods.classifiers import Reading, encode
from workbench.methods.embeddings import unit
from workbench.methods.prompt_scores import condition, method
from workbench.methods.prompts import CHOICES, SPARE_TOKENS, cut, fitting
from workbench.methods.templates import Shots, Template, catalogued, template
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.tasks.multiple_choice import items as choice_items
from workbench.tasks.multiple_choice import scores as choice_scores
from workbench.tasks.multiple_choice.config import Config
from workbench.tasks.multiple_choice.items import Item
from workbench.tasks.multiple_choice.scores import BYTE, PMI, RULES, SUM, TOKEN, Read

LONGEST, SHORTEST = "longest answer", "shortest answer"
TFIDF, COSINE = "TF-IDF similarity", "encoder similarity"


@dataclass(frozen=True)
class Asked:
    """The decoder, its templates, and the items it is asked about, already cut."""

    model: CausalLM
    templates: Sequence[Template]
    items: Sequence[Item]
    shots: Shots
    dtype: Any
    cut: int
    """How many questions and choices were cut."""


def premise(template: Template) -> str:
    r"""What comes before any answer whatever the question: the last line of a template.

    >>> premise(Template("fields", "", "Question: {question}\nAnswer:"))
    'Answer:'
    """
    return template.question.rpartition("\n")[2]


def ask(config: Config, model: CausalLM, items: Sequence[Item], train: Dataset | None) -> Asked:
    """Templates, examples, and items with texts on one line, of `max_tokens` at most.

    Raises ParameterError for more shots than there are questions to draw them from.
    """
    found = [
        template(name, wording, ["question"])
        for name, wording in catalogued(CHOICES).templates.items()
    ]
    there = len(train) if train is not None else 0
    if config.shots > there:
        raise ParameterError(
            f"shots={config.shots}, but {there} questions to draw them from",
            expected="as many training questions as shots at least",
            do="lower shots, or set it to 0",
        )
    limit, dtype = config.max_tokens, machine.precision(config.precision, model.device)
    drawn = random.Random(f"{config.seed}/shots").sample(range(there), config.shots)
    shots = []
    for place in drawn:
        assert train is not None, "no shots without questions"
        row = train[place]
        shown, answer = (
            _short(model, row["question"], limit)[0],
            cut(model, row["answer"], limit)[0],
        )
        shots.append(({"question": shown}, answer))
    short_items, count = [], 0
    for item in items:
        question = _short(model, item.question, limit)
        choices = [cut(model, text, limit) for text in item.choices]
        count += sum(was_cut for _, was_cut in (question, *choices))
        kept = tuple(text for text, _ in choices)
        short_items.append(replace(item, question=question[0], choices=kept))
    return Asked(model, found, short_items, shots, dtype, count)


def _short(model: CausalLM, text: str, limit: int) -> tuple[str, bool]:
    """The question as `cut` gives it; but a passage on lines before it is cut first."""
    line, was_cut = cut(model, text, limit)
    passage, _, question = text.strip().rpartition("\n")
    if not was_cut or not passage:
        return line, was_cut
    question = cut(model, question, limit)[0]
    # One token is for the space between them.
    room = limit - len(model.tokenizer(question, add_special_tokens=False)["input_ids"]) - 1
    return f"{cut(model, passage, room)[0]} {question}" if room > 0 else question, True


def score(asked: Asked) -> tuple[list[Read], dict[str, Any]]:
    """Every choice through every template, zero-shot and with shots, and what each method cost."""
    began = time.monotonic()
    premises = {
        template.name: _score(
            asked, [premise(template)] * len(asked.items), f"premise of {template.name}"
        )
        for template in asked.templates
    }
    premise_seconds = time.monotonic() - began
    read: list[Read] = []
    costs: dict[str, Any] = {}
    draws: list[Shots] = [[], asked.shots] if asked.shots else [[]]
    for shots in draws:
        began = time.monotonic()
        read += [
            _read(asked, template, shots, premises[template.name]) for template in asked.templates
        ]
        seconds = time.monotonic() - began
        for rule in RULES:
            own = seconds + (premise_seconds if rule == PMI else 0)
            costs[method(condition(len(shots)), rule)] = {
                "trainable": 0, "seconds": 0.0, "answer_seconds": own,
            }  # fmt: skip
    return read, costs


def _read(asked: Asked, template: Template, shots: Shots, alone: scoring.Scores) -> Read:
    questions = [{"question": item.question} for item in asked.items]
    longest = max(
        len(asked.model.encode(f" {choice}")) for item in asked.items for choice in item.choices
    )
    room = asked.model.capacity - longest - SPARE_TOKENS
    fit = fitting(asked.model, template.fill, shots, questions, room) if shots else 0
    name = condition(len(shots))
    contexts = [template.fill(shots[:fit], each) for each in questions]
    found = _score(asked, contexts, f"{name}, template {template.name}")
    return Read(name, template.name, found, alone, len(shots) - fit)


def _score(asked: Asked, contexts: Sequence[str], progress: str) -> scoring.Scores:
    return scoring.log_likelihoods(
        asked.model,
        contexts,
        [[f" {choice}" for choice in item.choices] for item in asked.items],
        dtype=asked.dtype,
        progress=progress,
    )


def baselines(
    config: Config, encoder: Encoder, items: Sequence[Item]
) -> tuple[dict[str, Scores], dict[str, Any]]:
    """Scores [N, K] of what looks at length, at words or at an encoder's states; their cost."""
    reading = Reading(config.max_tokens, machine.precision(config.precision, encoder.device))
    ways: dict[str, Callable[[], Scores]] = {
        LONGEST: lambda: choice_scores.by_length(items, longest=True),
        SHORTEST: lambda: choice_scores.by_length(items, longest=False),
        TFIDF: lambda: tfidf(items),
        COSINE: lambda: cosine(encoder, items, reading),
    }
    found, costs = {}, {}
    for name, way in ways.items():
        began = time.monotonic()
        found[name] = way()
        seconds = time.monotonic() - began
        costs[name] = {"trainable": 0, "seconds": 0.0, "answer_seconds": seconds}
    return found, costs


def tfidf(items: Sequence[Item]) -> Scores:
    """Cosine of the TF-IDF vectors of a question and each of its choices [N, K].

    Weights are of all questions and choices, which needs no answer; 0 where no word is shared.
    """
    texts = [text for item in items for text in (item.question, *item.choices)]
    return _to_choices(choice_items.vectors(texts), len(items))


def cosine(encoder: Encoder, items: Sequence[Item], reading: Reading) -> Scores:
    """Cosine of the mean states of a question and each of its choices [N, K]."""
    questions = unit(encode(encoder, [item.question for item in items], reading))
    choices = [choice for item in items for choice in item.choices]
    answers = unit(encode(encoder, choices, reading, "passage"))
    return np.einsum("nh,nkh->nk", questions, answers.reshape(len(items), -1, encoder.width))


def _to_choices(vectors: Scores, items: int) -> Scores:
    """Products [N, K] of each item's first vector, of N * (K + 1), with its others."""
    grouped = vectors.reshape(items, -1, vectors.shape[1]).astype(float)
    return np.einsum("nh,nkh->nk", grouped[:, 0], grouped[:, 1:])


def example(asked: Asked, read: Sequence[Read]) -> dict[str, Any]:
    """The first item as the model sees it: its prompts, and the scores of its choices."""
    item = asked.items[0]
    first = read[0]
    shots = {condition(0): list[Any](), condition(len(asked.shots)): asked.shots}
    templates = {template.name: template for template in asked.templates}
    fields = {"question": item.question}
    return {
        "prompts": {
            f"{one.condition}, {one.template}": templates[one.template].fill(
                shots[one.condition][: len(shots[one.condition]) - one.dropped_shots], fields
            )
            for one in read
        },
        "template": f"{first.condition}, {first.template}",
        "choices": [
            {
                "text": choice,
                "right": place == item.right,
                "tokens": int(first.found.tokens[0, place]),
                "bytes": int(first.found.bytes[0, place]),
                **{rule: float(first.scores(rule)[0, place]) for rule in (SUM, TOKEN, BYTE, PMI)},
            }
            for place, choice in enumerate(item.choices)
        ],
    }


def reading(asked: Asked, read: Sequence[Read], costs: dict[str, Any]) -> list[dict[str, Any]]:
    """Seconds and tokens of each condition, and of the premises that PMI needs beside it."""
    count = len(asked.items)
    found = []
    for name in dict.fromkeys(one.condition for one in read):
        own = [one for one in read if one.condition == name]
        seconds = costs[method(name, SUM)]["answer_seconds"]
        more = costs[method(name, PMI)]["answer_seconds"] - seconds
        tokens = sum(one.found.read for one in own)
        found.append(_row(name, len(own), count, seconds, tokens))
        premises = sum(one.premise.read for one in own)
    return [*found, _row("premise, for PMI", len(own), count, more, premises)]


def _row(name: str, templates: int, items: int, seconds: float, tokens: int) -> dict[str, Any]:
    return {
        "what": name, "templates": templates, "items": items, "seconds": seconds, "tokens": tokens,
    }  # fmt: skip
