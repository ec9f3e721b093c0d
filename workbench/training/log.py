"""What a training reports, as it comes: on screen, kept, and in the run's `metrics.jsonl`."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.core import distributed
from workbench.core.errors import TrainingError
from workbench.core.files import write_json
from workbench.record.result import CHECKPOINTS, HISTORY, STATE
from workbench.training.checkpoints import Checkpoints, Progress
from workbench.training.recipe import Recipe

REPORT_EVERY_S = 5.0
FAILED_BATCH = "failed_batch.json"
"""In the run directory: the items of a batch whose loss or gradient was not finite."""


class Log:
    """Training reports: kept, appended to the run's `metrics.jsonl`, and shown as they come.

    A report within an epoch overwrites the one before on screen; an epoch's last line stays if it
    has a score to choose by, or is the last of all.
    """

    method = ""
    """What is being trained, where a run trains more than one."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.records: list[dict[str, Any]] = []
        self.trainings = 0
        self.unwritten = 0
        """How many records could not be appended."""

    def __call__(self, record: dict[str, Any]) -> None:
        """Take one record of an epoch's `step` or of an `epoch`'s end."""
        record = {"method": self.method} | record
        self.records.append(record)
        self._write(record)
        if record["event"] == "step":
            text = (
                "epoch {epoch} of {epochs}, step {step} of {steps}: loss {loss:.3f}, "
                "{tokens_per_s:,.0f} tokens/s, {seconds_left:,.0f} s to go"
            )
        else:
            text = "epoch {epoch}: training loss {train_loss:.3f}"
            text += "" if record["score"] is None else ", validation score {score:.4f}"
        text = f"{self.method}, {text}" if self.method else text
        stays = record["event"] == "epoch" and (
            record["score"] is not None or record["epoch"] == record["epochs"]
        )
        print("\r" + text.format(**record).ljust(80), end="\n" if stays else "", flush=True)

    def checkpoints(self) -> Checkpoints:
        """Those of the next training of the run: none by hand, where nothing is begun again."""
        self.trainings += 1
        if not self.directory or not (self.directory / STATE).exists():
            return Checkpoints(None)
        return Checkpoints(self.directory / CHECKPOINTS / str(self.trainings))

    def go_on(self, records: list[dict[str, Any]]) -> None:
        """Take what a training reported before it was cut off."""
        for record in records:
            self.records.append(record)
            self._write(record)

    def _write(self, record: dict[str, Any]) -> None:
        if not self.directory:
            return
        line = json.dumps(record, allow_nan=False) + "\n"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with (self.directory / HISTORY).open("a", encoding="utf-8") as lines:
                lines.write(line)
        except OSError as error:
            # All records are kept in memory and written with the result: training goes on.
            if not self.unwritten:
                print(f"\n{HISTORY} can't be written, training goes on: {error}", flush=True)
            self.unwritten += 1


class Meter:
    """Loss and speed of one epoch, read from the device only when a report is due."""

    def __init__(
        self,
        log: Log,
        progress: Progress,
        recipe: Recipe,
        epoch_batches: Callable[[int], Sequence[Any]],
    ) -> None:
        self.log, self.progress, self.recipe = log, progress, recipe
        self.values: list[Tensor] = []
        self.reported = time.monotonic()  # putting batches together takes time as well
        self.batches = epoch_batches(progress.epoch)

    def add(self, value: Tensor, tokens: int) -> None:
        """Count one step; its loss and gradient norm [2] are not read yet."""
        self.values.append(value)
        self.progress.tokens += tokens
        # The first process alone looks in between: it is then the one that says what went wrong.
        due = time.monotonic() - self.reported >= REPORT_EVERY_S and distributed.rank() == 0
        if due or self.progress.step + len(self.values) == len(self.batches):
            self.report()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time of what is done meanwhile out of account."""
        began = time.monotonic()
        yield
        self.reported += time.monotonic() - began

    def report(self) -> None:
        """Log the loss of each step since the last report, their mean, speed and time to go."""
        if not self.values:
            return
        losses, norms = torch.stack(self.values).T.tolist()
        self.values.clear()
        self._check(losses, norms)
        progress, count = self.progress, len(losses)
        progress.step += count
        progress.steps += count
        progress.loss += sum(losses)
        now = time.monotonic()
        progress.seconds += now - self.reported
        self.reported = now
        left = (self.recipe.epochs - progress.epoch + 1) * len(self.batches) - progress.step
        self.log(
            {
                "event": "step",
                "epoch": progress.epoch,
                "epochs": self.recipe.epochs,
                "step": progress.step,
                "steps": len(self.batches),
                "loss": sum(losses) / count,
                "losses": losses,
                "gradient_norm": sum(norms) / count,
                "tokens_per_s": progress.tokens / progress.seconds,
                "seconds_left": left * progress.seconds / progress.steps,
            }
        )

    def _check(self, losses: list[float], norms: list[float]) -> None:
        """Raise TrainingError for the first step that went wrong; leave its batch's items."""
        for index, (loss, norm) in enumerate(zip(losses, norms, strict=True), self.progress.step):
            if math.isfinite(loss) and math.isfinite(norm):
                continue
            items = sorted(set(self.batches[index].items))
            what = f"the loss is {loss}" if not math.isfinite(loss) else f"a gradient is {norm}"
            where = f"in epoch {self.progress.epoch}, step {index + 1}"
            saved = ""
            if self.log.directory:
                facts = {"what": what, "epoch": self.progress.epoch, "step": index + 1}
                write_json(self.log.directory / FAILED_BATCH, facts | {"items": items})
                saved = f"; its items are in {FAILED_BATCH}"
            shown = ", ".join(map(str, items[:5])) + (", ..." if len(items) > 5 else "")
            raise TrainingError(
                f"{what} {where}, of the training items {shown}{saved}",
                expected="a finite loss and finite gradients",
                do="lower learning_rate, or look for damaged rows in the data",
            )
