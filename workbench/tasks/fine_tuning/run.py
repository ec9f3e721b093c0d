"""Fine-tuning for text classification: what it buys over simpler ways to use the same labels."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from workbench.core import machine, sources
from workbench.core.config import names
from workbench.data import text
from workbench.data.text import TextData
from workbench.methods import classifiers, export, label_scores, predict
from workbench.methods.adaptation import Answer, Setting, learn, methods
from workbench.methods.classifiers import Labelled, Probabilities, Reading, labelled
from workbench.methods.label_scores import Compared
from workbench.methods.learners import FULL, HEAD, TFIDF
from workbench.methods.logistic import losses
from workbench.models.encoder import Encoder
from workbench.record.findings import Findings
from workbench.record.result import Metric
from workbench.tasks.fine_tuning import attribution, label_noise, reliability, risk
from workbench.tasks.fine_tuning import slices as by_slice
from workbench.tasks.fine_tuning.config import Config
from workbench.training import Log, Recipe

VALIDATION_TEXTS = 500
SMALLER = (8, 4, 2)
"""The learning curve's points: the training texts divided by these, and all."""


def load_data(config: Config) -> TextData:
    """Load the labelled texts in three splits."""
    return text.load(
        config.dataset,
        text_column=config.text_column,
        label_column=config.label_column,
        also=names(config.slices),
        drop_repeats=config.drop_repeats,
    )


def load_model(config: Config) -> Encoder:
    """Load the encoder onto the run's device; `run` adapts copies of it."""
    source = sources.resolve(config.model, "model")
    return Encoder(source, casing=False).to(machine.device())


def run(config: Config, model: Encoder, data: TextData) -> Findings:
    """Adapt the encoder in four ways beside two baselines, and score all on the same texts."""
    train = labelled(data, "train").first(config.train_texts)
    test = labelled(data, "test").first(config.test_texts)
    setting = _setting(config, model, data)
    answers = _learn_all(train, test.texts, setting)
    rows = data.splits["test"][: len(test.texts)]
    compared = _compare(answers, rows, data)
    curve, fewer = _curve(train, rows, setting, answers, data.unit)
    learned = [*answers.values(), *fewer]
    held_out, full = _held_out(answers[FULL], setting), answers[FULL].model
    assert full, "the fine-tuned model is kept"
    kept = {"max_tokens": min(config.max_tokens, model.capacity)}
    record = compared.record()
    record["metrics"] |= _validated(held_out, setting)
    return Findings(
        sources={"model": model.source, "dataset": data.source},
        **record,
        headline=("test/accuracy", "test/macro_f1"),
        data_issues=classifiers.long_texts(model, [*train.texts, *test.texts], config.max_tokens),
        device=model.device,
        dtype=setting.reading.dtype,
        train_seconds=sum(answer.seconds for answer in learned),
        trained_tokens=sum(answer.tokens for answer in learned),
        tables={
            "methods": {method: answer.cost for method, answer in answers.items()},
            "curve": curve,
            **_looked_into(answers[FULL], rows, held_out, setting, names(config.slices)),
            "risk": risk.check(model, data.labels, train.first(32)),
        },
        items=compared.items,
        history=setting.log.records,
        predict=partial(predict.answer, full, kept | {"precision": config.precision}),
        keep=lambda result: export.keep(full, result, config.directory, **kept),
    )


def _held_out(full: Answer, setting: Setting) -> Probabilities:
    """What full fine-tuning says of the validation texts."""
    assert full.model is not None
    return classifiers.predict(full.model, setting.validation.texts, setting.reading)


def _validated(held_out: Probabilities, setting: Setting) -> dict[str, Metric]:
    """Accuracy and macro F1 on validation, to choose parameters by; the epoch was chosen on it."""
    given = classifiers.chosen(held_out, setting.labels)
    found = label_scores.metrics(
        setting.validation.labels,
        given,
        setting.labels,
        range(len(given)),
        of="texts",
        split="validation",
    )
    return {name: found[name] for name in Config.validation}


def _looked_into(
    full: Answer,
    rows: dict[str, list[str]],
    held_out: Probabilities,
    setting: Setting,
    slices: Sequence[str],
) -> dict[str, Any]:
    """Of full fine-tuning: whether it is as sure as right, by which words, and where it errs."""
    assert full.model is not None
    model = full.model
    predict = lambda texts: classifiers.predict(model, texts, setting.reading)  # noqa: E731
    labels, given = setting.labels, full.probabilities
    test = classifiers.Labelled(rows["text"], rows["label"])
    return {
        "reliability": reliability.measure(given, test.labels, labels),
        "tempered": reliability.temper(given, test, held_out, setting.validation, labels),
        "attributions": attribution.study(model, test, given, setting.reading),
        "disputed": label_noise.study(test, given, labels),
        **by_slice.study(slices, rows, given, predict, labels),
    }


def _setting(config: Config, model: Encoder, data: TextData) -> Setting:
    dtype = machine.precision(config.precision, model.device)
    return Setting(
        encoder=model,
        labels=data.labels,
        validation=labelled(data, "validation").first(VALIDATION_TEXTS),
        reading=Reading(config.max_tokens, dtype),
        recipe=Recipe(epochs=config.epochs, learning_rate=config.learning_rate, dtype=dtype),
        lora_rank=config.lora_rank,
        seed=config.seed,
        log=Log(config.directory),
        extras=names(config.extras),
    )


def _learn_all(train: Labelled, texts: Sequence[str], setting: Setting) -> dict[str, Answer]:
    """What each method says of the texts; only full fine-tuning's model is held on to."""
    answers = {}
    for method in methods(setting.encoder):
        setting.log.method = method
        answers[method] = learn(method, train, texts, setting, keep=method == FULL)
    return answers


def _compare(answers: dict[str, Answer], rows: dict[str, list[str]], data: TextData) -> Compared:
    return label_scores.compare(
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
    train: Labelled,
    test: dict[str, list[str]],
    setting: Setting,
    whole: dict[str, Answer],
    unit: str,
) -> tuple[list[dict[str, Any]], list[Answer]]:
    """Accuracy of three methods learned from fewer texts, and what was learned for it."""
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
            metric = label_scores.accuracy_metric(
                test["label"],
                answer.chosen(setting.labels),
                setting.labels,
                test["cluster"],
                of=unit,
            )
            sizes = {"texts": len(part.texts), "validation": len(held_out.texts)}
            points.append({"method": method} | sizes | metric.model_dump(mode="json"))
    return points, fewer
