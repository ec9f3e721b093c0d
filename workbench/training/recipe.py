"""How to train: numbers that say all, and the learning rate that follows from them."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Recipe:
    """How to train. Shares are of all steps."""

    epochs: int
    learning_rate: float
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    """Of AdamW; a short memory of squares suits runs of some hundred steps."""
    max_grad_norm: float = 1.0
    layer_decay: float = 1.0
    """Learning rate of a layer as a fraction of that of the layer above; the word embeddings are
    below the lowest (Howard and Ruder 2018, "Universal Language Model Fine-tuning", section 3.2,
    "discriminative fine-tuning"). A pretrained weight whose name tells
    no layer learns as the highest do."""
    new_scale: float = 1.0
    """Learning rate of what was not pretrained, as a multiple of the highest layer's."""
    averaging: float = 0.0
    """Decay of the exponential moving average of the weights, 0 for none. The average is what
    is scored and kept (Polyak and Juditsky 1992; decay as in Tan and Le 2019)."""
    parts: int = 1
    """Parts in which a batch is read: the same step, with one part's activations held at once."""
    dtype: torch.dtype = torch.float32

    def rate_at(self, progress: float) -> float:
        """The learning rate at `progress` 0..1 of all steps."""
        return self.learning_rate * learning_rate_scale(progress, self.warmup_fraction)


def learning_rate_scale(progress: float, warmup_fraction: float) -> float:
    """Fraction of the full learning rate at `progress` 0..1: linear up, then linear down to 0.

    >>> [learning_rate_scale(progress, 0.5) for progress in (0.25, 0.5, 0.75, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup_fraction:
        return progress / warmup_fraction
    return (1 - progress) / (1 - warmup_fraction)
