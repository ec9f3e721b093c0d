"""Templates of prompts: read from YAML, and filled with examples and a text.

Examples are called shots. A prompt ends before the answer, without a space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from workbench.core import paths
from workbench.core.errors import ParameterError
from workbench.core.yaml_file import YamlFile

FILE = paths.PACKAGE / "methods" / "prompts.yaml"
Fields = dict[str, str]
"""What fills a question: `text`, and for entities `entity`; of multiple choice `question`."""
Shots = Sequence[tuple[Fields, str]]
"""Fields of labelled examples, each with the word of its label."""
Turns = list[dict[str, str]]
"""A chat so far: each turn's `role` and `content`."""

RESERVED = "vote"
"""The name of all templates' common answer."""
ANSWER_WITH = "Answer with {labels} only."
"""The instruction of a chat that would not name the labels otherwise."""
MARK = "\ue000"
"""A letter of no language, to find again what stood in its place."""


@dataclass(frozen=True)
class Template:
    """One way to ask. `instruction` comes once, `question` before each answer.

    `chat` is how turns of a chat are written; None for plain text.
    """

    name: str
    instruction: str
    question: str
    chat: "Chat | None" = None

    @property
    def joint(self) -> str:
        """What stands between a prompt and its answer: a space, or as the chat has it."""
        return self.chat.joint if self.chat else " "

    def fill(self, shots: Shots, fields: Fields) -> str:
        """The prompt for one item, after shots of fields and the word of their label."""
        answered = [(self.question.format(**shown), word) for shown, word in shots]
        return self.join(self.instruction, answered, self.question.format(**fields))

    def join(self, instruction: str, answered: Sequence[tuple[str, str]], question: str) -> str:
        """The prompt of an instruction, answered questions and a question, all of them filled."""
        if self.chat is None:
            before = [f"{asked} {word}" for asked, word in answered]
            return "\n\n".join(part for part in [instruction, *before, question] if part)
        turns = [_turn("system", instruction)] if instruction else []
        for asked, word in answered:
            turns += [_turn("user", asked), _turn("assistant", word)]
        return self.chat.render([*turns, _turn("user", question)])

    def spoken(self, chat: "Chat", listed: str) -> "Template":
        """The same wording as turns of a chat, with the labels `listed` where it names none.

        Where the chat has no system's turn, the instruction stands in the user's. ParameterError
        where the chat takes no turns at all.
        """
        if self.chat:
            return self
        instruction = self.instruction
        if listed not in f"{instruction} {self.question}":
            instruction = f"{instruction} {ANSWER_WITH.format(labels=listed)}".strip()
        question = self.question
        if instruction:
            try:
                chat.render([_turn("system", instruction), _turn("user", MARK)])
            except ParameterError:
                question, instruction = f"{_doubled(instruction)}\n\n{question}", ""
        return replace(self, instruction=instruction, question=question, chat=chat)


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


class Wording(BaseModel):
    """A template as the file has it: see the head of prompts.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    instruction: str = ""
    question: str
    chat: bool = False


def _name(text: str) -> str:
    if text == RESERVED or text != text.strip() or not text or text.startswith("_"):
        raise ValueError(f"a template can't be called {text!r}")
    return text


def _word(text: str) -> str:
    if not text or text != " ".join(text.split()):
        raise ValueError(f"{text!r} is no word or words with single spaces between")
    return text


class Wordings(BaseModel):
    """The templates of a data set, and the word of each label that is not the label itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    words: dict[str, Annotated[str, AfterValidator(_word)]] = {}
    templates: dict[Annotated[str, AfterValidator(_name)], Wording] = Field(min_length=1)


def catalogued(*names: str) -> Wordings:
    """The wordings of the first of these names that the project's own file has."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    name = next(name for name in names if name in content)
    return Wordings.model_validate(content[name])


def own(file: Path, labels: Sequence[str]) -> Wordings:
    """The wordings of a user's file, whose words are of labels that the data has.

    ParameterError where the file can't be read or is of another form.
    """
    found = YamlFile(
        file,
        Wordings,
        "templates, each of a name with a question and, if wanted, an instruction or "
        "chat: true; and, if wanted, words of the labels; numbers, yes and no among these in "
        f"quotes; as an entry of {FILE.name} has them",
    ).content
    if unknown := [label for label in found.words if label not in labels]:
        raise ParameterError(
            f"{file}: words has {unknown[0]!r}, which is no label of the data",
            expected=f"labels among {', '.join(labels)}",
        )
    return found


def template(
    name: str,
    wording: Wording,
    fields: Sequence[str],
    listed: str = "",
    chat: "Chat | None" = None,
) -> Template:
    """The template of a wording, all labels' words `listed` where it names them.

    ParameterError where it has other fields than `fields` or lacks the last of them.
    """
    _check(name, "instruction", wording.instruction, ["labels"])
    _check(name, "question", wording.question, [*fields, "labels"], needed=fields[-1])
    return Template(
        name,
        _with_labels(wording.instruction, listed).format(),
        _with_labels(wording.question, listed),
        chat if wording.chat else None,
    )


def _with_labels(text: str, listed: str) -> str:
    """A text to be formatted, its field {labels} filled in; braces of a label stay text."""
    parts = []
    for literal, field, _, _ in Formatter().parse(text):
        own = "" if field is None else f"{{{field}}}"
        parts += [_doubled(literal), _doubled(listed) if field == "labels" else own]
    return "".join(parts)


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _check(name: str, part: str, text: str, known: Sequence[str], *, needed: str = "") -> None:
    """ParameterError where a text has fields that are not known, or not the one that is needed."""
    try:
        parsed = [one for one in Formatter().parse(text) if one[1] is not None]
    except ValueError as error:
        raise ParameterError(
            f"template {name!r}: {part} is {text!r}: {error}",
            expected="braces around names of fields only",
            do="double a brace that is meant as text",
        ) from None
    found = {field for _, field, _, _ in parsed}
    plain = not any(spec or conversion for _, _, spec, conversion in parsed)
    lacks = {needed} - {"", *found}
    if found - {*known} or lacks or not plain or text != text.rstrip():
        among = f", among them {{{needed}}}" if needed else ""
        raise ParameterError(
            f"template {name!r}: {part} is {text!r}",
            expected=f"fields of {', '.join(f'{{{each}}}' for each in known)}{among}, "
            "and no space at the end",
        )


class Chat:
    """How a tokenizer writes turns of a chat, up to where the assistant answers."""

    @property
    def known(self) -> bool:
        """Whether the tokenizer has a chat template."""
        return bool(getattr(self.tokenizer, "chat_template", None))

    def __init__(self, tokenizer: Any, model: str, begin: str) -> None:
        """`begin` is what the model puts before any text, and so stands in none."""
        self.tokenizer, self.model, self.begin = tokenizer, model, begin

    def render(self, turns: Turns, *, answering: bool = True) -> str:
        """The text of turns; ParameterError without a chat template, or where that refuses."""
        try:
            text = self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=answering
            )
        except Exception as error:  # noqa: BLE001  the model's own template may raise anything
            said = str(error).strip() or type(error).__name__
            raise ParameterError(
                f"the model {self.model!r} can't be asked by chat: {said.splitlines()[0]}",
                expected="a tokenizer with a chat template that takes these turns",
                do="leave chat out of the template, or its instruction where the model knows no "
                "system's turn; or take a model that was tuned to chat",
            ) from None
        return str(text).removeprefix(self.begin)

    @cached_property
    def joint(self) -> str:
        """What the assistant's turns have between their head and their words, such as a space."""
        turns = [_turn("user", MARK)]
        before = self.render(turns)
        whole = self.render([*turns, _turn("assistant", 2 * MARK)], answering=False)
        if not whole.startswith(before):
            return ""
        return whole[len(before) :].partition(2 * MARK)[0]


def listing(words: Mapping[str, str]) -> str:
    """All words in one phrase.

    >>> listing({"a": "bad", "b": "good", "c": "fine"})
    'bad, good or fine'
    """
    *first, last = words.values()
    return f"{', '.join(first)} or {last}" if first else last
