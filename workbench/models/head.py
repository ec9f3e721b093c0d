"""The linear head of a classifier of words or texts."""

import torch
from torch import Tensor, nn


class Head(nn.Linear):
    """Scores [..., labels] of states [..., width], which may be standardised by fixed numbers."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, labels: int) -> None:
        super().__init__(width, labels)
        nn.init.normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))

    def standardise(self, states: Tensor) -> None:
        """From now on take off the mean of states [N, width] and divide by their mean deviation.

        The states of a pretrained encoder share a direction, and a large part of their length,
        that says nothing of a token (Mu and Viswanath 2018, "All-but-the-Top", section 2): a head
        on the states as they are learns little else for hundreds of steps (docs/log.md).
        """
        self.mean.copy_(states.mean(0))
        self.scale.copy_(states.std(0, correction=0).mean().clamp(min=1e-6))

    def forward(self, states: Tensor) -> Tensor:
        """Logits [..., labels]."""
        return super().forward((states - self.mean) / self.scale)

    def folded(self) -> dict[str, Tensor]:
        """Weight and bias of the linear layer that gives the same scores of the states as such."""
        weight = self.weight / self.scale
        return {"weight": weight.detach(), "bias": (self.bias - weight @ self.mean).detach()}
