"""Parameters of the task `prompting`."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from workbench.core import paths
from workbench.core.config import Config as BaseConfig
from workbench.core.config import names
from workbench.core.families import TAGGED, TEXTS

MOST_SHOTS, NEAREST = 64, "nearest"
SMOKE: dict[str, object] = {
    "dataset": "tiny_reviews",
    "items": 12,
    "shots": 1,
    "shot_seeds": 1,
    "train_texts": 48,
    "max_tokens": 24,
}
"""Overrides for tests: the real models on the project's own few reviews."""


def _shots(text: str) -> str:
    """Kinds of examples in a text, each once; ValueError for anything else."""
    plain = []
    for name in names(text):
        count, _, near = name.partition(" ")
        known = count.isdecimal() and int(count) <= MOST_SHOTS and near in {"", NEAREST}
        if not known or (near and not int(count)):
            raise ValueError(
                f"{name!r} is no number of examples up to {MOST_SHOTS}, alone or before "
                f"{NEAREST!r}, such as '4, 16, 4 {NEAREST}'"
            )
        plain.append(f"{int(count)} {near}".strip())
    if not plain:
        raise ValueError("no number of examples; 0 leaves examples out")
    return ", ".join(dict.fromkeys(plain))


def _file(text: str) -> str:
    """The path of a file, or nothing; ValueError for another."""
    found = paths.find(text)
    if text and ("," in text or not (found and found[1].is_file())):
        raise ValueError(f"{text!r} is no file without a comma in its name")
    return text


class Config(BaseConfig):
    """Parameters of a comparison of prompts."""

    task: ClassVar[str] = "prompting"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (TEXTS, TAGGED)}
    right: ClassVar[str] = "a test item that got its gold label"
    test: ClassVar[tuple[str, ...]] = ("items", "text_column", "label_column")
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        "model": "model",
        "encoder": "model",
        "dataset": "dataset",
        "prompts": "dataset",
    }

    model: str = "smollm2"
    """Decoder to prompt: catalogue name, folder or hf:<id>."""
    encoder: str = "minilm"
    """Encoder to fine-tune beside it: catalogue name, folder or hf:<id>."""
    dataset: str = "brand_tweets"
    """Labelled texts, or tagged words: catalogue name, path or hf:<id>."""
    text_column: str = "text"
    """Column of the texts, in a table of your own."""
    label_column: str = "label"
    """Column of the labels, in a table of your own."""
    items: Annotated[int, Field(ge=1)] = 200
    """Maximum number of test items to answer."""
    prompts: Annotated[str, AfterValidator(_file)] = ""
    """Your own wordings, a YAML file; else those for the data set."""
    shots: Annotated[
        str,
        BeforeValidator(lambda value: str(value) if type(value) is int else value),
        AfterValidator(_shots),
    ] = "4, 1, 16"
    """Labelled examples in a prompt, own method first; also `4 nearest`."""
    shot_seeds: Annotated[int, Field(ge=1, le=20)] = 2
    """Draws of examples, each tried with every template."""
    train_texts: Annotated[int, Field(ge=16)] = 1000
    """Maximum number of training texts; validation takes up to 200 more."""
    max_tokens: Annotated[int, Field(ge=4)] = 96
    """Maximum number of tokens of a text in prompts, and of an encoder's window."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""

    @property
    def kinds(self) -> list[tuple[int, bool]]:
        """How many examples, and whether each text's nearest, in the order of `shots`."""
        parts = [name.partition(" ") for name in names(self.shots)]
        return [(int(count), near == NEAREST) for count, _, near in parts]

    @property
    def condition(self) -> str:
        """The kind of the run's own method in words: the first."""
        return self._conditions[0]

    @property
    def brief(self) -> list[str]:
        """Kinds shown beside the own one and that without examples, not by every calibration."""
        from workbench.methods.prompt_scores import condition

        return [name for name in self._conditions[1:] if name != condition(0)]

    @property
    def _conditions(self) -> list[str]:
        from workbench.methods.prompt_scores import condition

        return [condition(count, nearest=near) for count, near in self.kinds]
