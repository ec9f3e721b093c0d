"""The training loop: AdamW, warm-up and linear decay, clipping, autocast, early best kept.

Rates may fall from layer to layer, and the running mean of the weights may be what is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core import distributed
from workbench.training.averaging import Average
from workbench.training.estimate import announce
from workbench.training.log import Log, Meter
from workbench.training.recipe import Recipe
from workbench.training.steps import Objective, parameter_groups

__all__ = ["Fit", "Log", "Recipe", "fit"]


@dataclass(frozen=True)
class Fit:
    """What training did."""

    best_epoch: int
    best_score: float | None
    """Its score; None where nothing was evaluated."""
    seconds: float
    """Wall time of the steps, evaluations not counted."""
    steps: int
    tokens: int


def fit(
    model: nn.Module,
    epoch_batches: Callable[[int], Sequence[Any]],
    loss: Callable[[Any], Tensor],
    weight: Callable[[Any], float],
    evaluate: Callable[[], float] | None,
    recipe: Recipe,
    log: Log,
) -> Fit:
    """Train `model` in place and leave it with the weights of its best epoch.

    `epoch_batches(epoch)` gives the epoch's batches in order, the same whenever it is asked, each
    with its number of `tokens` (padding not counted) and its `items`; `loss(batch)` the mean loss
    of one and `weight(batch)` what that mean was divided by, `evaluate()` a score to make large;
    without it the last epoch is kept. What is minimised, and reported for an epoch, is the mean
    over all its texts or words: a batch's loss is scaled by its weight over that of the mean batch.
    `log` gets one record a report and one an epoch. A run in batch resumes from its last good
    checkpoint. Raises TrainingError when a loss or a gradient is not finite, with the batch's items
    in `failed_batch.json`, or when a GPU's memory is full.

    Where several processes train together each takes its part of every batch (`core.distributed`).
    """
    distributed.join(model)
    state = _TrainerState(Objective(model, loss, weight, recipe), log)
    for _ in range(state.progress.epoch, recipe.epochs + 1):
        state.train(epoch_batches)
        with state.average.in_place():
            state.judge(distributed.agreed(evaluate()) if evaluate else None)
        if state.checkpoints.due:
            state.keep()
    state.checkpoints.say_unwritten()
    if state.best:
        model.load_state_dict(state.best)
    done = state.progress
    return Fit(done.best_epoch, done.best_score, done.seconds, done.steps, done.tokens)


class _TrainerState:
    """A training from its beginning, or from its last good checkpoint, epoch by epoch."""

    def __init__(self, objective: Objective, log: Log) -> None:
        self.objective, self.log = objective, log
        self.model, self.recipe = objective.model, objective.recipe
        groups = parameter_groups(self.model, self.recipe)
        self.optimizer = torch.optim.AdamW(groups, betas=self.recipe.betas, fused=True)
        self.checkpoints = log.checkpoints()
        self.average = Average(self.model, self.recipe.averaging)
        self.progress, kept = self.checkpoints.load(self.model, self.optimizer)
        self.best = kept["best"]
        self.average.go_on(kept["average"])
        self.reported_before = len(log.records)
        log.go_on(self.progress.records)

    def train(self, epoch_batches: Callable[[int], Sequence[Any]]) -> None:
        """Do the steps of the next epoch that are not done yet."""
        self.model.train()
        recipe, progress = self.recipe, self.progress
        meter = Meter(self.log, progress, recipe, epoch_batches)
        if not progress.steps:
            with meter.paused():
                announce(self.objective, meter.batches)
        count, divisor = len(meter.batches), self.objective.mean_weight(meter.batches)
        for index in range(progress.step, count):
            rate = recipe.rate_at((progress.epoch - 1 + (index + 0.5) / count) / recipe.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            batch = meter.batches[index]
            values = self.objective.step(self.optimizer, batch, divisor)
            self.average.add(progress.steps + index - progress.step)
            meter.add(values, batch.tokens)
            if self.checkpoints.due and index + 1 < count:
                meter.report()
                self.keep()
        self.model.eval()

    def judge(self, score: float | None) -> None:
        """End the epoch with its score on held-out data; keep its weights if it is the best."""
        progress, epoch = self.progress, self.progress.epoch
        record = {"event": "epoch", "epoch": epoch, "epochs": self.recipe.epochs}
        self.log(record | {"train_loss": progress.loss / progress.step, "score": score})
        if score is None or progress.best_score is None or score > progress.best_score:
            progress.best_epoch, progress.best_score = epoch, score
            if score is not None or self.average.means:  # else the last weights are in place
                self.best = {name: value.clone() for name, value in self.model.state_dict().items()}
        progress.epoch, progress.step, progress.loss = epoch + 1, 0, 0.0

    def keep(self) -> None:
        """Write a checkpoint."""
        self.progress.records = self.log.records[self.reported_before :]
        kept = {"best": self.best, "average": self.average.means}
        self.checkpoints.save(self.progress, self.model, self.optimizer, kept)
