"""Fitting a tagger of entities, and tagging with it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.core import machine
from workbench.core.config import names
from workbench.data.ner import NerData
from workbench.methods import extras
from workbench.methods.tagging import tag_scores
from workbench.models.augmentation import masked
from workbench.models.crf import runs_of
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.windows import Batch, batches, pack
from workbench.record import iob
from workbench.record.metrics import EntityScores, Tags
from workbench.tasks.ner.config import Config
from workbench.training import Fit, Log, Recipe, fit


@dataclass(frozen=True)
class Prediction:
    """What a tagger says of a split, a list a sentence."""

    tags: list[list[str]]
    """The best valid IOB2 sequence."""
    argmax: list[list[str]]
    """The best tag of each word by itself, valid or not."""
    losses: list[float]
    """Mean cross-entropy of each sentence's gold tags in nats."""
    sureness: list[list[float]]
    """Probability of each tag of `tags`."""


def predict(tagger: TokenClassifier, data: NerData, split: str, config: Config) -> Prediction:
    """Tag every word of a split. Raises RuntimeError if any word was left without."""
    scores = scored(tagger, data, split, config)
    tags = [iob.decode(score, tagger.labels) for score in scores]
    gold = _logs(scores, data.splits[split]["ner_tags"], tagger.labels)
    return Prediction(
        tags=tags,
        argmax=[[tagger.labels[best] for best in score.argmax(axis=1)] for score in scores],
        losses=[-float(logs.mean()) for logs in gold],
        sureness=[np.exp(logs).tolist() for logs in _logs(scores, tags, tagger.labels)],
    )


def scored(
    tagger: TokenClassifier, data: NerData, split: str, config: Config
) -> list[NDArray[np.float32]]:
    """Log-probabilities [words, labels] of each sentence of a split."""
    rows = data.splits[split]
    return tag_scores(
        tagger,
        list(rows["tokens"]),
        list(rows["document"]),
        window_pieces=config.window_pieces,
        dtype=dtype(config, tagger.encoder),
        extras=names(config.extras),
        progress=f"scoring {split} of {data.source.name}",
    )


def tags_alone(tagger: TokenClassifier, data: NerData, split: str, config: Config) -> Tags:
    """Return the best valid tags of a split where each sentence is read by itself, in one pass.

    No neighbours, no other window sizes, no document for predictions to agree over: what the
    tagger says where a sentence is all that it is given.
    """
    sentences = list(data.splits[split]["tokens"])
    scores = tag_scores(
        tagger,
        sentences,
        range(len(sentences)),
        window_pieces=config.window_pieces,
        dtype=dtype(config, tagger.encoder),
        progress=f"scoring {split} of {data.source.name}, each sentence alone",
    )
    return [iob.decode(score, tagger.labels) for score in scores]


def _logs(
    scores: Sequence[NDArray[np.float32]], tags: Tags, labels: Sequence[str]
) -> list[NDArray[np.float32]]:
    """Log-probability of each tag."""
    places = {label: place for place, label in enumerate(labels)}
    return [
        score[np.arange(len(row)), [places[tag] for tag in row]]
        for score, row in zip(scores, tags, strict=True)
    ]


def train(
    config: Config, tagger: TokenClassifier, data: NerData, log: Log
) -> tuple[Fit, Prediction]:
    """Fit on the training split; return also the best epoch's view of the validation split."""
    gold = list(data.splits["validation"]["ner_tags"])
    lessons = _Lessons(config, tagger, data)
    validated: dict[int, Prediction] = {}
    embeddings = tagger.encoder.network.get_input_embeddings()
    embeddings.requires_grad_("embeddings" in lessons.extras)
    if "compiled" in lessons.extras:
        tagger.encoder.train_compiled()

    def validate() -> float:
        found = validated[lessons.epoch] = predict(tagger, data, "validation", config)
        return EntityScores().compute(predictions=found.tags, references=gold)["f1"]

    recipe = Recipe(
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        warmup_share=config.warmup_share,
        weight_decay=config.weight_decay,
        layer_decay=extras.LAYER_DECAY if "layer_decay" in lessons.extras else 1.0,
        new_scale=extras.HEAD_SCALE if "fast_head" in lessons.extras else 1.0,
        averaging=extras.AVERAGING if "averaging" in lessons.extras else 0.0,
        parts=extras.PARTS if "accumulation" in lessons.extras else 1,
        dtype=dtype(config, tagger.encoder),
    )
    done = fit(tagger, lessons.batches, lessons.loss, lessons.weight, validate, recipe, log)
    best = validated.get(done.best_epoch)  # not there where a process before trained that epoch
    return done, best or predict(tagger, data, "validation", config)


class _Lessons:
    """The training split as batches, and the loss of one."""

    def __init__(self, config: Config, tagger: TokenClassifier, data: NerData) -> None:
        self.extras = names(config.extras)
        self.tagger, self.batch_pieces = tagger, config.batch_pieces
        rows = data.splits["train"]
        labels = {label: index for index, label in enumerate(tagger.labels)}
        self.targets = [[labels[tag] for tag in tags] for tags in rows["ner_tags"]]
        segments = tagger.encoder.segments(list(rows["tokens"]), list(rows["document"]))
        self.weights: torch.Tensor | None = None
        if "class_weights" in self.extras:
            counts = np.bincount(np.concatenate(self.targets), minlength=len(labels))
            self.weights = torch.from_numpy(extras.class_weights(counts))
        self.windows = pack(segments, min(config.window_pieces, tagger.encoder.capacity))
        self.seed, self.epoch = config.seed, 0

    def batches(self, epoch: int) -> list[Batch]:
        """Those of an epoch from 1, the same whenever it is asked."""
        self.epoch = epoch
        chance = random.Random(f"{self.seed}/{epoch}")
        windows, tokenizer = self.windows, self.tagger.encoder.tokenizer
        if "masking" in self.extras:
            mask = tokenizer.mask_token_id
            mask = tokenizer.unk_token_id if mask is None else mask
            windows = masked(windows, extras.MASKED, mask, chance)
        groups = batches(windows, self.batch_pieces, shuffle=chance)
        return [self.tagger.encoder.collate(group) for group in groups]

    def weight(self, batch: Batch) -> float:
        """What the words of a batch count together."""
        if self.weights is None:
            return len(batch.words)
        return float(self.weights[self._target(batch)].sum())

    def _target(self, batch: Batch) -> torch.Tensor:
        places = zip(batch.sentences, batch.words, strict=True)
        return torch.tensor([self.targets[sentence][word] for sentence, word in places])

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean loss over the batch's words: cross-entropy, or what the CRF makes of it."""
        device = self.tagger.encoder.device
        target = self._target(batch).to(device, non_blocking=True)
        logits = self.tagger(batch).float()
        if self.tagger.crf:
            return self.tagger.crf.loss(logits, target, runs_of(batch.sentences, batch.words))
        smoothing = extras.SMOOTHING if "smoothing" in self.extras else 0.0
        cross_entropy = torch.nn.functional.cross_entropy
        if self.weights is None:
            return cross_entropy(logits, target, label_smoothing=smoothing)
        # torch would weigh what smoothing gives to each other label by that label's weight.
        each = cross_entropy(logits, target, label_smoothing=smoothing, reduction="none")
        weights = self.weights.to(device)[target]
        return (each * weights).sum() / weights.sum()


def dtype(config: Config, model: Encoder) -> torch.dtype:
    """That of matrix products."""
    return machine.precision(config.precision, model.device)
