"""Scores of a token classifier for every word of sentences."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.machine import autocast
from workbench.models.encoder import TokenClassifier
from workbench.models.windows import batches, pack

EVALUATION_PIECES = 4096


def tag_scores(
    tagger: TokenClassifier,
    sentences: Sequence[list[str]],
    documents: Sequence[int],
    *,
    window_pieces: int,
    dtype: torch.dtype,
    progress: str = "",
) -> list[NDArray[np.float32]]:
    """Log-probabilities [words, labels] of each sentence, read among its document's neighbours.

    `progress` names on screen what is scored. Raises RuntimeError if any word was left without.
    """
    segments = tagger.encoder.segments(list(sentences), list(documents))
    capacity = min(window_pieces, tagger.encoder.capacity)
    grouped = batches(pack(segments, capacity), EVALUATION_PIECES)
    scores = [np.full((len(words), len(tagger.labels)), np.nan, np.float32) for words in sentences]
    for number, windows in enumerate(grouped, 1):
        if progress:
            text = f"\r{progress}: {number} of {len(grouped)} batches"
            print(text.ljust(80), end="", flush=True)
        batch = tagger.encoder.collate(windows)
        with torch.inference_mode(), autocast(dtype, tagger.encoder.device):
            found = tagger(batch).float().log_softmax(-1).cpu().numpy()
        for sentence, word, row in zip(batch.sentences, batch.words, found, strict=True):
            scores[sentence][word] = row
    if progress:
        print("\r".ljust(81) + "\r", end="", flush=True)
    if any(np.isnan(score).any() for score in scores):
        raise RuntimeError("a word was not predicted")
    return scores
