"""Parameters of the task `pretraining`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.config import MainMeasure
from workbench.core.families import TAGGED, TEXT, TEXTS

SMOKE: dict[str, object] = {
    "corpora": "tiny_reviews",
    "dataset": "tiny_ner",
    "passages": 10,
    "passage_bytes": 64,
}
"""Overrides for tests: the real models on the project's own few sentences."""


class Config(BaseConfig):
    """Parameters of an inspection."""

    task: ClassVar[str] = "pretraining"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"corpora": (TEXT, TEXTS), "dataset": (TAGGED,)}
    main_measure: ClassVar[MainMeasure] = "bits_per_byte"
    test: ClassVar[tuple[str, ...]] = (
        "passages",
        "passage_bytes",
        "probe_sentences",
        "text_column",
    )
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        "model": "model",
        "encoder": "model",
        "corpora": "dataset",
        "dataset": "dataset",
    }

    model: str = "smollm2"
    """Decoder: catalogue name, folder or hf:<id>."""
    encoder: str = "minilm"
    """Encoder to probe: catalogue name, folder or hf:<id>."""
    corpora: str = "wiki_sample, news_sample, brand_tweets"
    """Running text: names or paths, with commas."""
    text_column: str = "text"
    """Column of the text where a corpus is a table."""
    dataset: str = "conll2003"
    """Tagged words for the probes: catalogue name, path or hf:<id>."""
    passages: Annotated[int, Field(ge=1)] = 100
    """Maximum number of passages scored for each corpus."""
    passage_bytes: Annotated[int, Field(ge=16)] = 768
    """Size of a passage: short documents are joined, long ones cut."""
    probe_sentences: Annotated[int, Field(ge=1)] = 4000
    """Maximum number of tagged sentences of a split that the probes read."""
    attention_layer: Annotated[int, Field(ge=1)] = 12
    """Layer of the decoder whose attention is drawn, from 1."""
    sentence: Annotated[str, Field(min_length=1, max_length=500)] = (
        "Paris is the capital of France, and Rome is the capital of Italy."
    )
    """To look inside."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""
