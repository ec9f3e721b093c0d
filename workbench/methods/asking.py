"""What tasks that prompt a decoder share: its data, models, prompts, and what answering costs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from workbench.core import machine, sources
from workbench.core.described import Described
from workbench.data import entities, text
from workbench.data.text import TextData
from workbench.methods import prompts
from workbench.methods.prompt_scores import Asked
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.record.result import DataIssue

SAMPLE_TEXTS = 50
"""Validation texts, without their labels, that batch calibration looks at."""
Found = TypeVar("Found")


@dataclass(frozen=True)
class Models(Described):
    """A decoder that is prompted, and an encoder that is compared with it or chooses for it."""

    decoder: CausalLM
    encoder: Encoder

    def describe(self) -> str:
        """What both are."""
        return f"{self.decoder.describe()}\n\n{self.encoder.describe()}"


def load_models(decoder: str, encoder: str, precision: str = "auto") -> Models:
    """Load a decoder and an encoder by their names onto the run's device."""
    return Models(
        CausalLM(sources.resolve(decoder, "model"), precision),
        Encoder(sources.resolve(encoder, "model"), casing=False),
    )


def load_data(
    dataset: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    drop_repeats: bool = False,
) -> TextData:
    """Load labelled texts, or tagged sentences as entities to type, in three splits.

    The columns, and whether repeats leave a test split of the data's own, are of texts only.
    """
    if entities.is_tagged(dataset):
        return entities.load(dataset)
    return text.load(
        dataset, text_column=text_column, label_column=label_column, drop_repeats=drop_repeats
    )


def texts(data: TextData, items: int) -> tuple[list[str], list[str]]:
    """The first `items` test texts, which are asked about, and the sample of validation texts."""
    return data.splits["test"][:items]["text"], data.splits["validation"][:SAMPLE_TEXTS]["text"]


def ask(
    model: CausalLM,
    data: TextData,
    *,
    dataset: str,
    items: int,
    max_tokens: int,
    precision: str = "auto",
    file: str = "",
    templates: int = prompts.TEMPLATES,
) -> tuple[Asked, DataIssue]:
    """Prompts and the items to ask about; how many texts of those were cut.

    The wordings are those of `file`, else those catalogued for `dataset`; the first `templates`.
    """
    found = prompts.load(dataset, data.labels, model, max_tokens, count=templates, file=file)
    tested, sample = texts(data, items)
    read = [found.fields(model, one) for one in tested]
    note = f"test texts of more than {found.max_tokens} tokens, cut in prompts"
    asked = Asked(
        model=model,
        prompts=found,
        items=[fields for fields, _ in read],
        sample=[found.fields(model, one)[0] for one in sample],
        dtype=machine.precision(precision, model.device),
    )
    return asked, DataIssue(count=sum(cut for _, cut in read), of=len(read), note=note)


def timed(asked: Asked, work: Callable[[], Found]) -> tuple[Found, dict[str, Any]]:
    """What `work` gives, and what it cost: nothing to learn, only answering."""
    place = asked.model.device
    measured = machine.reset_peak_memory(place)
    began = time.monotonic()
    found = work()
    cost: dict[str, Any] = {"trainable": 0, "seconds": 0.0}
    cost["answer_seconds"] = time.monotonic() - began
    return found, cost | {"memory_mb": machine.part_memory_mb(place) if measured else None}
