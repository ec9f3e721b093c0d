"""Prompting: how far a pretrained decoder gets without training, beside what labels would buy."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from workbench.core import paths
from workbench.core.config import Config as BaseConfig
from workbench.core.config import names
from workbench.core.errors import DataError
from workbench.record.result import Cost, Loss, Result

if TYPE_CHECKING:
    from workbench.data.text import TextData
    from workbench.methods.adaptation import Answer
    from workbench.methods.classifiers import Labelled
    from workbench.methods.prompt_scores import Asked, Prompted
    from workbench.models.causal_lm import CausalLM
    from workbench.models.encoder import Encoder
    from workbench.tasks.prompting.methods import Writing

MOST_SHOTS, NEAREST = 64, "nearest"
SMOKE: dict[str, object] = {
    "dataset": "tiny_reviews",
    "items": 12,
    "shots": 1,
    "shot_seeds": 1,
    "train_texts": 48,
    "max_tokens": 24,
}
"""Overrides for tests: the real models on the project's own few reviews."""


def _shots(text: str) -> str:
    """Kinds of examples in a text, each once; ValueError for anything else."""
    plain = []
    for name in names(text):
        count, _, near = name.partition(" ")
        known = count.isdecimal() and int(count) <= MOST_SHOTS and near in {"", NEAREST}
        if not known or (near and not int(count)):
            raise ValueError(
                f"{name!r} is no number of examples up to {MOST_SHOTS}, alone or before "
                f"{NEAREST!r}, such as '4, 16, 4 {NEAREST}'"
            )
        plain.append(f"{int(count)} {near}".strip())
    if not plain:
        raise ValueError("no number of examples; 0 leaves examples out")
    return ", ".join(dict.fromkeys(plain))


def _file(text: str) -> str:
    """The path of a file, or nothing; ValueError for another."""
    found = paths.find(text)
    if text and ("," in text or not (found and found[1].is_file())):
        raise ValueError(f"{text!r} is no file without a comma in its name")
    return text


class Config(BaseConfig):
    """Parameters of a comparison of prompts."""

    task: ClassVar[str] = "prompting"
    right: ClassVar[str] = "a test item that got its gold label"
    test: ClassVar[tuple[str, ...]] = ("items", "text_column", "label_column")
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        "model": "model",
        "encoder": "model",
        "dataset": "dataset",
        "prompts": "dataset",
    }

    model: str = "smollm2"
    """Decoder to prompt: catalogue name, folder or hf:<id>."""
    encoder: str = "minilm"
    """Encoder to fine-tune beside it: catalogue name, folder or hf:<id>."""
    dataset: str = "brand_tweets"
    """Labelled texts, or tagged words: catalogue name, path or hf:<id>."""
    text_column: str = "text"
    """Column of the texts, in a table of your own."""
    label_column: str = "label"
    """Column of the labels, in a table of your own."""
    items: Annotated[int, Field(ge=1)] = 200
    """Most test items to answer."""
    prompts: Annotated[str, AfterValidator(_file)] = ""
    """Your own wordings, a YAML file; else those for the data set."""
    shots: Annotated[
        str,
        BeforeValidator(lambda value: str(value) if type(value) is int else value),
        AfterValidator(_shots),
    ] = "4, 1, 16"
    """Labelled examples in a prompt, own method first; also `4 nearest`."""
    shot_seeds: Annotated[int, Field(ge=1, le=20)] = 2
    """Draws of examples, each tried with every template."""
    train_texts: Annotated[int, Field(ge=16)] = 1000
    """Most labelled texts to learn from; validation takes up to 200 more."""
    max_tokens: Annotated[int, Field(ge=4)] = 96
    """Most tokens read of a text; what is cut is counted."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""

    @property
    def kinds(self) -> list[tuple[int, bool]]:
        """How many examples, and whether each text's nearest, in the order of `shots`."""
        parts = [name.partition(" ") for name in names(self.shots)]
        return [(int(count), near == NEAREST) for count, _, near in parts]

    @property
    def condition(self) -> str:
        """The kind of the run's own method in words: the first."""
        return self._conditions[0]

    @property
    def brief(self) -> list[str]:
        """Kinds shown beside the own one and that without examples, not by every calibration."""
        from workbench.methods.prompt_scores import condition

        return [name for name in self._conditions[1:] if name != condition(0)]

    @property
    def _conditions(self) -> list[str]:
        from workbench.methods.prompt_scores import condition

        return [condition(count, nearest=near) for count, near in self.kinds]


@dataclass(frozen=True)
class Models:
    """The decoder that is prompted, and the encoder that is fine-tuned beside it."""

    decoder: "CausalLM"
    encoder: "Encoder"

    def describe(self) -> str:
        """What both are."""
        return f"{self.decoder.describe()}\n\n{self.encoder.describe()}"


def load_data(config: Config) -> "TextData":
    """Load labelled texts, or tagged sentences as entities to type, in three splits."""
    from workbench.data import entities, text

    if entities.is_tagged(config.dataset):
        return entities.load(config.dataset)
    return text.load(
        config.dataset, text_column=config.text_column, label_column=config.label_column
    )


def load_model(config: Config) -> Models:
    """Load both models onto the run's device."""
    return load_models(config.model, config.encoder, config.precision)


def load_models(decoder: str, encoder: str, precision: str = "auto") -> Models:
    """Load a decoder and an encoder by their names onto the run's device."""
    from workbench.core import sources
    from workbench.models.causal_lm import CausalLM
    from workbench.models.encoder import Encoder

    return Models(
        CausalLM(sources.resolve(decoder, "model"), precision),
        Encoder(sources.resolve(encoder, "model"), casing=False),
    )


def run(config: Config, model: Models, data: "TextData") -> Result:
    """Answer the same test items by prompts and by what learns from labels, and compare."""
    from workbench.core import machine
    from workbench.methods import estimates, prompt_record, prompt_scores
    from workbench.methods import shots as prompt_shots
    from workbench.methods.classifiers import labelled
    from workbench.tasks.prompting import methods as prompt_methods
    from workbench.training import Log

    began = time.monotonic()
    machine.seed(config.seed)
    rows = data.splits["test"][: config.items]
    train = labelled(data, "train").first(config.train_texts)
    _check(train)
    asked, cut = prompt_methods.ask(config, model.decoder, data)
    drawn = prompt_shots.draws(config, asked, data, train, model.encoder)
    estimates.scoring(asked, drawn)
    prompted, costs = prompt_methods.score(asked, drawn, brief=config.brief)
    prompt_record.keep(config.directory, prompted, rows["item"])
    written = prompt_methods.write(asked)
    log = Log(config.directory)
    learned, learning_costs = prompt_methods.learn(config, model.encoder, data, train, log)
    compared = prompt_methods.compare(config, prompted, written, learned, data)
    return Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources=_sources(config, model, data),
        **compared.record(),
        headline=("test/accuracy", "test/macro_f1"),
        losses={
            **data.losses,
            "cut_prompts": cut,
            "labels_not_shown": prompt_shots.labels_not_shown(asked, drawn),
            **_losses(config, model, prompted, written.read, train, rows["text"]),
        },
        cost=_cost(began, model, learned, asked),
        environment=machine.environment(),
        tables={
            "methods": costs | written.costs | learning_costs,
            "prompts": prompt_scores.by_prompt(prompted, rows, data.labels, data.unit),
            **_answers(written, asked, rows, data),
            "priors": prompt_scores.priors(prompted, data.labels),
            "attention": prompt_methods.look(asked, drawn, prompted),
            "prompt": prompt_record.example(config.condition, prompted, asked, rows["item"]),
        },
    ).with_details(directory=config.directory, items=compared.items, history=log.records)


def _answers(
    written: "Writing", asked: "Asked", rows: dict[str, list[str]], data: "TextData"
) -> dict[str, Any]:
    """Tables of the free answers: scores by template, the commonest unparsed, the traps."""
    from workbench.tasks.prompting import parsing, traps

    scores = {
        name: parsing.scores(found, rows, data.labels, data.unit)
        for name, found in written.read.items()
    }
    first = next(iter(written.texts.values()))
    return {
        "answers": {
            name: {key: metric.model_dump(mode="json") for key, metric in found.items()}
            for name, found in scores.items()
        },
        "unparsed": written.refused,
        "written_by_chat": asked.prompts.by_chat,
        "traps": traps.compare(rows["label"], first, asked.prompts.words),
    }


def _sources(config: Config, model: Models, data: "TextData") -> dict[str, dict[str, str]]:
    from workbench.core import sources

    found = {
        "model": model.decoder.source,
        "encoder": model.encoder.source,
        "dataset": data.source,
    }
    if config.prompts:
        found["prompts"] = sources.resolve(config.prompts, "dataset")
    return {kind: source.record() for kind, source in found.items()}


def _check(train: "Labelled") -> None:
    if len(set(train.labels)) < 2:
        raise DataError(
            f"the first {len(train.labels):,} training texts all are {train.labels[0]!r}",
            expected="two labels at least among them",
            do="raise train_texts",
        )


def _losses(
    config: Config,
    model: Models,
    prompted: list["Prompted"],
    read: dict[str, list[str]],
    train: "Labelled",
    texts: list[str],
) -> dict[str, Loss]:
    """What prompts, answers and the encoder lost, counted."""
    from workbench.methods import shots as prompt_shots
    from workbench.methods.label_scores import UNPARSED

    found = [answer for answers in read.values() for answer in answers]
    _, cut = model.encoder.encode([*train.texts, *texts], config.max_tokens)
    limit = min(config.max_tokens, model.encoder.capacity)
    return {
        **prompt_shots.issues(prompted),
        "unparsed_answers": Loss(
            count=found.count(UNPARSED), of=len(found), note="written answers that name no label"
        ),
        "cut_encoder": Loss(
            count=cut,
            of=len(train.texts) + len(texts),
            note=f"texts of more than {limit} pieces, cut for the encoder",
        ),
    }


def _cost(began: float, model: Models, learned: dict[str, "Answer"], asked: "Asked") -> Cost:
    from workbench.core import machine

    return Cost(
        **machine.spent(began, model.decoder.device, asked.dtype, model.decoder),
        train_seconds=sum(answer.seconds for answer in learned.values()),
        trained_pieces=sum(answer.pieces for answer in learned.values()),
    )
