"""The contest: how many labelled examples it takes until learning overtakes prompting."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from workbench.core.config import Config as BaseConfig
from workbench.core.config import names
from workbench.core.errors import ParameterError
from workbench.record.result import Cost, Loss, Result

if TYPE_CHECKING:
    from workbench.data.text import TextData
    from workbench.methods.classifiers import Labelled
    from workbench.models.causal_lm import CausalLM
    from workbench.models.encoder import Encoder
    from workbench.tasks.contest.methods import Levels, Point
    from workbench.tasks.contest.scores import Answered
    from workbench.tasks.prompting.run import Config as Prompting

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

LEARNERS = (
    "TF-IDF + logistic regression",
    "nearest neighbours",
    "head only",
    "SetFit",
    "BitFit",
    "LoRA",
    "full fine-tuning",
    "decoder LoRA",
    "decoder full fine-tuning",
)
"""What may learn, from the cheapest to the dearest: of the encoder, or of the decoder as one."""
DECODER = "decoder "
"""What a learner's name begins with that adapts the decoder, its causal mask removed."""


def _learners(text: str) -> str:
    """The learners in a text, each once, by name or by what one alone begins with.

    ValueError for anything else, or for none.

    >>> _learners("full, TF-IDF, full fine-tuning")
    'full fine-tuning, TF-IDF + logistic regression'
    """
    found = []
    for name in names(text):
        meant = [known for known in LEARNERS if known.startswith(name)]
        if len(meant) != 1:
            raise ValueError(f"unknown method {name!r}; known: {', '.join(LEARNERS)}")
        found += meant
    if not found:
        raise ValueError(f"no method; known: {', '.join(LEARNERS)}")
    return ", ".join(dict.fromkeys(found))


def _sizes(text: str) -> str:
    """Two or more whole numbers in a text, ascending; ValueError for anything else."""
    found = names(text)
    if not all(part.isdecimal() and int(part) >= 2 for part in found):
        raise ValueError(f"{text!r} is no list of whole numbers from 2 on, such as '8, 32'")
    values = sorted({int(part) for part in found})
    if len(values) < 2:
        raise ValueError(f"{text!r} has fewer than two sizes, which a curve needs")
    return ", ".join(map(str, values))


class Config(BaseConfig):
    """Parameters of the contest."""

    task: ClassVar[str] = "contest"
    right: ClassVar[str] = "a test item that got its gold label"
    test: ClassVar[tuple[str, ...]] = ("items", "text_column", "label_column")
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
    items: Annotated[int, Field(ge=1)] = 200
    """Most test items to answer."""
    shots: Annotated[int, Field(ge=0, le=64)] = 4
    """Labelled examples in a prompt; 0 leaves few-shot prompts out."""
    sizes: Annotated[str, AfterValidator(_sizes)] = "8, 32, 128, 512"
    """Numbers of labelled examples to learn from, two or more."""
    draws: Annotated[int, Field(ge=1, le=50)] = 2
    """Draws of examples, each of all sizes and prompts."""
    methods: Annotated[str, AfterValidator(_learners)] = (
        "full fine-tuning, SetFit, nearest neighbours, TF-IDF"
    )
    """What learns, own method first."""
    max_tokens: Annotated[int, Field(ge=4)] = 96
    """Most tokens read of a text; what is cut is counted."""

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


@dataclass(frozen=True)
class Models:
    """The decoder that is prompted, and what learns."""

    decoder: "CausalLM"
    encoder: "Encoder"
    reader: "Encoder | None"
    """The decoder as an encoder, where it learns as well."""

    def describe(self) -> str:
        """What they are."""
        parts = [self.decoder.describe(), self.encoder.describe()]
        if self.reader:
            parts.append(f"{self.reader.describe()}\nthe decoder, without its causal mask")
        return "\n\n".join(parts)


def asking(config: Config) -> "Prompting":
    """The same parameters as those of prompting alone."""
    from workbench.tasks.prompting import run as prompting

    shared = prompting.Config.model_fields.keys() & Config.model_fields.keys()
    return prompting.Config(**{name: getattr(config, name) for name in shared})


def load_data(config: Config) -> "TextData":
    """Load labelled texts, or tagged sentences as entities to type, in three splits."""
    from workbench.tasks.prompting import run as prompting

    return prompting.load_data(asking(config))


def load_model(config: Config) -> Models:
    """Load the models onto the run's device; `run` adapts copies of those that learn."""
    from workbench.core import sources
    from workbench.methods.adaptation import BITFIT
    from workbench.models.encoder import Encoder
    from workbench.models.text_classifier import biases
    from workbench.tasks.prompting import run as prompting

    both = prompting.load_models(config.model, config.encoder)
    if BITFIT in names(config.methods) and not biases(both.encoder):
        raise ParameterError(
            f"methods={config.methods!r}, but {config.encoder!r} has no biases for {BITFIT}",
            do="leave BitFit out, or use minilm",
        )
    reader = None
    if any(name.startswith(DECODER) for name in names(config.methods)):
        source = sources.resolve(config.model, "model")
        reader = Encoder(source, casing=False)
    return Models(both.decoder, both.encoder, reader)


def run(config: Config, model: Models, data: "TextData") -> Result:
    """Let everything answer the same test items: prompts, and what learns from ever more labels."""
    from workbench.core import machine
    from workbench.tasks.contest import methods as contest_methods
    from workbench.training import Log

    began = time.monotonic()
    machine.seed(config.seed)
    rows = data.splits["test"][: config.items]
    pools = contest_methods.pools(config, data)
    levels, cut = contest_methods.prompt(config, model, data, pools)
    log = Log(config.directory)
    _announce(config, model, pools[0], rows["text"])
    points = contest_methods.learn(config, model, data, pools, log)
    compared = contest_methods.compare(config, levels, points, pools, data)
    answered = contest_methods.answered(config, levels, points, rows, data)
    return Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources={
            "model": model.decoder.source.record(),
            "encoder": model.encoder.source.record(),
            "dataset": data.source.record(),
        },
        **compared.record(),
        headline=("test/accuracy", "test/macro_f1"),
        losses={**data.losses, "cut_prompts": cut, **_losses(config, model, levels, points, rows)},
        cost=Cost(
            **machine.spent(
                began, model.decoder.device, contest_methods.dtype(model.decoder), model.decoder
            ),
            train_seconds=sum(point.answer.seconds for point in points),
            trained_pieces=sum(point.answer.pieces for point in points),
        ),
        environment=machine.environment(),
        tables=_tables(config, levels, points, answered),
    ).with_details(directory=config.directory, items=compared.items, history=log.records)


def _announce(config: Config, model: Models, pool: "Labelled", texts: list[str]) -> None:
    """Print what learning will take."""
    from workbench.methods import estimates
    from workbench.methods.classifiers import Reading
    from workbench.tasks.contest import methods as contest_methods

    lengths = [*map(len, model.encoder.encode(pool.texts, config.max_tokens)[0])]
    estimates.learning(
        [
            (name.removeprefix(DECODER), contest_methods.learner(name, model))
            for name in names(config.methods)
        ],
        config.counts,
        [contest_methods.epochs(lengths[:size]) for size in config.counts],
        config.draws,
        texts,
        Reading(config.max_tokens, contest_methods.dtype(model.encoder)),
    )


def _losses(
    config: Config, model: Models, levels: "Levels", points: "list[Point]", rows: dict[str, Any]
) -> dict[str, Loss]:
    """What prompts and the encoder lost, counted."""
    from workbench.methods import shots as prompt_shots

    texts = list(dict.fromkeys([*(t for point in points for t in point.texts), *rows["text"]]))
    _, cut = model.encoder.encode(texts, config.max_tokens)
    limit = min(config.max_tokens, model.encoder.capacity)
    return {
        **prompt_shots.issues(levels.prompted),
        "cut_encoder": Loss(
            count=cut,
            of=len(texts),
            note=f"texts of more than {limit} pieces, cut for the encoder",
        ),
    }


def _tables(
    config: Config, levels: "Levels", points: "list[Point]", answered: "Answered"
) -> dict[str, Any]:
    """The curves, the levels, the crossings and the costs; JSON values only."""
    from workbench.tasks.contest import methods as contest_methods
    from workbench.tasks.contest import scores as contest_scores

    return {
        "curve": contest_scores.curve(answered),
        "levels": contest_scores.levels(answered),
        "crossings": contest_scores.crossings(answered, contest_methods.references(config)),
        "right": contest_scores.bits(answered),
        "methods": contest_methods.costs(config, levels, points),
    }
