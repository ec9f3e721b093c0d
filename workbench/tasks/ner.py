"""Named-entity recognition: fine-tune an encoder on tagged sentences and score it by entity.

Heavy libraries are imported where they are used, so that plans and the command line can read
`Config` in no time.
"""

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from workbench.config import Config as BaseConfig
from workbench.result import Cost, Loss, Result

if TYPE_CHECKING:
    import torch

    from workbench.data.ner import NerData
    from workbench.models.encoder import Encoder, TokenClassifier
    from workbench.training import Fit, Log

SMOKE: dict[str, object] = {"dataset": "tiny_ner", "epochs": 1}
"""Overrides for tests: the real encoder on the project's own few sentences."""


class Config(BaseConfig):
    """Parameters of a named-entity run."""

    task: ClassVar[str] = "ner"

    model: str = "minilm"
    """Encoder: catalogue name, folder or hf:<id>."""
    dataset: str = "conll2003"
    """Tagged sentences: catalogue name, path or hf:<id>."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 2
    """Passes over the training split."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 4e-4
    """Highest learning rate of AdamW, reached after warm-up."""
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of steps with a rising learning rate; it falls linearly after."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Weight decay of AdamW, on matrices only."""
    train_embeddings: bool = False
    """Train the word embeddings too, which costs time and gains little."""
    batch_pieces: Annotated[int, Field(ge=16)] = 640
    """Most word pieces in a training batch, padding counted."""
    window_pieces: Annotated[int, Field(ge=8)] = 96
    """Word pieces of a document's neighbouring sentences read together."""
    casing: bool = True
    """Tell an uncased encoder each word's letter case."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""


def load_data(config: Config) -> "NerData":
    """Load the data set's three splits."""
    from workbench.data import ner

    return ner.load(config.dataset)


def load_model(config: Config) -> "Encoder":
    """Load the encoder onto the run's device; `run` gives it a head for the data's labels."""
    from workbench import machine, sources
    from workbench.models.encoder import Encoder

    source = sources.resolve(config.model, "model")
    return Encoder(source, casing=config.casing).to(machine.device())


def run(config: Config, model: "Encoder", data: "NerData") -> Result:
    """Fine-tune a copy of the encoder, keep its best epoch on validation, score the test split."""
    from workbench import machine
    from workbench.models.encoder import TokenClassifier
    from workbench.tasks import exported, ner_scores
    from workbench.training import Log

    began = time.monotonic()
    machine.seed(config.seed)
    tagger = TokenClassifier(model, data.labels)
    log = Log(config.directory)
    fit, validated = _train(config, tagger, data, log)
    tested = predict(tagger, data, "test", config)
    scores = ner_scores.metrics(data, "test", tested.tags, tested.argmax)
    scores |= ner_scores.metrics(data, "validation", validated.tags, validated.argmax)
    result = Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources={"model": model.source.record(), "dataset": data.source.record()},
        metrics=scores,
        headline=("test/entity_f1", "test/token_accuracy", "validation/entity_f1"),
        baselines={
            "majority": ner_scores.majority(data),
            "lexicon": ner_scores.lexicon(data),
        },
        losses={**data.losses, **_tokenization_losses(model, data)},
        cost=Cost(
            **machine.spent(began, model.device, _dtype(config, model)),
            train_seconds=fit.seconds,
            trained_pieces=fit.pieces,
        ),
        environment=machine.environment(),
        tables=ner_scores.tables(data, tested.tags) | {"best_epoch": fit.best_epoch},
    )
    result = exported.keep(tagger, result, config.directory, window_pieces=config.window_pieces)
    items = ner_scores.items(data, "test", tested.tags, tested.losses)
    return result.with_details(directory=config.directory, items=items, history=log.records)


@dataclass(frozen=True)
class Prediction:
    """What a tagger says of a split, a list a sentence."""

    tags: list[list[str]]
    """The best valid IOB2 sequence."""
    argmax: list[list[str]]
    """The best tag of each word by itself, valid or not."""
    losses: list[float]
    """Mean cross-entropy of each sentence's gold tags in nats."""


def predict(tagger: "TokenClassifier", data: "NerData", split: str, config: Config) -> Prediction:
    """Tag every word of a split. Raises RuntimeError if any word was left without."""
    from workbench import iob
    from workbench.tasks.tagging import tag_scores

    rows = data.splits[split]
    labels = {label: index for index, label in enumerate(tagger.labels)}
    scores = tag_scores(
        tagger,
        list(rows["tokens"]),
        list(rows["document"]),
        window_pieces=config.window_pieces,
        dtype=_dtype(config, tagger.encoder),
        progress=f"scoring {split}",
    )
    losses = [
        -float(np.mean([row[labels[tag]] for row, tag in zip(score, tags, strict=True)]))
        for score, tags in zip(scores, rows["ner_tags"], strict=True)
    ]
    return Prediction(
        tags=[iob.decode(score, tagger.labels) for score in scores],
        argmax=[[tagger.labels[best] for best in score.argmax(axis=1)] for score in scores],
        losses=losses,
    )


def _train(
    config: Config, tagger: "TokenClassifier", data: "NerData", log: "Log"
) -> tuple["Fit", Prediction]:
    """Fit on the training split; return also the best epoch's view of the validation split."""
    import torch

    from workbench.metrics import EntityScores
    from workbench.models.windows import Batch, Window, batches, pack
    from workbench.training import Recipe, fit

    rows = data.splits["train"]
    tags, gold = list(rows["ner_tags"]), list(data.splits["validation"]["ner_tags"])
    labels = {label: index for index, label in enumerate(tagger.labels)}
    segments = tagger.encoder.segments(list(rows["tokens"]), list(rows["document"]))
    windows = pack(segments, min(config.window_pieces, tagger.encoder.capacity))
    chance = random.Random(config.seed)
    drawn: list[list[list[Window]]] = []
    asked: list[int] = []
    validated: dict[int, Prediction] = {}
    embeddings = tagger.encoder.network.get_input_embeddings()
    embeddings.requires_grad_(config.train_embeddings)

    def epoch_batches(epoch: int) -> list[Batch]:
        asked.append(epoch)
        while len(drawn) < epoch:  # in order, so that a training that goes on draws the same
            drawn.append(batches(windows, config.batch_pieces, shuffle=chance))
        return [tagger.encoder.collate(group) for group in drawn[epoch - 1]]

    def loss(batch: Batch) -> torch.Tensor:
        places = zip(batch.sentences, batch.words, strict=True)
        target = torch.tensor([labels[tags[sentence][word]] for sentence, word in places])
        target = target.to(tagger.encoder.device, non_blocking=True)
        return torch.nn.functional.cross_entropy(tagger(batch).float(), target)

    def validate() -> float:
        found = validated[asked[-1]] = predict(tagger, data, "validation", config)
        return EntityScores().compute(predictions=found.tags, references=gold)["f1"]

    recipe = Recipe(
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        warmup_share=config.warmup_share,
        weight_decay=config.weight_decay,
        dtype=_dtype(config, tagger.encoder),
    )
    weight = lambda batch: len(batch.words)  # noqa: E731
    done = fit(tagger, epoch_batches, loss, weight, validate, recipe, log)
    best = validated.get(done.best_epoch)  # not there where a process before trained that epoch
    return done, best or predict(tagger, data, "validation", config)


def _dtype(config: Config, model: "Encoder") -> "torch.dtype":
    from workbench import machine

    return machine.precision(config.precision, model.device)


def _tokenization_losses(model: "Encoder", data: "NerData") -> dict[str, Loss]:
    """Test sentences that had to be cut, and words the tokenizer does not know at all."""
    rows = data.splits["test"]
    segments = model.segments(list(rows["tokens"]), list(rows["document"]))
    unknown = [model.tokenizer.unk_token_id]
    words = [pieces for segment in segments for pieces in segment.pieces]
    return {
        "cut_sentences": Loss(
            count=len({segment.sentence for segment in segments if segment.first_word > 0}),
            of=len(rows),
            note="test sentences longer than the model, read in parts (every word is predicted)",
        ),
        "unknown_words": Loss(
            count=sum(pieces == unknown for pieces in words),
            of=len(words),
            note="test words that the tokenizer doesn't know",
        ),
    }
