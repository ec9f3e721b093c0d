"""Prompts that ask for the entities of a sentence, after training sentences with theirs.

The training sentences are called shots.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.core import machine
from workbench.core.errors import ParameterError
from workbench.data.ner import NerData
from workbench.decoding.score import say
from workbench.methods.classifiers import Reading, encode
from workbench.methods.embeddings import Features, Read, most_alike
from workbench.methods.templates import listing
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.tasks.prompted_ner import answers
from workbench.tasks.prompted_ner.answers import Format, Words
from workbench.tasks.prompted_ner.config import Config

TASK = "Find the names in the sentence and the type of each: {types}."
ANSWER: dict[Format, str] = {
    "lines": "Write a line for each type: the type, a colon, and its names with semicolons between "
    "them. Write none if there is no name.",
    "json": "Write a JSON object on one line: each type with the list of its names. Write {} if "
    "there is no name.",
    "marked": "Write the sentence again, each name in square brackets and its type after it in "
    "round brackets.",
}
"""What is said of the form of an answer."""
QUESTION = "Sentence: {sentence}\nNames:"
EMBEDDED = 2048
"""Sentences that are embedded between two reports of progress."""


@dataclass(frozen=True)
class Asked:
    """The prompts of the test sentences, and how they came about: lists of one a sentence."""

    prompts: list[str]
    shots: list[list[int]]
    """Places in the training split, in the order of the prompt."""
    kinds: Words
    form: Format
    dropped_shots: int
    """Shots that were left out because a prompt with them would not fit the model."""


def ask(config: Config, model: CausalLM, encoder: Encoder | None, data: NerData) -> Asked:
    """The exact prompt of each test sentence of `data`.

    Shots are of the training split only. ParameterError where it has fewer than are wanted.
    """
    kinds = answers.words_of(data.types)
    texts, asked = (
        [answers.sentence(words) for words in data.splits[split]["tokens"]]
        for split in ("train", "test")
    )
    chosen = _choose(config, encoder, data, texts, asked)
    train = data.splits["train"]
    shown: dict[int, str] = {}
    for place in sorted({place for shots in chosen for place in shots}):
        row = train[place]
        answer = answers.write(row["tokens"], row["ner_tags"], config.answer_format, kinds)
        shown[place] = QUESTION.format(sentence=texts[place]) + answer
    begin = f"{TASK.format(types=listing(kinds))} {ANSWER[config.answer_format]}"
    room = model.capacity - config.max_tokens
    prompts, kept = [], []
    for text, shots in zip(asked, chosen, strict=True):
        left = list(shots)
        question = QUESTION.format(sentence=text)
        while len(model.encode(prompt := _joined(begin, left, shown, question))) > room and left:
            left.pop(0)
        prompts.append(prompt)
        kept.append(left)
    dropped = sum(map(len, chosen)) - sum(map(len, kept))
    return Asked(prompts, kept, kinds, config.answer_format, dropped)


def _joined(begin: str, shots: Sequence[int], shown: dict[int, str], question: str) -> str:
    return "\n\n".join([begin, *(shown[place] for place in shots), question])


def _choose(
    config: Config,
    encoder: Encoder | None,
    data: NerData,
    texts: Sequence[str],
    asked: Sequence[str],
) -> list[list[int]]:
    """Places of the shots of each of the sentences `asked` among the training `texts`."""
    if config.shots > len(texts):
        raise ParameterError(
            f"shots={config.shots}, but only {len(texts)} training sentences to take them from",
            do="lower shots",
        )
    if encoder and config.shots:
        return most_alike(_reader(config, encoder), texts, asked, config.shots)
    chance = random.Random(config.seed)
    order = chance.sample(range(len(texts)), len(texts))
    if config.shot_choice == "balanced":
        order = balanced(data, order, config.shots)
        chance.shuffle(order)
    return [order[: config.shots]] * len(asked)


def balanced(data: NerData, order: Sequence[int], count: int) -> list[int]:
    """The first `count` training sentences: of each type in turn one that has it, then one without.

    Without means without any entity. Each queue goes by `order`, and lasts as long as it lasts.
    """
    tags = list(data.splits["train"]["ner_tags"])
    kinds = [{tag[2:] for tag in tags[place]} - {""} for place in order]
    queues = [
        iter([at for at, found in zip(order, kinds, strict=True) if kind in (found or {""})])
        for kind in (*data.types, "")
    ]
    chosen: dict[int, None] = {}
    while queues and len(chosen) < count:
        for queue in list(queues):
            place = next((at for at in queue if at not in chosen), None)
            if place is None:
                queues.remove(queue)
            else:
                chosen[place] = None
    return list(chosen)[:count]


def _reader(config: Config, encoder: Encoder) -> Read:
    """What embeds sentences as the mean of their last hidden states, and shows how far it is."""
    reading = Reading(encoder.capacity, machine.precision(config.precision, encoder.device))

    def read(texts: Sequence[str]) -> Features:
        parts = []
        for start in range(0, len(texts), EMBEDDED):
            say(f"embedding sentences: {start:,} of {len(texts):,}")
            parts.append(encode(encoder, texts[start : start + EMBEDDED], reading))
        say("")
        return np.concatenate(parts)

    return read
