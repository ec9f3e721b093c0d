"""The methods that prompting is about and those it is compared with, each with what it costs."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from workbench.core import machine
from workbench.core.errors import ParameterError
from workbench.data.text import TextData
from workbench.methods import (
    adaptation,
    asking,
    label_scores,
    predict,
    prompt_scores,
    prompts,
    shots,
)
from workbench.methods.adaptation import Answer, Setting
from workbench.methods.classifiers import Labelled, Reading, chosen, labelled
from workbench.methods.label_scores import Compared
from workbench.methods.learners import FULL, MAJORITY, TFIDF
from workbench.methods.logistic import losses
from workbench.methods.prompt_scores import Asked, Draw, Prompted
from workbench.methods.templates import Shots
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.record.result import DataIssue
from workbench.tasks.prompting import answers, parsing, shot_attention
from workbench.tasks.prompting.config import Config
from workbench.training import Log, Recipe

VALIDATION_TEXTS = 200
"""Labelled texts that choose TF-IDF's penalty and the encoder's epoch."""
EPOCHS, LEARNING_RATE = 3, 1e-4
"""Of the encoder that prompting is compared with."""
ENCODER = "fine-tuned encoder"


def ask(
    config: Config, model: CausalLM, data: TextData, *, templates: int = prompts.TEMPLATES
) -> tuple[Asked, DataIssue]:
    """Prompts and the items to ask about; how many texts of those were cut."""
    return asking.ask(
        model,
        data,
        dataset=config.dataset,
        items=config.items,
        max_tokens=config.max_tokens,
        precision=config.precision,
        file=config.prompts,
        templates=templates,
    )


def draw(
    config: Config, asked: Asked, data: TextData, train: Labelled, encoder: Encoder
) -> list[Draw]:
    """All that prompts are to hold (see `shots.draws`); `encoder` says what is nearest."""
    texts = [text for part in asking.texts(data, config.items) for text in part]
    near = partial(nearest(config, asked, train, encoder), texts)
    kinds, seeds = config.kinds, config.shot_seeds
    return shots.draws(asked, train, kinds, seed=config.seed, seeds=seeds, near=near)


def nearest(
    config: Config, asked: Asked, train: Labelled, encoder: Encoder
) -> Callable[[Sequence[str], int], list[Shots]]:
    """What gives each of some texts so many examples, the nearest to it."""
    reading = Reading(config.max_tokens, machine.precision(config.precision, encoder.device))
    return lambda texts, count: shots.nearest(asked, train, texts, encoder, reading, count)


def score(
    asked: Asked, drawn: Sequence[Draw], *, brief: Collection[str] = ()
) -> tuple[list[Prompted], dict[str, Any]]:
    """Scores of all prompts, and the cost of each method among them (see `ensembles`)."""
    prompted: list[Prompted] = []
    costs: dict[str, Any] = {}
    for name in dict.fromkeys(one.condition for one in drawn):
        own = [one for one in drawn if one.condition == name]
        found, cost = asking.timed(asked, partial(prompt_scores.score, asked, own))
        prompted += found
        cost["answered"] = found[0].asked
        cost["answer_seconds"] += sum(one.seconds for one in own)
        costs |= dict.fromkeys(prompt_scores.ensembles(found, brief=brief), cost)
    return prompted, costs


@dataclass(frozen=True)
class Writing:
    """What the decoder wrote, by template and item, freely and held to the labels' words."""

    texts: dict[str, list[str]]
    """Free answers as they are."""
    read: dict[str, list[str]]
    """The same as labels or `unparsed`."""
    refused: list[tuple[str, int]]
    """The commonest of them that name no label."""
    held: dict[str, list[str]]
    """Constrained answers as labels."""
    costs: dict[str, Any]

    @property
    def votes(self) -> dict[str, list[str]]:
        """Method -> what more than half of the templates say of each item, or `unparsed`."""
        ways = {parsing.GENERATION: self.read, parsing.CONSTRAINED: self.held}
        return {
            name: [answers.vote(found) for found in zip(*by_template.values(), strict=True)]
            for name, by_template in ways.items()
        }


def answer(
    config: Config,
    asked: Asked,
    drawn: Sequence[Draw],
    prompted: Sequence[Prompted],
    near: Callable[[Sequence[str], int], list[Shots]],
    texts: Sequence[str],
    words: object = None,
) -> Iterator[dict[str, Any]]:
    """What the run's own method says of new texts: the same prompts, examples and calibration.

    `near` gives examples for each text, where they are each text's nearest. ParameterError for
    lists of `words`.
    """
    if words:
        raise ParameterError("lists of words", expected="texts, not lists of words, for prompts")
    own = {one.number: one for one in drawn if one.condition == config.condition}
    own = {
        n: replace(one, own=near(texts, one.count)) if one.own else one for n, one in own.items()
    }
    templates = {template.name: template for template in asked.prompts.templates}
    asked = replace(
        asked, items=[asked.prompts.fields(asked.model, t)[0] for t in texts], sample=()
    )
    read = []
    for one in (each for each in prompted if each.condition == config.condition):
        alone = replace(asked.prompts, templates=(templates[one.template],))
        kept = own[one.shot_seed].kept(one.shots - one.dropped_shots)
        (found,) = prompt_scores.score(replace(asked, prompts=alone), [kept])
        read.append(replace(found, condition=config.condition, sample=one.sample))
    method = prompt_scores.method(config.condition, prompt_scores.BATCH)
    probabilities = np.exp(prompt_scores.ensembles(read)[method])
    for text, row in zip(texts, probabilities, strict=True):
        yield predict.label_of(text, list(asked.prompts.words), row)


def write(asked: Asked) -> Writing:
    """Let the decoder write its answers, once freely and once held to the labels' words."""
    texts, free_cost = asking.timed(asked, partial(parsing.write, asked))
    held, held_cost = asking.timed(asked, partial(parsing.write, asked, held=True))
    read, refused = parsing.read(texts, asked.prompts)
    costs = {parsing.GENERATION: free_cost, parsing.CONSTRAINED: held_cost}
    named = {name: [asked.prompts.label_of(text) for text in found] for name, found in held.items()}
    return Writing(texts, read, refused, named, costs)


def learn(
    config: Config, encoder: Encoder, data: TextData, train: Labelled, log: Log
) -> tuple[dict[str, Answer], dict[str, Any]]:
    """What learns from all training texts, asked about the same test texts, and its cost.

    The encoder's learning rate and epochs were chosen on validation texts (docs/log.md).
    """
    dtype = machine.precision(config.precision, encoder.device)
    setting = Setting(
        encoder=encoder,
        labels=data.labels,
        validation=labelled(data, "validation").first(VALIDATION_TEXTS),
        reading=Reading(config.max_tokens, dtype),
        recipe=Recipe(epochs=EPOCHS, learning_rate=LEARNING_RATE, dtype=dtype),
        lora_rank=1,
        seed=config.seed,
        log=log,
    )
    texts = data.splits["test"][: config.items]["text"]
    log.method = ENCODER
    learned, costs = {}, {}
    for name, method in {MAJORITY: MAJORITY, TFIDF: TFIDF, ENCODER: FULL}.items():
        began = time.monotonic()
        learned[name] = adaptation.learn(method, train, texts, setting)
        answering = time.monotonic() - began - learned[name].seconds
        costs[name] = learned[name].cost | {"answer_seconds": answering}
    return learned, costs


def compare(
    config: Config,
    prompted: list[Prompted],
    written: Writing,
    learned: dict[str, Answer],
    data: TextData,
) -> Compared:
    """All methods on the same items; the run's own is batch-calibrated, with shots if there are."""
    rows = data.splits["test"][: config.items]
    together = prompt_scores.ensembles(prompted, brief=config.brief)
    scored = {name: np.exp(found) for name, found in together.items()} | {
        name: found.probabilities for name, found in learned.items()
    }
    predicted = {name: chosen(found, data.labels) for name, found in scored.items()}
    compared = label_scores.compare(
        prompt_scores.method(config.condition, prompt_scores.BATCH),
        predicted | written.votes,
        rows,
        data.labels,
        of=data.unit,
        losses={name: losses(found, rows["label"], data.labels) for name, found in scored.items()},
    )
    free = written.votes[parsing.GENERATION]
    of_votes = parsing.scores(free, rows, data.labels, data.unit)
    settled = shots.without_verdicts_on_shots(
        compared.comparisons, compared.method, config.shot_seeds
    )
    compared = replace(compared, comparisons=settled)
    compared.baselines[parsing.GENERATION] |= {
        f"test/{name}": metric for name, metric in of_votes.items()
    }
    return compared


def look(asked: Asked, drawn: Sequence[Draw], prompted: Sequence[Prompted]) -> dict[str, Any]:
    """Where the decoder looks before it answers, by its first template.

    With the first examples that are the same for all items, if there are any.
    """
    shown = next((one for one in drawn if one.shots), Draw())
    one = next(found for found in prompted if found.condition == shown.condition)
    words = list(asked.prompts.words.values())
    found = shot_attention.look(
        asked.model,
        asked.prompts.templates[0],
        shown.kept(shown.count - one.dropped_shots).shots,
        asked.items[: shot_attention.ITEMS],
        [words[best] for best in one.items[: shot_attention.ITEMS].argmax(axis=1)],
    )
    return {"condition": shown.condition, **found}
