"""Parameters of the task `language_transfer`."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from workbench.core.config import Config as BaseConfig
from workbench.core.config import ascending, names, several
from workbench.core.families import PAIRS, TEXTS
from workbench.methods.learners import LEARNERS

SMOKE: dict[str, object] = {
    "model": "minilm",
    "source_dataset": "tiny_reviews",
    "dataset": "tiny_reviews",
    "items": 24,
    "sizes": "16, 64",
    "draws": 1,
    "methods": "nearest neighbours",
    "max_tokens": 24,
}
"""Overrides for tests: a smaller encoder, and few reviews of one language as both."""


class Config(BaseConfig):
    """Parameters of a transfer from one language to another."""

    task: ClassVar[str] = "language_transfer"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {
        "source_dataset": (TEXTS,),
        "dataset": (TEXTS,),
        "bitext": (PAIRS,),
    }
    right: ClassVar[str] = "a test item of the second language that got its gold label"
    test: ClassVar[tuple[str, ...]] = ("source_dataset", "items", "text_column", "label_column")
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        **BaseConfig.sources,
        "source_dataset": "dataset",
        "bitext": "dataset",
    }

    model: str = "e5_small"
    """Encoder of both languages: catalogue name, folder or hf:<id>."""
    source_dataset: str = "intents_en"
    """Labelled texts of the first language: name, path or hf:<id>."""
    dataset: str = "intents_zh"
    """Labelled texts of the second, which is tested; labels of the same names."""
    text_column: str = "text"
    """Column of the texts, in tables of your own."""
    label_column: str = "label"
    """Column of the labels, in tables of your own."""
    bitext: str = "parallel_en_zh"
    """Table of sentences and their translations, two columns; "" for none."""
    source_texts: Annotated[int, Field(ge=2)] = 2000
    """Maximum number of labelled texts of the first language to learn from."""
    items: Annotated[int, Field(ge=1)] = 1000
    """Maximum number of test items to answer."""
    sizes: Annotated[str, AfterValidator(ascending)] = "16, 32, 64, 128, 256"
    """Numbers of texts of the second to learn from, two or more."""
    draws: Annotated[int, Field(ge=1, le=50)] = 5
    """Draws of those texts, each of all sizes."""
    methods: Annotated[str, AfterValidator(several(LEARNERS))] = "head only, nearest neighbours"
    """What learns, own method first."""
    max_tokens: Annotated[int, Field(ge=4)] = 96
    """Tokens of a window of the encoder; longer texts are read in several."""

    @property
    def counts(self) -> list[int]:
        """The sizes as numbers, ascending."""
        return [int(size) for size in names(self.sizes)]
