"""Templates of prompts: read from YAML, and filled with examples and a text.

Examples are called shots. A prompt ends before the answer, without a space.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench import paths
from workbench.errors import ParameterError

FILE = paths.PACKAGE / "tasks" / "prompts.yaml"
Fields = dict[str, str]
"""What fills a question: `text`, and for entities `entity`; of multiple choice `question`."""
Shots = Sequence[tuple[Fields, str]]
"""Fields of labelled examples, each with the word of its label."""
Turns = list[dict[str, str]]
"""A chat so far: each turn's `role` and `content`."""
TURNED = re.compile(
    r"(?s)(?P<before>.*?)(?P<middle> ?(?<!\{)\{label\}(?!\}).*)(?P<end> \{(?:text|entity)\})"
)
"""A question turned round: what comes before the label, from there to the last field, and that."""


@dataclass(frozen=True)
class Template:
    """One way to ask. `instruction` comes once, `question` before each answer.

    `channel` is the question turned round, the label first and a field last; "" for none. `chat`
    renders turns of a chat up to where its assistant answers; None for plain text.
    """

    name: str
    instruction: str
    question: str
    channel: str = ""
    chat: Callable[[Turns], str] | None = None

    @property
    def joint(self) -> str:
        """What stands between a prompt and its answer: nothing, where a turn begins with it."""
        return "" if self.chat else " "

    def fill(self, shots: Shots, fields: Fields) -> str:
        """The prompt for one item, after shots of fields and the word of their label."""
        question = self.question.format(**fields)
        if self.chat:
            turns = [_turn("system", self.instruction)] if self.instruction else []
            for shown, word in shots:
                turns += [
                    _turn("user", self.question.format(**shown)),
                    _turn("assistant", word),
                ]
            return self.chat([*turns, _turn("user", question)])
        answered = [f"{self.question.format(**shown)} {word}" for shown, word in shots]
        return "\n\n".join(part for part in [self.instruction, *answered, question] if part)

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


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


class Wording(BaseModel):
    """A template as the file has it: see the head of prompts.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    instruction: str = ""
    question: str
    channel: str = ""
    chat: bool = False


class Wordings(BaseModel):
    """The templates of a data set, and the word of each label that is not the label itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    words: dict[str, str] = {}
    templates: dict[str, Wording] = Field(min_length=1)


def read(file: Path, name: str = "") -> Wordings:
    """The wordings of a file, or those of one name in it.

    ParameterError where the file can't be read or is of another form.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return Wordings.model_validate(content[name] if name else content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(
            f"{file} can't be read: {error}", expected="a YAML file of templates"
        ) from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = " / ".join(str(part) for part in problem["loc"]) or "the file"
        raise ParameterError(
            f"{file}: {where}: {problem['msg']}",
            expected="templates, each of a name with a question and, if wanted, an instruction, a "
            "channel or chat: true; and, if wanted, words of the labels",
            do=f"see {FILE}",
        ) from None


def template(
    name: str,
    wording: Wording,
    fields: Sequence[str],
    listed: str = "",
    chat: Callable[[Turns], str] | None = None,
) -> Template:
    """The template of a wording, all labels' words `listed` where it names them.

    ParameterError where it has other fields than `fields`, or lacks one, or turns no chat round.
    """
    _check(name, "question", wording.question, [*fields, "labels"], needed=fields[-1])
    if wording.channel:
        _check(name, "channel", wording.channel, [*fields, "label", "labels"], needed="label")
        if wording.chat or not TURNED.fullmatch(wording.channel):
            raise ParameterError(
                f"template {name!r}: channel is {wording.channel!r}",
                expected="{label} somewhere, and a space and {text} or {entity} at the end, "
                "in a template without chat",
            )
    # Doubled braces of a label stay text when the question is filled.
    doubled = listed.replace("{", "{{").replace("}", "}}")
    return Template(
        name,
        wording.instruction.replace("{labels}", listed),
        wording.question.replace("{labels}", doubled),
        wording.channel.replace("{labels}", doubled),
        chat if wording.chat else None,
    )


def _check(name: str, part: str, text: str, known: Sequence[str], *, needed: str) -> None:
    """ParameterError where a text has fields that are not known, or not the one that is needed."""
    try:
        found = {field for _, field, _, _ in Formatter().parse(text) if field is not None}
    except ValueError as error:
        raise ParameterError(
            f"template {name!r}: {part} is {text!r}: {error}",
            expected="braces around names of fields only",
            do="double a brace that is meant as text",
        ) from None
    if found - {*known} or needed not in found or text != text.rstrip():
        raise ParameterError(
            f"template {name!r}: {part} is {text!r}",
            expected=f"fields of {', '.join(f'{{{each}}}' for each in known)}, among them "
            f"{{{needed}}}, and no space at the end",
        )


def chat_of(tokenizer: Any, model: str, begin: str) -> Callable[[Turns], str]:
    """What renders a chat up to its next answer; without `begin`, which the model puts first.

    It raises ParameterError where the tokenizer has no chat template, or one that refuses.
    """

    def render(turns: Turns) -> str:
        try:
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # noqa: BLE001  the model's own template may raise anything
            raise ParameterError(
                f"the model {model!r} can't be asked by chat: {str(error).splitlines()[0]}",
                expected="a tokenizer with a chat template that takes these turns",
                do="leave chat out of the template, or take a model that was tuned to chat",
            ) from None
        return str(text).removeprefix(begin)

    return render


def listing(words: Mapping[str, str]) -> str:
    """All words in one phrase.

    >>> listing({"a": "bad", "b": "good", "c": "fine"})
    'bad, good or fine'
    """
    *first, last = words.values()
    return f"{', '.join(first)} or {last}" if first else last
