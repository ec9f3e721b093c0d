"""Parameters of the task `fine_tuning`."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from workbench.core.config import Config as BaseConfig
from workbench.core.families import TEXTS
from workbench.methods.extras import of_classifier

SMOKE: dict[str, object] = {
    "dataset": "tiny_reviews",
    "train_texts": 64,
    "test_texts": 0,
    "epochs": 1,
    "max_tokens": 24,
}
"""Overrides for tests: the real encoder on the project's own few reviews."""


class Config(BaseConfig):
    """Parameters of a comparison of ways to adapt an encoder."""

    task: ClassVar[str] = "fine_tuning"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (TEXTS,)}
    right: ClassVar[str] = "a text that got its gold label"
    test: ClassVar[tuple[str, ...]] = (
        "test_texts",
        "text_column",
        "label_column",
        "drop_repeats",
    )
    validation: ClassVar[dict[str, str]] = {
        "validation/accuracy": "full fine-tuning",
        "validation/macro_f1": "full fine-tuning",
    }

    model: str = "minilm"
    """Encoder: catalogue name, folder or hf:<id>."""
    dataset: str = "brand_tweets"
    """Labelled texts: catalogue name, path or hf:<id>."""
    text_column: str = "text"
    """Column of the texts, in data of your own."""
    label_column: str = "label"
    """Column of the labels, in data of your own."""
    drop_repeats: bool = False
    """Drop repeats in a test split of your data's own too."""
    train_texts: Annotated[int, Field(ge=16)] = 2000
    """Maximum number of training texts; validation takes up to 500 more."""
    test_texts: Annotated[int, Field(ge=0)] = 1500
    """Maximum number of test texts to score; 0 takes all."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 2
    """Passes over the training texts."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """Highest learning rate of full fine-tuning; BitFit and LoRA take ten times."""
    lora_rank: Annotated[int, Field(ge=1, le=512)] = 8
    """Rank of LoRA's updates."""
    extras: Annotated[str, AfterValidator(of_classifier)] = ""
    """Additions to head and recipe of what is fine-tuned, by name."""
    slices: str = "apple, google"
    """Columns or phrases whose texts' errors are compared; "" for none."""
    max_tokens: Annotated[int, Field(ge=4)] = 128
    """Maximum number of tokens read at once; of longer texts windows are averaged."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""
