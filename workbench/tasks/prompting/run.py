"""Prompting: how far a pretrained decoder gets without training, beside what labels would buy."""

from functools import partial
from typing import Any

from workbench.core import sources
from workbench.core.errors import DataError
from workbench.core.sources import Source
from workbench.data.text import TextData
from workbench.methods import asking, classifiers, estimates, prompt_record, prompt_scores
from workbench.methods import shots as prompt_shots
from workbench.methods.asking import Models
from workbench.methods.classifiers import Labelled, labelled
from workbench.methods.prompt_scores import Asked, Prompted
from workbench.record.findings import Findings
from workbench.record.metric import UNPARSED
from workbench.record.result import DataIssue
from workbench.tasks.prompting import methods as prompt_methods
from workbench.tasks.prompting import parsing, traps
from workbench.tasks.prompting.config import Config
from workbench.tasks.prompting.methods import Writing
from workbench.training import Log


def load_data(config: Config) -> TextData:
    """Load labelled texts, or tagged sentences as entities to type, in three splits."""
    return asking.load_data(
        config.dataset, text_column=config.text_column, label_column=config.label_column
    )


def load_model(config: Config) -> Models:
    """Load both models onto the run's device."""
    return asking.load_models(config.model, config.encoder, config.precision)


def run(config: Config, model: Models, data: TextData) -> Findings:
    """Answer the same test items by prompts and by what learns from labels, and compare."""
    rows = data.splits["test"][: config.items]
    train = labelled(data, "train").first(config.train_texts)
    _check(train)
    asked, cut = prompt_methods.ask(config, model.decoder, data)
    drawn = prompt_methods.draw(config, asked, data, train, model.encoder)
    estimates.scoring(asked, drawn)
    prompted, costs = prompt_methods.score(asked, drawn, brief=config.brief)
    prompt_record.keep(config.directory, prompted, rows["item"])
    written = prompt_methods.write(asked)
    log = Log(config.directory)
    learned, learning_costs = prompt_methods.learn(config, model.encoder, data, train, log)
    compared = prompt_methods.compare(config, prompted, written, learned, data)
    near = prompt_methods.nearest(config, asked, train, model.encoder)
    return Findings(
        sources=_sources(config, model, data),
        **compared.record(),
        headline=("test/accuracy", "test/macro_f1"),
        data_issues={
            "cut_prompts": cut,
            "labels_not_shown": prompt_shots.labels_not_shown(asked, drawn),
            **_data_issues(config, model, prompted, written.read, train, rows["text"]),
        },
        device=model.decoder.device,
        dtype=asked.dtype,
        network=model.decoder,
        train_seconds=sum(answer.seconds for answer in learned.values()),
        trained_tokens=sum(answer.tokens for answer in learned.values()),
        tables={
            "methods": costs | written.costs | learning_costs,
            "prompts": prompt_scores.by_prompt(prompted, rows, data.labels, data.unit),
            **_answers(written, asked, rows, data),
            "priors": prompt_scores.priors(prompted, data.labels),
            "attention": prompt_methods.look(asked, drawn, prompted),
            "prompt": prompt_record.example(config.condition, prompted, asked, rows["item"]),
        },
        items=compared.items,
        history=log.records,
        predict=partial(prompt_methods.answer, config, asked, drawn, prompted, near),
    )


def _answers(
    written: Writing, asked: Asked, rows: dict[str, list[str]], data: TextData
) -> dict[str, Any]:
    """Tables of the free answers: scores by template, the commonest unparsed, the traps."""
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


def _sources(config: Config, model: Models, data: TextData) -> dict[str, Source]:
    found = {
        "model": model.decoder.source,
        "encoder": model.encoder.source,
        "dataset": data.source,
    }
    if config.prompts:
        found["prompts"] = sources.resolve(config.prompts, "dataset")
    return found


def _check(train: Labelled) -> None:
    if len(set(train.labels)) < 2:
        raise DataError(
            f"the first {len(train.labels):,} training texts all are {train.labels[0]!r}",
            expected="two labels at least among them",
            do="raise train_texts",
        )


def _data_issues(
    config: Config,
    model: Models,
    prompted: list[Prompted],
    read: dict[str, list[str]],
    train: Labelled,
    texts: list[str],
) -> dict[str, DataIssue]:
    """What prompts and answers lost, and what the encoder reads in windows, counted."""
    found = [answer for answers in read.values() for answer in answers]
    return {
        **prompt_shots.issues(prompted),
        "unparsed_answers": DataIssue(
            count=found.count(UNPARSED), of=len(found), note="written answers that name no label"
        ),
        **classifiers.long_texts(model.encoder, [*train.texts, *texts], config.max_tokens),
    }
