"""Parameters of the task `prompted_ner`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.config import MainMeasure
from workbench.core.families import TAGGED

SMOKE: dict[str, object] = {"dataset": "tiny_ner", "items": 4, "shots": 2, "max_tokens": 16}
"""Overrides for tests: the real decoder on a few of the project's own sentences."""


class Config(BaseConfig):
    """Parameters of prompting for entities."""

    task: ClassVar[str] = "prompted_ner"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (TAGGED,)}
    right: ClassVar[str] = "a sentence with every tag right"
    main_measure: ClassVar[MainMeasure] = "entity_f1"
    test: ClassVar[tuple[str, ...]] = ("items",)
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        "model": "model",
        "encoder": "model",
        "dataset": "dataset",
    }

    model: str = "smollm2"
    """Decoder to prompt: catalogue name, folder or hf:<id>."""
    dataset: str = "conll2003"
    """Tagged sentences: catalogue name, path or hf:<id>."""
    items: Annotated[int, Field(ge=1)] = 150
    """Maximum number of test sentences to ask about."""
    shots: Annotated[int, Field(ge=0, le=64)] = 8
    """Training sentences with their entities in a prompt."""
    shot_choice: Literal["random", "balanced", "nearest"] = "nearest"
    """At random, of each type, or those most like each sentence."""
    encoder: str = "minilm"
    """Encoder that says which are alike: catalogue name, folder or hf:<id>."""
    answer_format: Literal["lines", "json", "marked"] = "lines"
    """One line for each type, a JSON object, or the sentence with marks in it."""
    max_tokens: Annotated[int, Field(ge=4, le=1024)] = 48
    """Maximum number of tokens of an answer; one that needs more is unparsed."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""
