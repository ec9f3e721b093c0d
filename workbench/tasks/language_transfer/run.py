"""Transfer between languages: what labels of one language are worth in another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from datasets import DatasetDict
from numpy.typing import NDArray

from workbench.core import machine, sources
from workbench.core.config import names
from workbench.core.described import Described
from workbench.core.errors import DataError
from workbench.data import bitext, text
from workbench.data.bitext import Bitext
from workbench.data.split_files import some
from workbench.data.text import TextData
from workbench.methods import (
    classifiers,
    crossings,
    embeddings,
    estimates,
    learning_curves,
)
from workbench.methods.classifiers import Labelled, Reading
from workbench.methods.learners import HEAD, NEAREST, TFIDF
from workbench.methods.learning_curves import NOTHING, Learner, Plan
from workbench.models.encoder import Encoder
from workbench.record import means
from workbench.record.findings import Findings
from workbench.record.metric import Metric
from workbench.record.result import DataIssue
from workbench.tasks.language_transfer.config import Config
from workbench.training import Log

FROZEN = {TFIDF, NEAREST, HEAD}
"""Methods that train no weight of the encoder."""


@dataclass(frozen=True)
class Languages(Described):
    """The same task in two languages, with the labels that both have; and translations."""

    source: TextData
    target: TextData
    bitext: Bitext | None
    data_issues: dict[str, DataIssue]

    def describe(self) -> str:
        """Both data sets as they were read, what both have, and the translations."""
        left_out = [issue.describe() for issue in self.data_issues.values()]
        shared = f"{len(self.target.labels)} labels are in both: {some(list(self.target.labels))}"
        parts = [self.source.describe(), self.target.describe(), "\n".join([shared, *left_out])]
        return "\n\n".join([*parts, *([self.bitext.describe()] if self.bitext else [])])


def load_data(config: Config) -> Languages:
    """Load labelled texts of both languages; DataError where they share fewer than two labels."""
    source, target = (
        text.load(name, text_column=config.text_column, label_column=config.label_column)
        for name in (config.source_dataset, config.dataset)
    )
    both = tuple(label for label in target.labels if label in set(source.labels))
    if len(both) < 2:
        raise DataError(
            f"{config.source_dataset} and {config.dataset} share {len(both)} labels: "
            f"{some(list(source.labels))}; {some(list(target.labels))}",
            expected="two labels at least that have the same name in both",
            do="rename the labels of one",
        )
    pairs = bitext.load(config.bitext) if config.bitext else None
    (source, left_source), (target, left_target) = _with(source, both), _with(target, both)
    issues = {"source_labels": left_source, "target_labels": left_target}
    return Languages(source, target, pairs, issues)


def _with(data: TextData, labels: tuple[str, ...]) -> tuple[TextData, DataIssue]:
    """The texts that have one of some labels, and how many have none of them."""
    places = {
        name: [place for place, label in enumerate(split["label"]) if label in labels]
        for name, split in data.splits.items()
    }
    splits = DatasetDict({name: data.splits[name].select(kept) for name, kept in places.items()})
    total = sum(map(len, data.splits.values()))
    note = f"texts of {data.source.name} with a label that the other lacks, left out"
    left_out = DataIssue(count=total - sum(map(len, places.values())), of=total, note=note)
    return replace(data, splits=splits, labels=labels), left_out


def load_model(config: Config) -> Encoder:
    """Load the encoder onto the run's device; `run` adapts copies of it."""
    return Encoder(sources.resolve(config.model, "model"), casing=False).to(machine.device())


def run(config: Config, model: Encoder, data: Languages) -> Findings:
    """Learn from the first language, from ever more texts of the second, and from both; compare."""
    rows = data.target.splits["test"][: config.items]
    labels, methods = data.target.labels, names(config.methods)
    plan = Plan(methods, config.counts, config.draws, config.seed, config.max_tokens)
    drawn = learning_curves.pools(plan, classifiers.labelled(data.target, "train"))
    reading = Reading(config.max_tokens, learning_curves.dtype(model))
    learned = classifiers.labelled(data.source, "train").first(config.source_texts)
    # A name on charts: of a file without its folders, of a Hub id without its owner.
    language = PurePath(config.source_dataset).stem
    own, abroad, both = _learners(methods, model, learned, language)
    _announce(plan, model, drawn[0], rows["text"], reading)
    log = Log(config.directory)
    transferred = [
        learning_curves.once(plan, learner, labels, NOTHING, rows["text"], Log(None))
        for learner in abroad
    ]
    points = learning_curves.learn(plan, [*own, both], labels, drawn, rows["text"], log)
    levels = {point.method: [point.answer.probabilities] * plan.draws for point in transferred}
    answered = learning_curves.answered(plan, points, levels, rows, labels, data.target.unit)
    references = [point.method for point in transferred]
    compared = learning_curves.compare(
        plan, references[0], points, levels, learned, rows, labels, data.target.unit
    )
    found, pairs = _retrieval(model, data.bitext, reading)
    used = {
        "model": model.source,
        "dataset": data.target.source,
        "source_dataset": data.source.source,
    }
    return Findings(
        **compared.record() | {"metrics": compared.metrics | found},
        sources=used | ({"bitext": data.bitext.source} if data.bitext else {}),
        headline=("test/accuracy", "test/macro_f1"),
        data_issues=_data_issues(config, model, data, rows["text"]),
        device=model.device,
        dtype=reading.dtype,
        network=model,
        train_seconds=sum(point.answer.seconds for point in [*transferred, *points]),
        trained_tokens=sum(point.answer.tokens for point in [*transferred, *points]),
        tables={
            "curve": crossings.curve(answered),
            "levels": crossings.levels(answered),
            "crossings": crossings.crossings(answered, references[::-1]),
            "methods": learning_curves.costs([*points, *transferred]),
            "bitext": pairs,
        },
        items=compared.items,
        history=log.records,
    )


def _learners(
    methods: Sequence[str], model: Encoder, learned: Labelled, language: str
) -> tuple[list[Learner], list[Learner], Learner]:
    """What learns from the second language, from the first alone, and from both together."""
    features: dict[str, NDArray[np.float32]] = {}
    own = [Learner(method, model, method, features=features) for method in methods]
    abroad = [
        replace(learner, method=f"{learner.plain}, from {language}", base=learned)
        for learner in own
        if learner.plain != TFIDF
    ]
    abroad.append(Learner(f"{TFIDF}, from {language}", model, TFIDF, base=learned))
    both = replace(own[0], method=f"{own[0].plain}, with {language}", base=learned)
    return own, abroad, both


def _announce(
    plan: Plan, model: Encoder, pool: Labelled, texts: Sequence[str], reading: Reading
) -> None:
    """Print what training will take; what leaves the encoder as it is reads each text once."""
    timed = [(method, model) for method in plan.methods if method not in FROZEN]
    lengths = model.encode(pool.texts, plan.max_tokens)[1].lengths.tolist()
    passes = [learning_curves.epochs(lengths[:size]) for size in plan.sizes]
    estimates.learning(timed, plan.sizes, passes, plan.draws, texts, reading)


def _retrieval(
    model: Encoder, pairs: Bitext | None, reading: Reading
) -> tuple[dict[str, Metric], dict[str, Any]]:
    """How often the nearest sentence of the other language is the translation, both ways.

    Near is by cosine of mean-pooled states. Also each translation's cosine, and the largest of the
    other sentences. Source: Artetxe and Schwenk 2019, "Massively Multilingual Sentence Embeddings",
    section 4.3, without its margin.
    """
    if pairs is None:
        return {}, {}
    left, right = (
        embeddings.unit(classifiers.encode(model, sentences, reading))
        for sentences in pairs.sentences
    )
    cosine = left @ right.T
    right_one = cosine.diagonal().copy()
    others = cosine - 2 * np.eye(len(cosine), dtype=cosine.dtype)
    found, shown = {}, {}
    for place, language in enumerate(pairs.languages):
        # Of sentences of this language the nearest of the other.
        best = others.max(axis=1 - place)
        metric = means.mean(right_one > best, of="sentences")
        assert metric is not None
        found[f"bitext/retrieval_from_{language}"] = metric
        shown[language] = best.tolist()
    return found, {"translation": right_one.tolist(), "best_other": shown}


def _data_issues(
    config: Config, model: Encoder, data: Languages, texts: Sequence[str]
) -> dict[str, DataIssue]:
    """What was lost of both data sets and the translations, and what is read in windows."""
    learned = data.source.splits["train"]["text"][: config.source_texts]
    read = [*learned, *data.target.splits["train"]["text"], *texts]
    return {
        **{
            f"{side}_{name}": issue.model_copy(update={"note": f"{own.source.name}: {issue.note}"})
            for side, own in (("source", data.source), ("target", data.target))
            for name, issue in own.data_issues.items()
        },
        **data.data_issues,
        **(data.bitext.data_issues if data.bitext else {}),
        **classifiers.long_texts(model, read, config.max_tokens),
    }
