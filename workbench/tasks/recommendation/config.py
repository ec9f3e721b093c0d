"""Parameters of the task `recommendation`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.families import EVENTS

SMOKE: dict[str, object] = {"dataset": "tiny_films", "pairs": 64, "factors": 8}
"""Overrides for tests: the real encoder on invented films and viewers."""


class Config(BaseConfig):
    """Parameters of a comparison of recommenders."""

    task: ClassVar[str] = "recommendation"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (EVENTS,)}
    right: ClassVar[str] = "a user who took one of the ten items recommended first"
    test: ClassVar[tuple[str, ...]] = ("test_fraction", "item_texts")
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        **BaseConfig.sources,
        "item_texts": "dataset",
    }

    model: str = "minilm"
    """Encoder of item texts: catalogue name, folder or hf:<id>."""
    dataset: str = "movielens100k"
    """Events: catalogue name, or a table of user, item and time."""
    item_texts: str = ""
    """Table of item and text, for a table of your own; else ""."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Fraction of the events, the last ones, that are to be predicted."""
    factors: Annotated[int, Field(ge=1, le=512)] = 64
    """Numbers that describe a user or an item in matrix factorisation."""
    pairs: Annotated[int, Field(ge=16)] = 4000
    """Maximum number of items and their successors that the encoder learns from."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""
