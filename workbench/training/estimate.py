"""What a training will take, from its largest batch: said before it starts."""

import time
from collections.abc import Sequence
from typing import Any

from workbench import ranks
from workbench.machine import peak_memory_mb
from workbench.result import duration
from workbench.training.steps import Objective

WORTH_STEPS = 100
"""Fewest steps of a training that is worth an estimate."""


def announce(objective: Objective, batches: Sequence[Any]) -> None:
    """Print how long the epochs will take, and the memory that the largest batch took.

    Its gradients are computed twice, the second time by the clock, and thrown away: a GPU whose
    memory is too small shows now and not in the middle. Nothing is said of a short training.
    """
    epochs = objective.recipe.epochs
    steps = len(batches) * epochs
    if steps < WORTH_STEPS or ranks.count() > 1:
        return
    largest = max(batches, key=lambda batch: batch.attention_mask.numel())
    for _ in range(2):
        began = time.monotonic()
        with objective.memory_explained(largest.pieces):
            float(objective.gradients(largest))
        seconds = time.monotonic() - began
        objective.model.zero_grad()
    speed = largest.pieces / seconds
    total = epochs * sum(batch.pieces for batch in batches) / speed
    peak = peak_memory_mb(objective.device)
    kinds = ", ".join(f"{kind} {mb:,.0f} MiB" for kind, mb in peak.items())
    print(
        f"training: {steps:,} steps, about {duration(total)} at {speed:,.0f} pieces/s, scoring not "
        f"counted; memory so far: {kinds}",
        flush=True,
    )
