"""Prompts: the templates of a data set, its labels' words, and what fits the model's length."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from workbench.core import sources
from workbench.core.errors import ParameterError
from workbench.data import entities
from workbench.decoding.score import first_token
from workbench.methods import templates as wordings
from workbench.methods.templates import Fields, Shots, Template
from workbench.models.causal_lm import CausalLM
from workbench.record.metric import UNPARSED

ANY_TEXTS, ENTITIES, CHOICES = "texts", "entities", "multiple_choice"
TEMPLATES = 3
"""How many templates to ask by: the first of those that the file has."""
NEW_TOKENS = 16
"""Maximum number of tokens of a written answer, where no label is longer."""
SPARE_TOKENS = 8
"""For joints: parts of a prompt may have a token more together than apart."""


@dataclass(frozen=True)
class Prompts:
    """The templates of a data set, each label's word, and what there is room for."""

    templates: tuple[Template, ...]
    words: Mapping[str, str]
    typing: bool
    """Whether items are entities in sentences."""
    max_tokens: int
    """Maximum number of tokens of a field."""
    new_tokens: int
    """Maximum number of tokens of a written answer."""
    written: tuple[Template, ...] = ()
    """The same templates as the model is asked to write by: as a chat where it has a template."""

    @property
    def by_chat(self) -> bool:
        """Whether every answer is written in a chat."""
        return all(template.chat for template in self.written)

    def answers(self, template: Template) -> list[str]:
        """What may follow a template's prompt, in the order of the labels."""
        return [f"{template.joint}{word}" for word in self.words.values()]

    def label_of(self, answer: str) -> str:
        """The label whose answer this is to the letter, else `unparsed`."""
        found = {word: label for label, word in self.words.items()}
        return found.get(answer.strip(), UNPARSED)

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


def chat_of(model: CausalLM) -> wordings.Chat:
    """How a decoder's tokenizer writes a chat; what it puts before any text is left to it."""
    begin = model.tokenizer.bos_token if first_token(model, needed=False) else ""
    return wordings.Chat(model.tokenizer, model.source.name, begin)


def load(
    dataset: str,
    labels: Sequence[str],
    model: CausalLM,
    max_tokens: int,
    *,
    count: int = TEMPLATES,
    file: str = "",
) -> Prompts:
    """A data set's first `count` prompts, or all of a `file` of the user's.

    Labels are scored after the wordings as they are; answers are written by the model's chat
    template where its tokenizer has one, as a model tuned to chat expects to be asked.

    Fields have at most `max_tokens`, and fewer where no more fit the model. ParameterError where
    none does, for a file of another form, and for words of labels that there are not.
    """
    typing = entities.is_tagged(dataset)
    if file:
        found = wordings.own(sources.resolve(file, "dataset").path, labels)
    else:
        found = wordings.catalogued(*([ENTITIES] if typing else [dataset, ANY_TEXTS]))
    words = {label: found.words.get(label, label) for label in labels}
    if len(set(words.values())) < len(words):
        raise ParameterError(
            f"the words of the labels {', '.join(labels)} are {', '.join(words.values())}",
            expected="a word of its own for each label",
        )
    chosen = [*found.templates.items()][: None if file else count]
    chat = chat_of(model)
    fields = ["text", "entity"] if typing else ["text"]
    listed = wordings.listing(words)
    templates = tuple(
        wordings.template(name, wording, fields, listed, chat) for name, wording in chosen
    )
    longest = max(len(model.encode(f" {word}")) for word in words.values())
    written = tuple(one.spoken(chat, listed) for one in templates) if chat.known else templates
    new_tokens = max(NEW_TOKENS, longest + 4)
    prompts = Prompts(templates, words, typing, max_tokens, new_tokens, written)
    taken = _empty(prompts, model) + new_tokens + SPARE_TOKENS
    room = (model.capacity - taken) // (2 if typing else 1)
    if room < 1:
        raise ParameterError(
            f"the model {model.source.name!r} reads {model.capacity:,} tokens",
            expected=f"more than {taken:,}, for the question and its answer",
        )
    return replace(prompts, max_tokens=min(max_tokens, room))


def _empty(prompts: Prompts, model: CausalLM) -> int:
    """Tokens of the longest prompt without a text."""
    nothing = prompts.same("")
    forms = [each.fill([], nothing) for each in (*prompts.templates, *prompts.written)]
    return max(len(model.encode(form)) for form in forms)


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
