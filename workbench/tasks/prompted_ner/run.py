"""Named entities by prompting: a decoder writes them, and they are scored as a tagger's are."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.config import MainMeasure
from workbench.core.errors import DataError
from workbench.record.result import Cost, Result

if TYPE_CHECKING:
    from workbench.data.ner import NerData
    from workbench.models.causal_lm import CausalLM
    from workbench.models.encoder import Encoder

SMOKE: dict[str, object] = {"dataset": "tiny_ner", "items": 4, "shots": 2, "max_tokens": 16}
"""Overrides for tests: the real decoder on a few of the project's own sentences."""
METHOD = "prompted"


class Config(BaseConfig):
    """Parameters of prompting for entities."""

    task: ClassVar[str] = "prompted_ner"
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
    """Most test sentences to ask about."""
    shots: Annotated[int, Field(ge=0, le=64)] = 8
    """Training sentences with their entities in a prompt."""
    shot_choice: Literal["random", "balanced", "nearest"] = "nearest"
    """At random, of each type, or those most like each sentence."""
    encoder: str = "minilm"
    """Encoder that says which are alike: catalogue name, folder or hf:<id>."""
    answer_format: Literal["lines", "json", "marked"] = "lines"
    """A line a type, a JSON object, or the sentence with marks in it."""
    max_tokens: Annotated[int, Field(ge=4, le=1024)] = 48
    """Most tokens of an answer; one that needs more is unparsed."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""


@dataclass(frozen=True)
class Models:
    """The decoder that is prompted, and the encoder that chooses shots, where one does."""

    decoder: "CausalLM"
    encoder: "Encoder | None"

    def describe(self) -> str:
        """What both are."""
        chooses = f"\n\nto choose shots:\n{self.encoder.describe()}" if self.encoder else ""
        return f"{self.decoder.describe()}{chooses}"


def load_data(config: Config) -> "NerData":
    """Load the data set's three splits."""
    from workbench.data import ner

    return ner.load(config.dataset)


def load_model(config: Config) -> Models:
    """Load the decoder, and the encoder if it is to choose shots, onto the run's device."""
    from workbench.core import sources
    from workbench.models.causal_lm import CausalLM
    from workbench.models.encoder import Encoder

    decoder = CausalLM(sources.resolve(config.model, "model"), config.precision)
    if config.shot_choice != "nearest":
        return Models(decoder, None)
    encoder = Encoder(sources.resolve(config.encoder, "model"), casing=False)
    return Models(decoder, encoder)


def run(config: Config, model: Models, data: "NerData") -> Result:
    """Ask for the entities of a sample of test sentences, read the answers, and score them."""
    from workbench.core import machine
    from workbench.methods import tag_errors, tag_scores
    from workbench.tasks.prompted_ner import prompts
    from workbench.tasks.prompted_ner import scores as prompted_ner_scores

    began = time.monotonic()
    machine.seed(config.seed)
    sample, places = tag_scores.sample(data, "test", config.items)
    if not any(tag != "O" for tags in sample.splits["test"]["ner_tags"] for tag in tags):
        raise DataError(
            f"the {len(places):,} test sentences drawn have no entity",
            expected="one at least, as F1 has no value without",
            do="raise items",
        )
    asked = prompts.ask(config, model.decoder, model.encoder, sample)
    chosen = time.monotonic()
    answers = prompted_ner_scores.write(config, model.decoder, asked)
    times = {"choosing shots": chosen - began, "reading and writing": time.monotonic() - chosen}
    read = prompted_ner_scores.read(model.decoder, asked, answers, sample)
    names = tag_scores.names(sample, "test", places)
    prompted_ner_scores.keep(config.directory, names, asked, read)
    tags, unplaced = [each.tags for each in read], [each.unplaced for each in read]
    scored = prompted_ner_scores.scores(sample, asked, read)
    lost = prompted_ner_scores.losses(config, model.decoder, data, sample, asked, read)
    sources = {"model": model.decoder.source, "dataset": data.source}
    sources |= {"encoder": model.encoder.source} if model.encoder else {}
    dtype = machine.precision(config.precision, model.decoder.device)
    return Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources={kind: source.record() for kind, source in sources.items()},
        method=METHOD,
        metrics=tag_scores.metrics(sample, "test", tags, unplaced=unplaced) | scored.metrics,
        headline=("test/entity_f1", "test/entity_f1_placed_only", "test/unparsed"),
        baselines=scored.baselines,
        comparisons=scored.comparisons,
        losses={**data.losses, **lost},
        cost=Cost(**machine.spent(began, model.decoder.device, dtype, model.decoder)),
        environment=machine.environment(),
        tables={
            **tag_scores.tables(sample, tags, reference=False),
            **tag_errors.study(sample, tags, unplaced=unplaced),
            **prompted_ner_scores.tables(names, asked, read),
            "asking": prompted_ner_scores.asking(model.decoder, asked, read, times),
        },
    ).with_details(
        directory=config.directory,
        items=tag_scores.items(sample, "test", tags, method=METHOD, places=places),
        history=[],
    )
