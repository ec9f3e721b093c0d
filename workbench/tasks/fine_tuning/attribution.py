"""Which words of a text speak for the label that a classifier gave it: integrated gradients."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.methods.classifiers import Labelled, Probabilities, Reading
from workbench.models.text_classifier import TextClassifier

STEPS, AT_ONCE = 64, 16
SHOWN = 3
"""Texts that are right, and texts that are wrong."""


def study(
    model: TextClassifier, texts: Labelled, probabilities: Probabilities, reading: Reading
) -> list[dict[str, Any]]:
    """Words of some texts with what each adds to the logit of the label given, in float32.

    The texts are the most confident right one of each label given, and the most confident wrong
    one of each, at most three of either. `gap` is how far the words' sum is from the change of the
    logit between a text of padding and this one, which the sum should be (Sundararajan et
    al. 2017, "Axiomatic Attribution for Deep Networks", sections 3 and 5).
    """
    given = probabilities.argmax(axis=1)
    gold = np.array([model.labels.index(label) for label in texts.labels])
    found = []
    for right in (True, False):
        order = np.argsort(-probabilities.max(axis=1), kind="stable")
        most_confident: dict[int, int] = {}
        for row in order[(given == gold)[order] == right]:
            most_confident.setdefault(int(given[row]), int(row))
        for label, row in list(most_confident.items())[:SHOWN]:
            words, scores, gap = attribute(model, texts.texts[row], label, reading)
            found.append(
                {
                    "words": words,
                    "scores": scores,
                    "gap": gap,
                    "predicted": model.labels[label],
                    "gold": texts.labels[row],
                    "probability": float(probabilities[row, label]),
                }
            )
    return found


def attribute(
    model: TextClassifier, text: str, label: int, reading: Reading
) -> tuple[list[str], list[float], float]:
    """The words read of a text, what each adds to a label's logit, and the gap of their sum.

    The logit of several windows is their mean by tokens, and so is what their words add.
    """
    rows, windows = model.encoder.encode([text], reading.max_tokens)
    tokens: list[float] = []
    change = 0.0
    for row, fraction in zip(rows, windows.fractions.tolist(), strict=True):
        added, moved = _window(model, row, label)
        tokens += [fraction * each for each in added]
        change += fraction * moved
    words, scores = _by_word(model.encoder.tokenizer, text, tokens)
    return words, scores, abs(sum(scores) - change)


def _window(model: TextClassifier, row: Sequence[int], label: int) -> tuple[list[float], float]:
    """What each token of a window adds to a label's logit, and the change of that from a blank."""
    encoder = model.encoder
    ids = torch.tensor([row], device=encoder.device)
    table = encoder.network.get_input_embeddings()
    blank = torch.full_like(ids, encoder.tokenizer.pad_token_id)
    blank[:, [0, -1]] = ids[:, [0, -1]]
    with torch.no_grad():
        start, end = table(blank), table(ids)
    # The middle of each of STEPS equal parts of the way.
    way = (torch.arange(STEPS, device=ids.device) + 0.5)[:, None, None] / STEPS
    slopes = torch.zeros_like(start[0])
    for part in torch.split(way, AT_ONCE):
        points = (start + part * (end - start)).requires_grad_()
        (found,) = torch.autograd.grad(_logits(model, points)[:, label].sum(), points)
        slopes += found.sum(dim=0) / STEPS
    tokens = ((end - start)[0] * slopes).sum(-1)
    with torch.no_grad():
        before, after = _logits(model, torch.cat([start, end]))[:, label].tolist()
    return tokens[1:-1].tolist(), after - before


def _logits(model: TextClassifier, embedded: Tensor) -> Tensor:
    """Logits [B, L] of rows of word embeddings [B, T, H]."""
    ids = torch.zeros(embedded.shape[:2], dtype=torch.long, device=embedded.device)
    table = model.encoder.network.get_input_embeddings()
    handle = table.register_forward_hook(lambda *_: embedded)
    try:
        return model.head(model.encoder.pooled(ids, torch.ones_like(ids), model.attention))
    finally:
        handle.remove()


def _by_word(tokenizer: Any, text: str, tokens: Sequence[float]) -> tuple[list[str], list[float]]:
    """Sums over the tokens of each word between spaces; words not read are left out."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    places = encoded["offset_mapping"][: len(tokens)]
    words, scores = [], []
    for match in re.finditer(r"\S+", text):
        inside = [
            score
            for (start, end), score in zip(places, tokens, strict=True)
            if start < match.end() and end > match.start()
        ]
        if inside:
            words.append(match[0])
            scores.append(sum(inside))
    return words, scores
