"""Prompts: templates from prompts.yaml, filled with examples and a text, within the model's length.

Examples are called shots. A prompt ends before the answer, without a space.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from workbench import paths
from workbench.data import entities
from workbench.data.text import UNPARSED
from workbench.errors import ParameterError
from workbench.models.causal_lm import CausalLM

FILE = paths.PACKAGE / "tasks" / "prompts.yaml"
ANY_TEXTS, ENTITIES, CHOICES = "texts", "entities", "multiple_choice"
Fields = dict[str, str]
"""What fills a question: `text`, and for entities `entity`; of multiple choice `question`."""
Shots = Sequence[tuple[Fields, str]]
"""Fields of labelled examples, each with the word of its label."""
TEMPLATES = 3
"""How many templates to ask by: the first of those that the file has."""
TURNED = re.compile(
    r"(?s)(?P<before>.*?)(?P<middle> ?(?<!\{)\{label\}(?!\}).*)(?P<end> \{(?:text|entity)\})"
)
"""A question turned round: what comes before the label, from there to the last field, and that."""
NEW_TOKENS = 8
"""Most tokens of a written answer, where no label is longer."""
SPARE_TOKENS = 8
"""For joints: parts of a prompt may have a token more together than apart."""


@dataclass(frozen=True)
class Template:
    """One way to ask. `instruction` comes once, `question` before each answer.

    `channel` is the question turned round, the label first and a field last; "" for none.
    """

    name: str
    instruction: str
    question: str
    channel: str = ""

    def fill(self, shots: Shots, fields: Fields) -> str:
        """The prompt for one item, after shots of fields and the word of their label."""
        answered = [f"{self.question.format(**shown)} {word}" for shown, word in shots]
        parts = [self.instruction, *answered, self.question.format(**fields)]
        return "\n\n".join(part for part in parts if part)

    def turn(self, shots: Shots, fields: Fields, word: str) -> tuple[str, str, str]:
        """The channel form for one item, in three parts (see TURNED), after the shots in it.

        Its likelihood is that of the last part after the other two.
        """
        found = TURNED.fullmatch(self.channel)
        assert found, "checked when the file was read"
        shown = [self.channel.format(**each, label=label) for each, label in shots]
        first = "".join(f"{part}\n\n" for part in [self.instruction, *shown] if part)
        before, middle, end = (part.format(**fields, label=word) for part in found.groups())
        return first + before, middle, end


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

    def label_of(self, answer: str) -> str:
        """The label whose answer this is to the letter; `unparsed` where several have that word."""
        found = [label for label, word in self.words.items() if f" {word}" == answer]
        return found[0] if len(found) == 1 else UNPARSED

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


def load(
    dataset: str,
    labels: Sequence[str],
    model: CausalLM,
    max_tokens: int,
    *,
    count: int = TEMPLATES,
) -> Prompts:
    """A data set's first `count` prompts, with fields of at most `max_tokens` and none that can't
    fit.

    ParameterError where no text fits the model, or a channel form is none.
    """
    typing = entities.is_tagged(dataset)
    catalogue = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    found = catalogue[ENTITIES if typing else dataset if dataset in catalogue else ANY_TEXTS]
    words = {label: found.get("words", {}).get(label, label) for label in labels}
    *first, last = words.values()
    listed = f"{', '.join(first)} or {last}"
    templates = tuple(
        _template(name, parts, listed) for name, parts in [*found["templates"].items()][:count]
    )
    longest = max(len(model.encode(f" {word}")) for word in words.values())
    prompts = Prompts(templates, words, typing, max_tokens, max(NEW_TOKENS, longest + 4))
    nothing = prompts.same("")
    forms = [template.fill([], nothing) for template in templates]
    forms += ["".join(each.turn([], nothing, "")) for each in templates if each.channel]
    empty = max(len(model.encode(form)) for form in forms)
    taken = empty + prompts.new_tokens + SPARE_TOKENS
    room = (model.capacity - taken) // (2 if typing else 1)
    if room < 1:
        raise ParameterError(
            f"the model {model.source.name!r} reads {model.capacity:,} tokens",
            expected=f"more than {taken:,}, for the question and its answer",
        )
    return replace(prompts, max_tokens=min(max_tokens, room))


def _template(name: str, parts: Mapping[str, str], listed: str) -> Template:
    """A template of the file, with all labels' words where it names them."""
    # Doubled braces of a label stay text when the question is filled.
    doubled = listed.replace("{", "{{").replace("}", "}}")
    channel = parts.get("channel", "")
    if channel and not TURNED.fullmatch(channel):
        raise ParameterError(
            f"{FILE.name}, template {name!r}: channel is {channel!r}",
            expected="{label} somewhere, and a space and {text} or {entity} at the end",
        )
    return Template(
        name,
        parts.get("instruction", "").replace("{labels}", listed),
        parts["question"].replace("{labels}", doubled),
        channel.replace("{labels}", doubled),
    )


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
    fill: Callable[[Shots, Fields], str],
    shots: Shots,
    items: Sequence[Fields],
    room: int,
) -> int:
    """How many shots fit before the longest item, all with the same ones, in `room` tokens."""
    longest = max(items, key=lambda item: len(model.encode(fill([], item))))
    for count in range(len(shots), 0, -1):
        length = len(model.encode(fill(shots[:count], longest)))
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
