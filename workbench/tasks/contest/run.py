"""The contest: how many labelled examples it takes until learning overtakes prompting."""

from typing import Any

from workbench.core import sources
from workbench.core.config import names
from workbench.core.errors import ParameterError
from workbench.data.text import TextData
from workbench.methods import asking, classifiers, crossings, estimates, learning_curves
from workbench.methods import shots as prompt_shots
from workbench.methods.classifiers import Labelled, Reading
from workbench.methods.crossings import Answered
from workbench.methods.learners import BITFIT
from workbench.methods.learning_curves import Point
from workbench.models.encoder import Encoder
from workbench.models.text_classifier import biases
from workbench.record.findings import Findings
from workbench.record.result import DataIssue
from workbench.tasks.contest import levels as contest_levels
from workbench.tasks.contest import methods as contest_methods
from workbench.tasks.contest.config import DECODER, Config
from workbench.tasks.contest.levels import Levels, Models
from workbench.training import Log


def load_data(config: Config) -> TextData:
    """Load labelled texts, or tagged sentences as entities to type, in three splits."""
    return asking.load_data(
        config.dataset,
        text_column=config.text_column,
        label_column=config.label_column,
        drop_repeats=config.drop_repeats,
    )


def load_model(config: Config) -> Models:
    """Load the models onto the run's device; `run` adapts copies of those that learn."""
    both = asking.load_models(config.model, config.encoder)
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


def run(config: Config, model: Models, data: TextData) -> Findings:
    """Let everything answer the same test items: prompts, and what learns from ever more labels."""
    rows = data.splits["test"][: config.items]
    plan = contest_methods.plan(config)
    pools = learning_curves.pools(plan, classifiers.labelled(data, "train"))
    levels, cut = contest_levels.prompt(config, model, data, pools)
    log = Log(config.directory)
    _announce(config, model, pools[0], rows["text"])
    learners = contest_methods.learners(config, model)
    points = learning_curves.learn(plan, learners, data.labels, pools, rows["text"], log)
    own = names(config.methods)[0]
    compared = learning_curves.compare(
        plan, own, points, levels.answers, pools[0], rows, data.labels, data.unit
    )
    answered = learning_curves.answered(plan, points, levels.answers, rows, data.labels, data.unit)
    return Findings(
        sources={
            "model": model.decoder.source,
            "encoder": model.encoder.source,
            "dataset": data.source,
        },
        **compared.record(),
        headline=("test/accuracy", "test/macro_f1"),
        data_issues={"cut_prompts": cut, **_data_issues(config, model, levels, points, rows)},
        device=model.decoder.device,
        dtype=learning_curves.dtype(model.decoder),
        network=model.decoder,
        train_seconds=sum(point.answer.seconds for point in points),
        trained_tokens=sum(point.answer.tokens for point in points),
        tables=_tables(config, levels, points, answered),
        items=compared.items,
        history=log.records,
    )


def _announce(config: Config, model: Models, pool: Labelled, texts: list[str]) -> None:
    """Print what learning will take."""
    lengths = model.encoder.encode(pool.texts, config.max_tokens)[1].lengths.tolist()
    estimates.learning(
        [
            (name.removeprefix(DECODER), contest_methods.adapted(name, model))
            for name in names(config.methods)
        ],
        config.counts,
        [learning_curves.epochs(lengths[:size]) for size in config.counts],
        config.draws,
        texts,
        Reading(config.max_tokens, learning_curves.dtype(model.encoder)),
    )


def _data_issues(
    config: Config, model: Models, levels: Levels, points: list[Point], rows: dict[str, Any]
) -> dict[str, DataIssue]:
    """What prompts lost, and what the encoder reads in windows, counted."""
    texts = list(dict.fromkeys([*(t for point in points for t in point.texts), *rows["text"]]))
    long = classifiers.long_texts(model.encoder, texts, config.max_tokens)
    return prompt_shots.issues(levels.prompted) | long


def _tables(
    config: Config, levels: Levels, points: list[Point], answered: Answered
) -> dict[str, Any]:
    """The curves, the levels, the crossings and the costs; JSON values only."""
    return {
        "curve": crossings.curve(answered),
        "levels": crossings.levels(answered),
        "crossings": crossings.crossings(answered, contest_methods.references(config)),
        "right": crossings.bits(answered),
        "methods": contest_methods.costs(levels, points),
    }
