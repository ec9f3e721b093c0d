"""One step of training: gradients of a batch's loss, clipped, and AdamW."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core import distributed
from workbench.core.errors import TrainingError
from workbench.core.machine import autocast
from workbench.training.recipe import Recipe

PRETRAINED = "network."
"""In the name of every pretrained parameter: what an encoder calls the model that it holds."""


@dataclass(frozen=True)
class Objective:
    """What training makes small: a model's mean loss over its items, and how its steps are made."""

    model: nn.Module
    loss: Callable[[Any], Tensor]
    """The mean loss of a batch."""
    weight: Callable[[Any], float]
    """What that mean was divided by: how many texts or words the batch holds, or their weights."""
    recipe: Recipe

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def mean_weight(self, batches: Sequence[Any]) -> float:
        """What a batch holds on average: each item of an epoch counts alike when divided by it.

        Batches hold about equally many tokens, so one of short texts holds more of them; by the
        mean of its own batch a short text would count less than a long one.
        """
        return sum(map(self.weight, batches)) / len(batches)

    def step(
        self, optimizer: torch.optim.Optimizer, batch: Any, divisor: float | None = None
    ) -> Tensor:
        """One optimiser step; the batch's loss and its gradients' norm before clipping [2].

        They stay on the device, so that nothing waits for them. `divisor` as for `gradients`.
        """
        with self.memory_explained(batch.tokens):
            value = self.gradients(batch, divisor)
            limit = self.recipe.max_grad_norm
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
            optimizer.step()
            optimizer.zero_grad()
        return torch.stack([value, norm])

    def gradients(self, batch: Any, divisor: float | None = None) -> Tensor:
        """Leave the gradients of the batch's loss in the parameters, and return that loss.

        The loss is the sum over the batch's items by `divisor`, or their mean without one.
        """
        divisor = divisor or self.weight(batch)
        total = torch.zeros((), device=self.device)
        for part in self._parts(distributed.part(batch)):
            with autocast(self.recipe.dtype, self.device):
                value = self.loss(part) * (self.weight(part) / divisor)
            value.backward()  # type: ignore[no-untyped-call]
            total += value.detach()
        alone = distributed.count() == 1
        return total if alone else distributed.add_up(list(self.model.parameters()), total)

    def _parts(self, batch: Any) -> list[Any]:
        """The parts in which a batch is read; none of what is None."""
        count = self.recipe.parts
        if batch is None or count == 1:
            return [] if batch is None else [batch]
        parts = (batch.part(index, count) for index in range(count))
        return [part for part in parts if part is not None]

    @contextlib.contextmanager
    def memory_explained(self, tokens: int) -> Iterator[None]:
        """Say of a GPU whose memory is full what was asked of it, and what to do."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            held = ""
            if self.device.type == "cuda":
                free, total = (size / (1 << 20) for size in torch.cuda.mem_get_info(self.device))
                held = f", {free:,.0f} of {total:,.0f} MiB free"
            raise TrainingError(
                f"the GPU's memory is full in a batch of {tokens:,} tokens{held}",
                do="lower batch_tokens, or the length of what is read at once",
            ) from error


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Trainable parameters, weight decay on matrices only (not on biases and norms).

    `scale` is their fraction of the recipe's learning rate.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    depths = {name: _depth(name) for name, _ in trained}
    highest = max((depth for depth in depths.values() if depth is not None), default=0)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in trained:
        depth = depths[name]
        below = 0 if depth is None else highest - depth
        scale = recipe.layer_decay**below if PRETRAINED in name else recipe.new_scale
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        empty = {"params": [], "weight_decay": decay, "scale": scale}
        groups.setdefault((scale, decay), empty)["params"].append(parameter)
    return list(groups.values())


def _depth(name: str) -> int | None:
    """Layer of a parameter, the word embeddings being -1; None where its name does not say.

    >>> names = ("embeddings.norm", "encoder.layer.2.w", "h.3.attn.w", "final_norm.weight")
    >>> [_depth(f"encoder.network.{name}") for name in names]
    [-1, 2, 3, None]
    """
    if found := re.search(r"\.(?:layers?|h|blocks?|\w+_layers|\w+_groups)\.(\d+)\.", name):
        return int(found[1])
    return -1 if re.search(r"\b(\w*embeddings?|embed_tokens|wte)\b", name) else None
