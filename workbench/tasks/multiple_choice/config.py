"""Parameters of the task `multiple_choice`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.families import QUESTIONS

SMOKE: dict[str, object] = {
    "dataset": "tiny_questions",
    "items": 12,
    "shots": 1,
    "max_tokens": 24,
}
"""Overrides for tests: the real models on the project's own few questions."""


class Config(BaseConfig):
    """Parameters of a multiple-choice test."""

    task: ClassVar[str] = "multiple_choice"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (QUESTIONS,)}
    right: ClassVar[str] = "a question whose right answer was picked"
    test: ClassVar[tuple[str, ...]] = ("distractors", "choices", "categories", "items", "seed")
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        "model": "model",
        "encoder": "model",
        "dataset": "dataset",
    }

    model: str = "smollm2"
    """Decoder to ask: catalogue name, folder or hf:<id>."""
    encoder: str = "minilm"
    """Encoder that says how alike texts are: catalogue name, folder or hf:<id>."""
    dataset: str = "dialogs"
    """Questions with answers: catalogue name, path or hf:<id>."""
    categories: str = "trivia"
    """Categories of `dialogs`, comma-separated; other data has none."""
    items: Annotated[int, Field(ge=1)] = 1000
    """Maximum number of test questions to answer."""
    choices: Annotated[int, Field(ge=2, le=20)] = 4
    """Choices of a question, where the data gives none."""
    distractors: Literal["random", "near"] = "random"
    """Wrong choices: of any other questions, or of the most similar ones."""
    shots: Annotated[int, Field(ge=0, le=64)] = 4
    """Answered questions in a prompt; 0 leaves few-shot prompts out."""
    max_tokens: Annotated[int, Field(ge=4)] = 128
    """Maximum number of tokens of a question or a choice in prompts, where it is cut."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""
