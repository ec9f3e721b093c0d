"""The empirical risk of a linear head, written out, beside what automatic differentiation says.

Of n texts with pooled hidden states h_i and labels y_i, the mean cross-entropy is
R(W, b) = -1/n sum_i log softmax(W h_i + b)[y_i], and with P the predicted probabilities and Y the
labels as rows of 0 and 1 its gradients are dR/dW = (P - Y)' h / n and dR/db = 1' (P - Y) / n
(Bishop 2006, "Pattern Recognition and Machine Learning", section 4.3.4).
"""

from collections.abc import Sequence

import numpy as np
import torch

from workbench.methods.classifiers import Labelled
from workbench.models.encoder import Encoder
from workbench.models.text_classifier import TextClassifier

TOLERANCE = 1e-4
"""Most that the two may differ by, in nats, with float32 on one side."""


def check(encoder: Encoder, labels: Sequence[str], batch: Labelled) -> dict[str, float]:
    """Compare risk and gradients on a real batch's first windows; RuntimeError where they differ.

    Gives `texts`, both risks in nats, and the largest difference of a gradient's entry.
    """
    model = TextClassifier(encoder, labels)
    head = model.head
    assert isinstance(head, torch.nn.Linear)
    torch.nn.init.normal_(head.weight, std=1.0)  # a head that is sure, so often wrong
    encoded, windows = encoder.encode(batch.texts, encoder.capacity)
    inputs = model.collate(encoded, windows.turn(0).tolist())
    places = [list(labels).index(label) for label in batch.labels]
    hidden = model.encoder.pooled(inputs.input_ids, inputs.attention_mask)
    target = torch.tensor(places, device=hidden.device)
    automatic = torch.nn.functional.cross_entropy(head(hidden), target)
    gradients = torch.autograd.grad(automatic, [head.weight, head.bias])
    automatic_nats = float(automatic.detach())
    written, by_hand = _written(
        hidden.detach().cpu().double().numpy(),
        head.weight.detach().cpu().double().numpy(),
        head.bias.detach().cpu().double().numpy(),
        np.eye(len(labels))[places],
    )
    gap = max(
        float(np.abs(found.cpu().numpy() - expected).max())
        for found, expected in zip(gradients, by_hand, strict=True)
    )
    if max(abs(automatic_nats - written), gap) > TOLERANCE:
        raise RuntimeError(f"written risk {written} and gradients differ from autograd's by {gap}")
    return {
        "texts": len(places),
        "written_nats": written,
        "automatic_nats": automatic_nats,
        "gradient_gap": gap,
    }


def _written(
    hidden: np.ndarray, weight: np.ndarray, bias: np.ndarray, one_hot: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """Risk and its gradients by weight [L, H] and bias [L], of hidden [N, H], one_hot [N, L]."""
    logits = hidden @ weight.T + bias
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    risk = -float(np.log((probabilities * one_hot).sum(axis=1)).mean())
    wrong = (probabilities - one_hot) / len(one_hot)
    return risk, [wrong.T @ hidden, wrong.sum(axis=0)]
