"""One step of training: gradients of a batch's mean loss, clipped, and AdamW."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from workbench import ranks
from workbench.errors import TrainingError
from workbench.machine import autocast
from workbench.training.recipe import Recipe


def step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Any,
    loss: Callable[[Any], Tensor],
    weight: Callable[[Any], float],
    recipe: Recipe,
    device: torch.device,
) -> Tensor:
    """One optimiser step; its loss and the norm of its gradients before clipping [2].

    They stay on the device, so that nothing waits for them.
    """
    with _memory_explained(device, batch.pieces):
        value = gradients(model, batch, loss, weight, recipe, device)
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    return torch.stack([value, norm])


@contextlib.contextmanager
def _memory_explained(device: torch.device, pieces: int) -> Iterator[None]:
    """Say of a GPU whose memory is full what was asked of it, and what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        held = ""
        if device.type == "cuda":
            free, total = (size / (1 << 20) for size in torch.cuda.mem_get_info(device))
            held = f", {free:,.0f} of {total:,.0f} MiB free"
        raise TrainingError(
            f"the GPU's memory is full in a batch of {pieces:,} pieces{held}",
            do="lower batch_pieces, or the length of what is read at once",
        ) from error


def gradients(
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any], Tensor],
    weight: Callable[[Any], float],
    recipe: Recipe,
    device: torch.device,
) -> Tensor:
    """Leave the gradients of the batch's mean loss in the parameters, and return that loss."""
    value = torch.zeros((), device=device)
    part = ranks.part(batch)
    if part is not None:
        with autocast(recipe.dtype, device):
            value = loss(part)
            if ranks.count() > 1:  # the sum over all parts is the mean over the batch
                value = value * (weight(part) / weight(batch))
        value.backward()  # type: ignore[no-untyped-call]
    value = value.detach()
    return ranks.add_up(list(model.parameters()), value) if ranks.count() > 1 else value


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Trainable parameters, weight decay on matrices only (not on biases and norms)."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
