"""Parameters of the task `finance`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.families import PRICES

SMOKE: dict[str, object] = {
    "dataset": "tiny_market",
    "folds": 2,
    "train_days": 100,
    "embargo_days": 3,
    "epochs": 1,
}
"""Overrides for tests: the real encoder on a made-up market of 400 days."""


class Config(BaseConfig):
    """Parameters of a walk through markets."""

    task: ClassVar[str] = "finance"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (PRICES,)}
    right: ClassVar[str] = "a market's day whose direction was called right"
    test: ClassVar[tuple[str, ...]] = (
        "history",
        "folds",
        "train_days",
        "embargo_days",
        "date_column",
        "price_column",
        "date_order",
    )

    model: str = "minilm"
    """Encoder: catalogue name, folder or hf:<id>."""
    dataset: str = "sp500, nasdaq"
    """Markets: catalogue names or files of prices, comma-separated."""
    date_column: str = "date"
    """Column of the dates, in files of your own."""
    price_column: str = "price"
    """Column of the prices, in files of your own; adjusted for splits."""
    date_order: Literal["auto", "DMY", "MDY", "YMD"] = "auto"
    """Order in dates such as 1/2/2026; auto: as all rows of a file fit."""
    history: Annotated[int, Field(ge=2, le=20)] = 3
    """Last daily moves that a text tells of."""
    folds: Annotated[int, Field(ge=1, le=50)] = 4
    """Spans of time to predict, each after training on what came before it."""
    train_days: Annotated[int, Field(ge=30)] = 1000
    """Trading days before each fold to learn from; 250 are a year."""
    embargo_days: Annotated[int, Field(ge=1)] = 5
    """Trading days left out between training and test."""
    seeds: Annotated[int, Field(ge=1, le=5)] = 3
    """Training seeds of the encoder, whose mean it says; intervals cover them from 2 on."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 10
    """Passes over the different texts of the training days."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Highest learning rate of AdamW, reached after warm-up."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""
