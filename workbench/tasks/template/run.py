"""The smallest whole task, to copy: find the entities that stood in the training data.

The model is the baseline of the CoNLL-2003 shared task, so it trains in no time.
"""

import time
from typing import TYPE_CHECKING, ClassVar

from workbench.core.config import Config as BaseConfig
from workbench.core.config import MainMeasure
from workbench.record.result import Cost, Result

if TYPE_CHECKING:
    from workbench.data.ner import NerData
    from workbench.models.lexicon import Lexicon

SMOKE: dict[str, object] = {}
"""Overrides for tests; this task needs none."""


class Config(BaseConfig):
    """Parameters of the template."""

    task: ClassVar[str] = "template"
    right: ClassVar[str] = "a sentence with every tag right"
    main_measure: ClassVar[MainMeasure] = "entity_f1"

    dataset: str = "tiny_ner"
    """Named-entity data: catalogue name, path or hf:<id>."""


def load_data(config: Config) -> "NerData":
    """Load the data set."""
    from workbench.data import ner

    return ner.load(config.dataset)


def load_model(config: Config) -> "Lexicon":
    """Make an empty lexicon."""
    from workbench.models.lexicon import Lexicon

    return Lexicon()


def run(config: Config, model: "Lexicon", data: "NerData") -> Result:
    """Fill the lexicon from the training split and score it on the test split."""
    import torch

    from workbench.core import machine
    from workbench.methods import tag_scores

    began = time.monotonic()
    train, test = data.splits["train"], data.splits["test"]
    model.fit(train["tokens"], train["ner_tags"])
    predicted = [model.predict(words) for words in test["tokens"]]
    return Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources={"dataset": data.source.record()},
        method="lexicon",
        metrics=tag_scores.metrics(data, "test", predicted),
        headline=("test/entity_f1", "test/token_accuracy"),
        baselines={"majority": tag_scores.majority(data)},
        losses=data.losses,
        cost=Cost(**machine.spent(began, torch.device("cpu"))),
        environment=machine.environment(),
        tables=tag_scores.tables(data, predicted),
    ).with_details(
        directory=config.directory,
        items=tag_scores.items(data, "test", predicted, method="lexicon"),
        history=[],
    )
