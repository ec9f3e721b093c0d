"""The training loop: AdamW, warm-up and linear decay, clipping, autocast, early best kept."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench import ranks
from workbench.errors import TrainingError
from workbench.machine import autocast
from workbench.result import HISTORY

REPORT_EVERY_S = 5.0


class Log:
    """Training reports: kept, appended to the run's `metrics.jsonl`, and shown as they come.

    A report within an epoch overwrites the one before on screen; an epoch's last line stays if it
    has a score to choose by, or is the last of all.
    """

    method = ""
    """What is being trained, where a run trains more than one."""

    def __init__(self, directory: Path | None) -> None:
        self.records: list[dict[str, Any]] = []
        self.path = directory / HISTORY if directory else None

    def __call__(self, record: dict[str, Any]) -> None:
        """Take one record of an epoch's `step` or of an `epoch`'s end."""
        record = {"method": self.method} | record
        self.records.append(record)
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(record, allow_nan=False) + "\n")
        if record["event"] == "step":
            text = (
                "epoch {epoch} of {epochs}, step {step} of {steps}: loss {loss:.3f}, "
                "{pieces_per_s:,.0f} pieces/s, {seconds_left:,.0f} s to go"
            )
        else:
            text = "epoch {epoch}: training loss {train_loss:.3f}"
            text += "" if record["score"] is None else ", validation score {score:.4f}"
        text = f"{self.method}, {text}" if self.method else text
        stays = record["event"] == "epoch" and (
            record["score"] is not None or record["epoch"] == record["epochs"]
        )
        print("\r" + text.format(**record).ljust(80), end="\n" if stays else "", flush=True)


@dataclass(frozen=True)
class Recipe:
    """How to train. Shares are of all steps."""

    epochs: int
    learning_rate: float
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    """Of AdamW; a short memory of squares suits runs of some hundred steps."""
    max_grad_norm: float = 1.0
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Fit:
    """What training did."""

    best_epoch: int
    best_score: float | None
    """Its score; None where nothing was evaluated."""
    seconds: float
    """Wall time of the steps, evaluations not counted."""
    steps: int
    pieces: int


def learning_rate_scale(progress: float, warmup_share: float) -> float:
    """Share of the full learning rate at `progress` 0..1: linear up, then linear down to 0.

    >>> [learning_rate_scale(progress, 0.5) for progress in (0.25, 0.5, 0.75, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup_share:
        return progress / warmup_share
    return (1 - progress) / (1 - warmup_share)


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

    `epoch_batches(epoch)` gives the epoch's batches in order, each with its number of `pieces`
    (padding not counted), `loss(batch)` the mean loss of one and `weight(batch)` what that mean
    was divided by, `evaluate()` a score to make large; without it the last epoch is kept. `log`
    gets one record a report and one an epoch. Raises TrainingError when the loss is not finite.

    Where several processes train together each takes its part of every batch (`ranks`).
    """
    ranks.join(model)
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe), betas=recipe.betas, fused=True)
    device = next(model.parameters()).device
    best_epoch, best_score, best_weights = 0, -math.inf, {}
    steps = pieces = 0
    seconds = 0.0
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        batches = epoch_batches(epoch)
        meter = _Meter(log, epoch, len(batches), recipe.epochs, device)
        for index, batch in enumerate(batches):
            progress = (epoch - 1 + (index + 0.5) / len(batches)) / recipe.epochs
            scale = learning_rate_scale(progress, recipe.warmup_share)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * scale
            meter.add(step(model, optimizer, batch, loss, weight, recipe, device), batch.pieces)
        steps += len(batches)
        pieces += meter.pieces
        seconds += meter.seconds
        model.eval()
        score = ranks.agreed(evaluate()) if evaluate else None
        record = {"event": "epoch", "epoch": epoch, "epochs": recipe.epochs}
        log(record | {"train_loss": meter.mean, "score": score})
        if score is None:
            best_epoch = epoch
        elif score > best_score:
            best_epoch, best_score = epoch, score
            best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    if best_weights:
        model.load_state_dict(best_weights)
    return Fit(best_epoch, best_score if evaluate else None, seconds, steps, pieces)


def step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Any,
    loss: Callable[[Any], Tensor],
    weight: Callable[[Any], float],
    recipe: Recipe,
    device: torch.device,
) -> Tensor:
    """One optimiser step; the loss stays on the device, so that nothing waits for it."""
    value = gradients(model, batch, loss, weight, recipe, device)
    nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()
    return value


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


class _Meter:
    """Loss and speed of one epoch, read from the device only when a report is due."""

    seconds = 0.0
    mean = math.nan
    """Mean loss of the epoch so far."""

    def __init__(self, log: Log, epoch: int, steps: int, epochs: int, device: torch.device) -> None:
        self.log, self.epoch, self.steps, self.epochs = log, epoch, steps, epochs
        self.total = torch.zeros((), device=device)
        self.seen = 0.0
        self.done = self.pieces = self.shown = 0
        self.began = self.reported = time.monotonic()

    def add(self, loss: Tensor, pieces: int) -> None:
        """Count one step; its loss is not read yet."""
        self.total += loss
        self.done += 1
        self.pieces += pieces
        # The first process alone looks in between: it is then the one that says what went wrong.
        due = time.monotonic() - self.reported >= REPORT_EVERY_S and ranks.rank() == 0
        if self.done == self.steps or due:
            self.report()

    def report(self) -> None:
        """Log the mean loss since the last report, speed and time to go."""
        total = float(self.total)
        recent = (total - self.seen) / (self.done - self.shown)
        self.seen, self.shown, self.mean = total, self.done, total / self.done
        self.reported = time.monotonic()
        self.seconds = self.reported - self.began
        if not math.isfinite(recent):
            raise TrainingError(
                f"the loss is {recent} in epoch {self.epoch}, at or before step {self.done}",
                expected="a finite loss",
                do="lower learning_rate, or look for damaged rows in the data",
            )
        left = (self.steps * (self.epochs - self.epoch + 1) - self.done) / self.done
        self.log(
            {
                "event": "step",
                "epoch": self.epoch,
                "epochs": self.epochs,
                "step": self.done,
                "steps": self.steps,
                "loss": recent,
                "pieces_per_s": self.pieces / self.seconds,
                "seconds_left": left * self.seconds,
            }
        )
