"""What a training will take, from its largest batch: said before it starts."""

import time
from collections.abc import Sequence
from typing import Any

from workbench.core import distributed
from workbench.core.machine import peak_memory_mb
from workbench.record.result import duration
from workbench.training.steps import Objective

WORTH_STEPS = 30
"""Fewest steps of a training that is worth an estimate."""
ADAM_BYTES = 8
"""AdamW keeps two numbers a trained weight, in float32."""


def announce(objective: Objective, batches: Sequence[Any]) -> None:
    """Print how long all epochs take at least, and how much memory.

    The gradients of the largest batch are computed twice, the second time by the clock, and thrown
    away: a GPU too small for them shows now. AdamW's own time is not in it; its memory is added.
    On a processor that is the least: its allocator keeps parts of batches of other shapes, up to
    three times as much in a long training. Nothing is said of a short training, nor where several
    processes train together.
    """
    epochs = objective.recipe.epochs
    steps = len(batches) * epochs
    if steps < WORTH_STEPS or distributed.count() > 1:
        return
    largest = max(batches, key=lambda batch: batch.attention_mask.numel())
    for _ in range(2):
        began = time.monotonic()
        with objective.memory_explained(largest.tokens):
            float(objective.gradients(largest))
        seconds = time.monotonic() - began
        objective.model.zero_grad()
    speed = largest.tokens / seconds
    total = epochs * sum(batch.tokens for batch in batches) / speed
    trained = sum(p.numel() for p in objective.model.parameters() if p.requires_grad)
    adam = ADAM_BYTES * trained / (1 << 20)
    peak = peak_memory_mb(objective.device)
    kind, about = ("gpu", "about") if "gpu" in peak else ("resident", "at least")
    print(
        f"training: {steps:,} steps, {duration(total)} or a little more at {speed:,.0f} tokens/s, "
        f"scoring not counted; {about} {peak[kind] + adam:,.0f} MiB {kind} memory",
        flush=True,
    )
