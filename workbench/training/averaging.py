"""Exponential moving average (EMA) of a model's weights over the steps of its training."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """EMA of the trained weights; nothing where `decay` is 0.

    The decay is smaller in the first steps, so that where training began is soon forgotten: the
    smaller of `decay` and (1 + t) / (10 + t) after t steps. Weights that are not trained have no
    copy, which is why this is not `swa_utils.AveragedModel`.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and decay
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
            decay = min(self.decay, (1 + steps) / (10 + steps))
            average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            average(list(self.means.values()), list(self.weights.values()), steps)

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
