"""Checkpoints of a training: written whole, checked before they are used, the last two kept.

A checkpoint is a folder with the tensors in one safetensors file and, beside it, how far the
training was and the file's hash. It gets its name once both are on disk.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.core import distributed
from workbench.core.files import write_json

EVERY_S = 120.0
"""Least time between two, in seconds: shorter trainings are sooner done again than kept."""
KEPT = 2
KEPT_TOO = ("best", "average")
"""Weights in it beside those in training."""
TENSORS, PROGRESS = "tensors.safetensors", "progress.json"
Weights = dict[str, Tensor]


@dataclass
class Progress:
    """How far a training is."""

    epoch: int = 1
    """The epoch to go on with, from 1; one more than there are when training has ended."""
    step: int = 0
    """Steps of it that are done."""
    loss: float = 0.0
    """Sum of their losses."""
    best_epoch: int = 0
    best_score: float | None = None
    steps: int = 0
    """Steps of all epochs that are done."""
    tokens: int = 0
    seconds: float = 0.0
    """Time they took; that of evaluations is not counted."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """What was reported so far."""


class Checkpoints:
    """Those of one training, in `folder`; without a folder there are none."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.last = time.monotonic()
        self.unwritten = 0
        """How many could not be written."""

    @property
    def due(self) -> bool:
        """Whether the last is long enough ago. The first of several processes writes for all."""
        ours = self.folder is not None and distributed.rank() == 0
        return ours and time.monotonic() - self.last >= EVERY_S

    def save(
        self,
        progress: Progress,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        kept: dict[str, Weights],
    ) -> None:
        """Write one and remove the oldest; where it can't be written, say so once and train on.

        `kept` are further weights: the `best` so far, and their `average`. One that is there
        already, which a training that was cut off found damaged, is replaced.
        """
        assert self.folder is not None
        place = self.folder / f"{progress.steps:09d}"
        partial = place.with_name(f".{place.name}")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save_file(_tensors(model, optimizer, kept), partial / TENSORS)
            with (partial / TENSORS).open("rb") as file:
                os.fsync(file.fileno())
            facts = dataclasses.asdict(progress) | {"sha256": _sha256(partial / TENSORS)}
            write_json(partial / PROGRESS, facts)
            self._put(partial, place)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            self.unwritten += 1
            if self.unwritten == 1:
                print(f"\nno checkpoint could be written, training goes on: {error}", flush=True)
        for old in self._there()[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
        self.last = time.monotonic()

    def load(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[Progress, dict[str, Weights]]:
        """Put the newest whole one into model and optimiser; return its progress and the rest.

        One that is damaged is named and passed over; without any a new training begins. Several
        processes all go on from what the first finds: the others have no run directory to keep.
        """
        found = distributed.agreed(self._newest())
        if found is None:
            return Progress(), {kind: {} for kind in KEPT_TOO}
        progress, tensors = found
        print(f"going on after step {progress.steps:,}, from a checkpoint")
        return progress, _restore(tensors, model, optimizer)

    def _put(self, partial: Path, place: Path) -> None:
        """Give a whole one its name; one that has it already is set aside until then."""
        aside = place.with_name(f".{place.name}.replaced")
        shutil.rmtree(aside, ignore_errors=True)
        if place.exists():
            place.replace(aside)
        partial.replace(place)
        shutil.rmtree(aside, ignore_errors=True)

    def say_unwritten(self) -> None:
        """Say at the end of a training how many checkpoints it did without, if several."""
        if self.unwritten > 1:
            print(f"{self.unwritten} checkpoints could not be written", flush=True)

    def _newest(self) -> tuple[Progress, Weights] | None:
        for place in self._there():
            try:
                return _read(place)
            except (OSError, ValueError, TypeError, AttributeError, SafetensorError) as error:
                print(f"the checkpoint after step {int(place.name):,} is damaged ({error})")
        return None

    def _there(self) -> list[Path]:
        """The checkpoints, newest first."""
        if self.folder is None or not self.folder.is_dir():
            return []
        return sorted((p for p in self.folder.iterdir() if p.name.isdigit()), reverse=True)


def _tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer, kept: dict[str, Weights]
) -> Weights:
    """All that training resumes from, by name; copies, as a file can't hold shared memory."""
    found = {f"model/{name}": value for name, value in model.state_dict().items()}
    for kind in KEPT_TOO:
        found |= {f"{kind}/{name}": value for name, value in kept[kind].items()}
    for index, values in optimizer.state_dict()["state"].items():
        found |= {f"optimizer/{index}/{name}": value for name, value in values.items()}
    found["generator/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        found["generator/cuda"] = torch.cuda.get_rng_state()
    return {name: value.detach().cpu().clone().contiguous() for name, value in found.items()}


def _restore(
    tensors: Weights, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Weights]:
    groups: dict[str, Weights] = {"model": {}, "optimizer": {}, "generator": {}}
    groups |= {kind: {} for kind in KEPT_TOO}
    for name, value in tensors.items():
        kind, _, rest = name.partition("/")
        groups[kind][rest] = value
    model.load_state_dict(groups["model"])
    state: dict[int, Weights] = {}
    for name, value in groups["optimizer"].items():
        index, _, rest = name.partition("/")
        state.setdefault(int(index), {})[rest] = value
    settings = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": settings})
    torch.set_rng_state(groups["generator"]["cpu"])
    if "cuda" in groups["generator"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(groups["generator"]["cuda"])
    return {kind: groups[kind] for kind in KEPT_TOO}


def _read(place: Path) -> tuple[Progress, Weights]:
    facts = json.loads((place / PROGRESS).read_text(encoding="utf-8"))
    wanted, found = facts.pop("sha256", None), _sha256(place / TENSORS)
    if wanted != found:
        raise ValueError(f"{TENSORS} has sha256 {found[:12]}, expected {str(wanted)[:12]}")
    return Progress(**facts), load_file(place / TENSORS)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
