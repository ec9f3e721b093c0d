"""The running mean of a model's weights over the steps of its training."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of the trained weights; nothing where `share` is 0.

    A step keeps at most `share` of the mean, fewer in the first steps, so that where training began
    is soon forgotten: the smaller of `share` and (1 + t) / (10 + t) after t steps.
    """

    def __init__(self, model: nn.Module, fraction: float) -> None:
        self.fraction = fraction
        self.weights = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and fraction
        }
        self.means = {name: weight.detach().clone() for name, weight in self.weights.items()}

    def go_on(self, means: dict[str, Tensor]) -> None:
        """Take the means of a training that was cut off."""
        for name, value in means.items():
            self.means[name].copy_(value)

    @torch.no_grad()
    def add(self, steps: int) -> None:
        """Count the weights in, after `steps` steps before."""
        if self.means:
            new = 1 - min(self.fraction, (1 + steps) / (10 + steps))
            torch._foreach_lerp_(list(self.means.values()), list(self.weights.values()), new)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The model with the means as its weights, for as long as this lasts."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, weight in self.weights.items():
            weight.data, self.means[name] = self.means[name], weight.data
