"""Fit a tagger of words on tagged sentences, and tag with it."""

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
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.windows import Batch, batches, pack
from workbench.record import iob
from workbench.record.metrics import EntityScores, Tags
from workbench.training import Fit, Log, Recipe, fit

SAMPLED_WINDOWS = 256
"""Training windows whose states say by what the head standardises them."""


@dataclass(frozen=True)
class Settings:
    """How a tagger is trained, and how sentences are read."""

    epochs: int = 2
    learning_rate: float = 4e-4
    """Highest learning rate of AdamW, reached after warm-up."""
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    batch_tokens: int = 640
    """Maximum number of tokens in a training batch, padding counted."""
    window_tokens: int = 96
    """Tokens of a document's neighbouring sentences read together."""
    extras: str = ""
    """Additions to the recipe, comma-separated names of `extras.TAGGER`."""
    precision: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Prediction:
    """What a tagger says of a split, a list a sentence."""

    tags: list[list[str]]
    """The best valid IOB2 sequence."""
    argmax: list[list[str]]
    """The best tag of each word by itself, valid or not."""
    losses: list[float]
    """Mean cross-entropy of each sentence's gold tags in nats."""
    confidence: list[list[float]]
    """Probability of each tag of `tags`."""


def predict(tagger: TokenClassifier, data: NerData, split: str, settings: Settings) -> Prediction:
    """Tag every word of a split. Raises RuntimeError if any word was left without."""
    scores = scored(tagger, data, split, settings)
    tags = [iob.decode(score, tagger.labels) for score in scores]
    gold = _logs(scores, data.splits[split]["ner_tags"], tagger.labels)
    return Prediction(
        tags=tags,
        argmax=[[tagger.labels[best] for best in score.argmax(axis=1)] for score in scores],
        losses=[-float(logs.mean()) for logs in gold],
        confidence=[np.exp(logs).tolist() for logs in _logs(scores, tags, tagger.labels)],
    )


def scored(
    tagger: TokenClassifier, data: NerData, split: str, settings: Settings
) -> list[NDArray[np.float32]]:
    """Log-probabilities [words, labels] of each sentence of a split."""
    rows = data.splits[split]
    return tag_scores(
        tagger,
        list(rows["tokens"]),
        list(rows["document"]),
        window_tokens=settings.window_tokens,
        dtype=dtype(settings, tagger.encoder),
        extras=names(settings.extras),
        progress=f"scoring {split} of {data.source.name}",
    )


def tags_alone(tagger: TokenClassifier, data: NerData, split: str, settings: Settings) -> Tags:
    """Return the best valid tags of a split where each sentence is read by itself, in one pass.

    No neighbours, no other window sizes, no document for predictions to agree over: what the
    tagger says where a sentence is all that it is given.
    """
    sentences = list(data.splits[split]["tokens"])
    scores = tag_scores(
        tagger,
        sentences,
        range(len(sentences)),
        window_tokens=settings.window_tokens,
        dtype=dtype(settings, tagger.encoder),
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
    settings: Settings, tagger: TokenClassifier, data: NerData, log: Log
) -> tuple[Fit, Prediction]:
    """Fit on the training split; return also the best epoch's view of the validation split."""
    gold = list(data.splits["validation"]["ner_tags"])
    batches = _TrainingBatches(settings, tagger, data)
    validated: dict[int, Prediction] = {}
    embeddings = tagger.encoder.network.get_input_embeddings()
    embeddings.requires_grad_("embeddings" in batches.extras)
    if "compiled" in batches.extras:
        tagger.encoder.train_compiled()

    def validate() -> float:
        found = validated[batches.epoch] = predict(tagger, data, "validation", settings)
        return EntityScores().compute(predictions=found.tags, references=gold)["f1"]

    recipe = Recipe(
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        warmup_fraction=settings.warmup_fraction,
        weight_decay=settings.weight_decay,
        layer_decay=extras.LAYER_DECAY if "layer_decay" in batches.extras else 1.0,
        new_scale=extras.HEAD_SCALE if "head_rate" in batches.extras else 1.0,
        averaging=extras.AVERAGING if "averaging" in batches.extras else 0.0,
        parts=extras.PARTS if "accumulation" in batches.extras else 1,
        dtype=dtype(settings, tagger.encoder),
    )
    tagger.head.standardise(batches.sampled_states(recipe.dtype))
    done = fit(tagger, batches.batches, batches.loss, batches.weight, validate, recipe, log)
    best = validated.get(done.best_epoch)  # not there where a process before trained that epoch
    return done, best or predict(tagger, data, "validation", settings)


class _TrainingBatches:
    """The training split as batches, and the loss of one."""

    def __init__(self, settings: Settings, tagger: TokenClassifier, data: NerData) -> None:
        self.extras = names(settings.extras)
        self.tagger, self.batch_tokens = tagger, settings.batch_tokens
        rows = data.splits["train"]
        labels = {label: index for index, label in enumerate(tagger.labels)}
        self.targets = [[labels[tag] for tag in tags] for tags in rows["ner_tags"]]
        segments = tagger.encoder.segments(list(rows["tokens"]), list(rows["document"]))
        self.windows = pack(segments, min(settings.window_tokens, tagger.encoder.capacity))
        self.seed, self.epoch = settings.seed, 0

    def batches(self, epoch: int) -> list[Batch]:
        """Those of an epoch from 1, the same whenever it is asked."""
        self.epoch = epoch
        chance = random.Random(f"{self.seed}/{epoch}")
        windows, tokenizer = self.windows, self.tagger.encoder.tokenizer
        if "token_masking" in self.extras:
            mask = tokenizer.mask_token_id
            mask = tokenizer.unk_token_id if mask is None else mask
            windows = masked(windows, extras.MASKED, mask, chance)
        groups = batches(windows, self.batch_tokens, shuffle=chance)
        return [self.tagger.encoder.collate(group) for group in groups]

    def sampled_states(self, dtype: torch.dtype) -> torch.Tensor:
        """States [N, H] of the words of some training windows, spread evenly over all of them."""
        some = self.windows[:: max(1, len(self.windows) // SAMPLED_WINDOWS)]
        encoder = self.tagger.encoder
        with torch.inference_mode(), machine.autocast(dtype, encoder.device):
            found = [encoder(encoder.collate(g)).float() for g in batches(some, self.batch_tokens)]
        return torch.cat(found)

    def weight(self, batch: Batch) -> float:
        """How many words a batch has."""
        return len(batch.words)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean cross-entropy over the batch's words."""
        places = zip(batch.sentences, batch.words, strict=True)
        target = torch.tensor([self.targets[sentence][word] for sentence, word in places])
        target = target.to(self.tagger.encoder.device, non_blocking=True)
        return torch.nn.functional.cross_entropy(self.tagger(batch).float(), target)


def dtype(settings: Settings, model: Encoder) -> torch.dtype:
    """That of matrix products."""
    return machine.precision(settings.precision, model.device)
