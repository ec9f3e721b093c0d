"""Fine-tuning for text classification: what it buys over simpler ways to use the same labels."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from workbench.config import Config as BaseConfig
from workbench.result import Cost, Loss, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.data.text import TextData
    from workbench.models.encoder import Encoder
    from workbench.tasks.adaptation import Answer, Setting
    from workbench.tasks.class_scores import Compared
    from workbench.tasks.classifiers import Labelled

SMOKE: dict[str, object] = {
    "dataset": "tiny_reviews",
    "train_texts": 64,
    "test_texts": 0,
    "epochs": 1,
    "max_pieces": 24,
}
"""Overrides for tests: the real encoder on the project's own few reviews."""

VALIDATION_TEXTS = 500
SMALLER = (8, 4, 2)
"""The learning curve's points: the training texts divided by these, and all."""


class Config(BaseConfig):
    """Parameters of a comparison of ways to adapt an encoder."""

    task: ClassVar[str] = "fine_tuning"

    model: str = "minilm"
    """Encoder: catalogue name, folder or hf:<id>."""
    dataset: str = "brand_tweets"
    """Labelled texts: catalogue name, path or hf:<id>."""
    text_column: str = "text"
    """Column of the texts, in data of your own."""
    label_column: str = "label"
    """Column of the labels, in data of your own."""
    train_texts: Annotated[int, Field(ge=16)] = 2000
    """Most labelled texts to learn from; validation takes up to 500 more."""
    test_texts: Annotated[int, Field(ge=0)] = 1500
    """Most test texts to score; 0 takes all."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 2
    """Passes over the training texts."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """Highest learning rate of full fine-tuning; LoRA takes ten times that."""
    lora_rank: Annotated[int, Field(ge=1, le=512)] = 8
    """Rank of LoRA's updates."""
    max_pieces: Annotated[int, Field(ge=4)] = 128
    """Most word pieces read of a text; what is cut is counted."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""


def load_data(config: Config) -> "TextData":
    """Load the labelled texts in three splits."""
    from workbench.data import text

    return text.load(
        config.dataset, text_column=config.text_column, label_column=config.label_column
    )


def load_model(config: Config) -> "Encoder":
    """Load the encoder onto the run's device; `run` adapts copies of it."""
    from workbench import machine, sources
    from workbench.models.encoder import Encoder

    source = sources.resolve(config.model, "model")
    return Encoder(source, casing=False).to(machine.device())


def run(config: Config, model: "Encoder", data: "TextData") -> Result:
    """Adapt the encoder in three ways beside two baselines, and score all on the same texts."""
    from workbench import machine
    from workbench.tasks import exported, risk
    from workbench.tasks.adaptation import FULL
    from workbench.tasks.classifiers import labelled

    began = time.monotonic()
    machine.seed(config.seed)
    train = labelled(data, "train").first(config.train_texts)
    test = labelled(data, "test").first(config.test_texts)
    setting = _setting(config, model, data)
    answers = _learn_all(train, test.texts, setting)
    rows = data.splits["test"][: len(test.texts)]
    compared = _compare(answers, rows, data)
    curve, fewer = _curve(train, rows, setting, answers, data.unit)
    learned = [*answers.values(), *fewer]
    looked_into = _looked_into(answers[FULL], test, setting)
    result = Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources={"model": model.source.record(), "dataset": data.source.record()},
        **compared.record(),
        headline=("test/accuracy", "test/macro_f1"),
        losses={**data.losses, "cut_texts": _cut(config, model, train, test)},
        cost=Cost(
            **machine.spent(began, model.device, setting.reading.dtype),
            train_seconds=sum(answer.seconds for answer in learned),
            trained_pieces=sum(answer.pieces for answer in learned),
        ),
        environment=machine.environment(),
        tables={
            "methods": {method: answer.cost for method, answer in answers.items()},
            "curve": curve,
            **looked_into,
            "risk": risk.check(model, data.labels, train.first(32)),
        },
    )
    tuned = answers[FULL].model
    result = exported.keep(tuned, result, config.directory, max_pieces=config.max_pieces)
    return result.with_details(
        directory=config.directory, items=compared.items, history=setting.log.records
    )


def _looked_into(full: "Answer", test: "Labelled", setting: "Setting") -> dict[str, Any]:
    """Of full fine-tuning: how far its confidence is right, and which words it goes by."""
    from workbench.tasks import attribution, classifiers, reliability

    assert full.model is not None
    held_out = classifiers.predict(full.model, setting.validation.texts, setting.reading)
    labels, given = setting.labels, full.probabilities
    return {
        "reliability": reliability.measure(given, test.labels, labels),
        "tempered": reliability.temper(given, test, held_out, setting.validation, labels),
        "attributions": attribution.study(full.model, test, given, setting.reading),
    }


def _setting(config: Config, model: "Encoder", data: "TextData") -> "Setting":
    from workbench import machine
    from workbench.tasks.adaptation import Setting
    from workbench.tasks.classifiers import Reading, labelled
    from workbench.training import Log, Recipe

    dtype = machine.precision(config.precision, model.device)
    return Setting(
        encoder=model,
        labels=data.labels,
        validation=labelled(data, "validation").first(VALIDATION_TEXTS),
        reading=Reading(config.max_pieces, dtype),
        recipe=Recipe(epochs=config.epochs, learning_rate=config.learning_rate, dtype=dtype),
        lora_rank=config.lora_rank,
        seed=config.seed,
        log=Log(config.directory),
    )


def _learn_all(
    train: "Labelled", texts: "Sequence[str]", setting: "Setting"
) -> "dict[str, Answer]":
    """What each method says of the texts; only full fine-tuning's model is held on to."""
    from workbench.tasks.adaptation import FULL, METHODS, learn

    answers = {}
    for method in METHODS:
        setting.log.method = method
        answers[method] = learn(method, train, texts, setting, keep=method == FULL)
    return answers


def _compare(
    answers: dict[str, "Answer"], rows: dict[str, list[str]], data: "TextData"
) -> "Compared":
    from workbench.tasks import class_scores
    from workbench.tasks.adaptation import FULL
    from workbench.tasks.classifiers import losses

    return class_scores.compare(
        FULL,
        {method: answer.chosen(data.labels) for method, answer in answers.items()},
        rows,
        data.labels,
        of=data.unit,
        losses={
            method: losses(answer.probabilities, rows["label"], data.labels)
            for method, answer in answers.items()
        },
    )


def _curve(
    train: "Labelled",
    test: dict[str, list[str]],
    setting: "Setting",
    whole: dict[str, "Answer"],
    unit: str,
) -> "tuple[list[dict[str, Any]], list[Answer]]":
    """Accuracy of three methods learned from fewer texts, and what was learned for it."""
    from workbench.tasks import class_scores
    from workbench.tasks.adaptation import FULL, HEAD, TFIDF, learn
    from workbench.training import Log

    points, fewer = [], []
    for divisor in (*SMALLER, 1):
        part = train.first(max(1, len(train.texts) // divisor))
        # Fewer labels for all purposes: validation shrinks alike.
        held_out = setting.validation.first(max(1, len(setting.validation.texts) // divisor))
        quiet = replace(setting, validation=held_out, log=Log(None))
        for method in (TFIDF, HEAD, FULL):
            quiet.log.method = f"{method}, {len(part.texts):,} texts"
            if divisor == 1:
                answer = whole[method]
            else:
                answer = learn(method, part, test["text"], quiet)
                fewer.append(answer)
            metric = class_scores.accuracy_metric(
                test["label"],
                answer.chosen(setting.labels),
                setting.labels,
                test["cluster"],
                of=unit,
            )
            sizes = {"texts": len(part.texts), "validation": len(held_out.texts)}
            points.append({"method": method} | sizes | metric.model_dump(mode="json"))
    return points, fewer


def _cut(config: Config, model: "Encoder", *parts: "Labelled") -> Loss:
    texts = [text for part in parts for text in part.texts]
    _, cut = model.encode(texts, config.max_pieces)
    limit = min(config.max_pieces, model.capacity)
    note = f"texts of more than {limit} pieces, of which only the first {limit} are read"
    return Loss(count=cut, of=len(texts), note=note)
