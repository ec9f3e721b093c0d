"""What prompts reach in the contest: the levels that learning curves may pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from workbench.core.described import Described
from workbench.data.text import TextData
from workbench.methods import (
    asking,
    estimates,
    prompt_scores,
)
from workbench.methods import shots as prompt_shots
from workbench.methods.classifiers import Labelled, Probabilities
from workbench.methods.prompt_scores import BATCH, RAW, Asked, Draw, Prompted
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.record.result import DataIssue
from workbench.tasks.contest.config import Config

VARIANTS = (RAW, BATCH)


@dataclass(frozen=True)
class Models(Described):
    """The decoder that is prompted, and what learns."""

    decoder: "CausalLM"
    encoder: "Encoder"
    reader: "Encoder | None"
    """The decoder as an encoder, where it learns as well."""

    def describe(self) -> str:
        """What they are."""
        parts = [self.decoder.describe(), self.encoder.describe()]
        if self.reader:
            parts.append(f"{self.reader.describe()}\nthe decoder, without its causal mask")
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Levels:
    """What prompts say: probabilities of the labels [N, L] in each draw of examples, by method."""

    answers: Mapping[str, Sequence[Probabilities]]
    prompted: Sequence[Prompted]
    costs: Mapping[str, Mapping[str, Any]]


def ask(config: Config, models: Models, data: TextData) -> tuple[Asked, DataIssue]:
    """Prompts and the items to ask about; how many texts of those were cut."""
    return asking.ask(
        models.decoder,
        data,
        dataset=config.dataset,
        items=config.items,
        max_tokens=config.max_tokens,
    )


def prompt(
    config: Config, models: Models, data: TextData, drawn: Sequence[Labelled]
) -> tuple[Levels, DataIssue]:
    """What prompts answer, without examples and with those of each draw; the test texts cut."""
    asked, cut = ask(config, models, data)
    few = examples(config, asked, drawn) if config.shots else []
    estimates.scoring(asked, [Draw(), *few])
    answers: dict[str, list[Probabilities]] = {}
    prompted: list[Prompted] = []
    costs: dict[str, Any] = {}
    for draws in filter(None, ([Draw()], few)):
        found, cost = asking.timed(asked, partial(prompt_scores.score, asked, draws))
        prompted += found
        cost["answer_1000_seconds"] = 1000 * cost["answer_seconds"] / (found[0].asked * len(draws))
        for variant in VARIANTS:
            name = prompt_scores.method(found[0].condition, variant)
            by_draw = [
                np.exp(prompt_scores.ensembles([p for p in found if p.shot_seed == draw])[name])
                for draw in range(len(draws))
            ]
            answers[name] = by_draw * (1 if len(draws) > 1 else config.draws)
            costs[name] = {key: cost[key] for key in cost if key != "answer_seconds"}
    return Levels(answers, prompted, costs), cut


def examples(config: Config, asked: Asked, drawn: Sequence[Labelled]) -> list[Draw]:
    """A prompt's examples of each draw: from its smallest size, label by label in turn."""
    smallest, seed = config.counts[0], str(config.seed)
    return [
        Draw(prompt_shots.shots(asked, pool.first(smallest), config.shots, seed), number)
        for number, pool in enumerate(drawn)
    ]
