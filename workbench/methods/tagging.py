"""Scores of a token classifier for every word of sentences."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from workbench.core.machine import autocast
from workbench.methods.extras import AGREEMENT, VIEWS
from workbench.models.encoder import TokenClassifier
from workbench.models.windows import Segment, batches, pack

EVALUATION_TOKENS = 4096
Scores = list[NDArray[np.float32]]
"""Log-probabilities [words, labels] of each sentence."""


def tag_scores(
    tagger: TokenClassifier,
    sentences: Sequence[list[str]],
    documents: Sequence[int],
    *,
    window_tokens: int,
    dtype: torch.dtype,
    extras: Collection[str] = (),
    progress: str = "",
) -> Scores:
    """Log-probabilities [words, labels] of each sentence, read among its document's neighbours.

    Of the extras, "window_averaging" takes the mean over windows of several sizes, and
    "document_smoothing" averages the predictions of the same word in a document with weight .3.
    Both, and any window of more than one sentence, are transductive: a sentence's scores depend on
    the others given. `progress` names on screen what is scored. Raises RuntimeError if any word was
    left without.
    """
    segments = tagger.encoder.segments(list(sentences), list(documents))
    thirds = VIEWS if "window_averaging" in extras else (3,)
    limit = tagger.encoder.capacity
    sizes = dict.fromkeys(max(1, min(window_tokens * third // 3, limit)) for third in thirds)
    read = [_read(tagger, segments, sentences, size, dtype, progress) for size in sizes]
    scores = [_normalised(np.mean(views, axis=0)) for views in zip(*read, strict=True)]
    if "document_smoothing" in extras:
        scores = agreeing(scores, sentences, documents)
    if progress:
        print("\r".ljust(81) + "\r", end="", flush=True)
    return scores


def _read(
    tagger: TokenClassifier,
    segments: Sequence[Segment],
    sentences: Sequence[list[str]],
    window_tokens: int,
    dtype: torch.dtype,
    progress: str,
) -> Scores:
    """Log-probabilities under windows of one size."""
    grouped = batches(pack(segments, window_tokens), EVALUATION_TOKENS)
    scores = [np.full((len(words), len(tagger.labels)), np.nan, np.float32) for words in sentences]
    for number, windows in enumerate(grouped, 1):
        if progress:
            text = f"\r{progress}, windows of {window_tokens}: {number} of {len(grouped)} batches"
            print(text.ljust(80), end="", flush=True)
        batch = tagger.encoder.collate(windows)
        with torch.inference_mode(), autocast(dtype, tagger.encoder.device):
            logits = tagger(batch)
        found = logits.float().log_softmax(-1).cpu().numpy()
        for sentence, word, row in zip(batch.sentences, batch.words, found, strict=True):
            scores[sentence][word] = row
    if any(np.isnan(score).any() for score in scores):
        raise RuntimeError("a word was not predicted")
    return scores


def agreeing(scores: Scores, sentences: Sequence[list[str]], documents: Sequence[int]) -> Scores:
    """Each word's scores moved towards their mean over the document's occurrences of that word.

    A name is mostly of one type throughout a document: the label consistency of Krishnan and
    Manning 2006, "An Effective Two-Stage Model for Exploiting Non-Local Dependencies in Named
    Entity Recognition", section 2, here as a geometric mean of probabilities, not a second model.
    Letter case is ignored. The result is normalised again.
    """
    if not scores:
        return []
    places: dict[tuple[int, str], int] = {}
    groups = np.array(
        [
            places.setdefault((document, word.casefold()), len(places))
            for words, document in zip(sentences, documents, strict=True)
            for word in words
        ]
    )
    flat = np.concatenate(scores)
    sums = np.zeros((len(places), flat.shape[1]), np.float64)
    np.add.at(sums, groups, flat)
    means = sums / np.bincount(groups)[:, None]
    moved = _normalised((1 - AGREEMENT) * flat + AGREEMENT * means[groups])
    return np.split(moved, np.cumsum([len(words) for words in sentences])[:-1])


def _normalised(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Log-probabilities [words, labels] of logits."""
    return log_softmax(logits, axis=-1).astype(np.float32)
