"""Parameters of the task `ner`."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from workbench.core.config import Config as BaseConfig
from workbench.core.config import MainMeasure
from workbench.core.families import TAGGED
from workbench.methods.extras import of_tagger

SMOKE: dict[str, object] = {"dataset": "tiny_ner", "transfer": "", "epochs": 1}
"""Overrides for tests: the real encoder on the project's own few sentences."""


class Config(BaseConfig):
    """Parameters of a named-entity run."""

    task: ClassVar[str] = "ner"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (TAGGED,), "transfer": (TAGGED,)}
    right: ClassVar[str] = "a sentence with every tag right"
    main_measure: ClassVar[MainMeasure] = "entity_f1"
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        **BaseConfig.sources,
        "transfer": "dataset",
    }

    validation: ClassVar[dict[str, str]] = {"validation/entity_f1": ""}

    model: str = "minilm"
    """Encoder: catalogue name, folder or hf:<id>."""
    dataset: str = "conll2003"
    """Tagged sentences: catalogue name, path or hf:<id>."""
    transfer: str = "wnut16"
    """Other tagged sentences to test on too, in the types both have; "" for none."""
    train_sentences: Annotated[int, Field(ge=0)] = 0
    """Maximum number of training sentences, by random documents; 0 for all."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 2
    """Passes over the training split."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 4e-4
    """Highest learning rate of AdamW, reached after warm-up."""
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Fraction of steps with a rising learning rate; it falls linearly after."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Weight decay of AdamW, on matrices only."""
    batch_tokens: Annotated[int, Field(ge=16)] = 640
    """Maximum number of subword tokens in a training batch, padding counted."""
    window_tokens: Annotated[int, Field(ge=8)] = 96
    """Subword tokens of a document's neighbouring sentences read together."""
    extras: Annotated[str, AfterValidator(of_tagger)] = (
        "casing, document_smoothing, window_averaging, token_masking, head_rate"
    )
    """Recipe extras."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""
