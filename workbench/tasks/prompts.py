"""Prompts: templates from prompts.yaml, filled with examples and a text, within the model's length.

Examples are called shots. A prompt ends before the answer, without a space.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from workbench import paths
from workbench.data import entities
from workbench.errors import ParameterError
from workbench.models.causal_lm import CausalLM

FILE = paths.PACKAGE / "tasks" / "prompts.yaml"
ANY_TEXTS, ENTITIES, CHOICES = "texts", "entities", "multiple_choice"
Fields = dict[str, str]
"""What fills a question: `text`, and for entities `entity`; of multiple choice `question`."""
NEW_TOKENS = 8
"""Most tokens of a written answer, where no label is longer."""
SPARE_TOKENS = 8
"""For joints: parts of a prompt may have a token more together than apart."""


@dataclass(frozen=True)
class Template:
    """One way to ask. `instruction` comes once, `question` before each answer."""

    name: str
    instruction: str
    question: str

    def fill(self, shots: Sequence[tuple[Fields, str]], fields: Fields) -> str:
        """The prompt for one item, after shots of fields and the word of their label."""
        answered = [f"{self.question.format(**shown)} {word}" for shown, word in shots]
        parts = [self.instruction, *answered, self.question.format(**fields)]
        return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True)
class Prompts:
    """The templates of a data set, each label's word, and what there is room for."""

    templates: tuple[Template, ...]
    words: Mapping[str, str]
    typing: bool
    """Whether items are entities in sentences."""
    max_tokens: int
    """Most tokens of a field."""
    new_tokens: int
    """Most tokens of a written answer."""

    @property
    def answers(self) -> list[str]:
        """What may follow a prompt, in the order of the labels."""
        return [f" {word}" for word in self.words.values()]

    def fields(self, model: CausalLM, text: str) -> tuple[Fields, bool]:
        """An item's fields, each on one line and cut to `max_tokens`; whether any was cut."""
        found = {"text": text}
        if self.typing:
            found["entity"], found["text"] = entities.parts(text)
        short = {name: cut(model, value, self.max_tokens) for name, value in found.items()}
        kept = {name: value for name, (value, _) in short.items()}
        return kept, any(was_cut for _, was_cut in short.values())

    def same(self, value: str) -> Fields:
        """All fields with one value, such as one that says nothing."""
        return {"text": value, "entity": value}


def load(dataset: str, labels: Sequence[str], model: CausalLM, max_tokens: int) -> Prompts:
    """The prompts of a data set, with fields of at most `max_tokens` and no more than fit.

    ParameterError where no text fits the model.
    """
    typing = entities.is_tagged(dataset)
    catalogue = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    found = catalogue[ENTITIES if typing else dataset if dataset in catalogue else ANY_TEXTS]
    words = {label: found.get("words", {}).get(label, label) for label in labels}
    *first, last = words.values()
    listed = f"{', '.join(first)} or {last}"
    templates = tuple(
        Template(
            name,
            parts.get("instruction", "").replace("{labels}", listed),
            # Doubled braces of a label stay text when the question is filled.
            parts["question"].replace("{labels}", listed.replace("{", "{{").replace("}", "}}")),
        )
        for name, parts in found["templates"].items()
    )
    longest = max(len(model.encode(f" {word}")) for word in words.values())
    prompts = Prompts(templates, words, typing, max_tokens, max(NEW_TOKENS, longest + 4))
    empty = max(len(model.encode(template.fill([], prompts.same("")))) for template in templates)
    taken = empty + prompts.new_tokens + SPARE_TOKENS
    room = (model.capacity - taken) // (2 if typing else 1)
    if room < 1:
        raise ParameterError(
            f"the model {model.source.name!r} reads {model.capacity:,} tokens",
            expected=f"more than {taken:,}, for the question and its answer",
        )
    return replace(prompts, max_tokens=min(max_tokens, room))


def draw(texts: Sequence[str], labels: Sequence[str], count: int, seed: str) -> list[int]:
    """Places of `count` shots, drawn label by label in turn as long as each lasts.

    In random order. ParameterError where there are too few texts.

    >>> 2 in draw(["a", "b", "c"], ["x", "x", "y"], 2, "0/0")
    True
    """
    if count > len(texts):
        raise ParameterError(
            f"shots={count}, but only {len(texts)} training texts to draw them from",
            do="lower shots or raise train_texts",
        )
    chance = random.Random(seed)
    order = chance.sample(range(len(texts)), len(texts))
    by_label: dict[str, list[int]] = {}
    for place in order:
        by_label.setdefault(labels[place], []).append(place)
    kinds = list(by_label.values())
    turns = [
        queue[turn] for turn in range(max(map(len, kinds))) for queue in kinds if turn < len(queue)
    ]
    return chance.sample(turns[:count], count)


def fitting(
    model: CausalLM,
    template: Template,
    shots: Sequence[tuple[Fields, str]],
    items: Sequence[Fields],
    room: int,
) -> int:
    """How many shots fit before the longest item, all with the same ones, in `room` tokens."""
    longest = max(items, key=lambda item: len(model.encode(template.fill([], item))))
    for count in range(len(shots), 0, -1):
        length = len(model.encode(template.fill(shots[:count], longest)))
        if length <= room:
            return count
    return 0


def cut(model: CausalLM, text: str, max_tokens: int) -> tuple[str, bool]:
    """The text on one line, up to its token number `max_tokens`, and whether that cut it."""
    line = " ".join(text.split())
    encoded = model.tokenizer(line, add_special_tokens=False, return_offsets_mapping=True)
    ends = encoded["offset_mapping"]
    if len(ends) <= max_tokens:
        return line, False
    return line[: ends[max_tokens - 1][1]], True
