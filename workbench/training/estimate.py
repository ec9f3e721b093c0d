"""What a training will take, from its largest batch: said before it starts."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workbench import ranks
from workbench.machine import peak_memory_mb
from workbench.result import duration
from workbench.training.recipe import Recipe
from workbench.training.steps import gradients

WORTH_STEPS = 100
"""Fewest steps of a training that is worth an estimate."""


def announce(
    model: nn.Module,
    batches: Sequence[Any],
    loss: Callable[[Any], Tensor],
    weight: Callable[[Any], float],
    recipe: Recipe,
    device: torch.device,
) -> None:
    """Print how long the epochs will take, and the memory that the largest batch took.

    Its gradients are computed twice, the second time by the clock, and thrown away: a GPU whose
    memory is too small shows now and not in the middle. Nothing is said of a short training.
    """
    steps = len(batches) * recipe.epochs
    if steps < WORTH_STEPS or ranks.count() > 1:
        return
    largest = max(batches, key=lambda batch: batch.attention_mask.numel())
    for _ in range(2):
        began = time.monotonic()
        float(gradients(model, largest, loss, weight, recipe, device))
        seconds = time.monotonic() - began
        model.zero_grad()
    speed = largest.pieces / seconds
    total = recipe.epochs * sum(batch.pieces for batch in batches) / speed
    kinds = ", ".join(f"{kind} {mb:,.0f} MiB" for kind, mb in peak_memory_mb(device).items())
    print(
        f"training: {steps:,} steps, about {duration(total)} at {speed:,.0f} pieces/s, scoring not "
        f"counted; memory so far: {kinds}",
        flush=True,
    )
