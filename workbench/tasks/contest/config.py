"""Parameters of the task `contest`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from workbench.core.config import Config as BaseConfig
from workbench.core.config import ascending, names, several
from workbench.core.families import TAGGED, TEXTS
from workbench.methods import learners

SMOKE: dict[str, object] = {
    "dataset": "tiny_reviews",
    "items": 12,
    "shots": 1,
    "sizes": "4, 8",
    "draws": 2,
    "methods": "SetFit, nearest neighbours, TF-IDF",
    "max_tokens": 24,
}
"""Overrides for tests: the real models on the project's own few reviews."""

DECODER = "decoder "
"""What a learner's name begins with that adapts the decoder, its causal mask removed."""
LEARNERS = (*learners.LEARNERS, f"{DECODER}{learners.LORA}", f"{DECODER}{learners.FULL}")
"""What may learn, from the cheapest to the dearest: of the encoder, or of the decoder as one."""


class Config(BaseConfig):
    """Parameters of the contest."""

    task: ClassVar[str] = "contest"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (TEXTS, TAGGED)}
    right: ClassVar[str] = "a test item that got its gold label"
    test: ClassVar[tuple[str, ...]] = ("items", "text_column", "label_column", "drop_repeats")
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        "model": "model",
        "encoder": "model",
        "dataset": "dataset",
    }

    model: str = "smollm2"
    """Decoder to prompt: catalogue name, folder or hf:<id>."""
    encoder: str = "minilm"
    """Encoder that learns: catalogue name, folder or hf:<id>."""
    dataset: str = "brand_tweets"
    """Labelled texts, or tagged words: catalogue name, path or hf:<id>."""
    text_column: str = "text"
    """Column of the texts, in a table of your own."""
    label_column: str = "label"
    """Column of the labels, in a table of your own."""
    drop_repeats: bool = False
    """Drop repeats in a test split of your data's own too."""
    items: Annotated[int, Field(ge=1)] = 200
    """Maximum number of test items to answer."""
    shots: Annotated[int, Field(ge=0, le=64)] = 4
    """Labelled examples in a prompt; 0 leaves few-shot prompts out."""
    sizes: Annotated[str, AfterValidator(ascending)] = "8, 32, 128, 512"
    """Numbers of labelled examples to learn from, two or more."""
    draws: Annotated[int, Field(ge=1, le=50)] = 2
    """Draws of examples, each of all sizes and prompts."""
    methods: Annotated[str, AfterValidator(several(LEARNERS))] = (
        "full fine-tuning, SetFit, nearest neighbours, TF-IDF"
    )
    """What learns, own method first."""
    max_tokens: Annotated[int, Field(ge=4)] = 96
    """Maximum number of tokens of a text in prompts, and of an encoder's window."""

    @property
    def counts(self) -> list[int]:
        """The sizes as numbers, ascending."""
        return [int(size) for size in names(self.sizes)]

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.shots > self.counts[0]:
            raise ValueError(
                f"shots={self.shots}, but the smallest of sizes={self.sizes!r} is "
                f"{self.counts[0]}: a prompt's examples are drawn from those"
            )
        return self
