"""How far a running run has come, from the files that it has written so far."""

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from workbench.core.files import strict_json
from workbench.record.result import HISTORY, NOTEBOOK, duration
from workbench.report import cells

LAST = 8192
"""Bytes of the end of a file of training reports that hold the last of them."""


@dataclass(frozen=True)
class Progress:
    """What the files of a running run say of it."""

    cell: int = 0
    """The last code cell that began, from 1; 0 where none did."""
    cells: int = 0
    step: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The last report of its training, as `metrics.jsonl` has it."""

    def text(self, elapsed: float, expected: float | None) -> str:
        """Where it is, for how long it runs, and how long it may still take, in seconds."""
        cell = f"code cell {self.cell} of {self.cells}" if self.cell else ""
        left = _left(self.step)
        training = _training(self.step) if left else ""
        return ", ".join(filter(None, [cell, training, _time(elapsed, expected, left)]))


def read(directory: Path) -> Progress:
    """What a run's notebook and training reports say now; nothing where they can't be read."""
    step = _last_report(directory / HISTORY)
    if not (directory / NOTEBOOK).is_file():
        return Progress(step=step)
    try:
        content: Any = nbformat.read(directory / NOTEBOOK, as_version=4)
        place = cells.last_begun(content.cells)
    except Exception:  # noqa: BLE001  nbformat's errors have no class in common
        place = None
    return Progress(place.number, place.of, step) if place else Progress(step=step)


def _last_report(path: Path) -> Mapping[str, Any]:
    if not path.is_file():  # to read a pipe would wait for ever
        return {}
    try:
        with path.open("rb") as lines:
            lines.seek(max(0, path.stat().st_size - LAST))
            ends = lines.read().splitlines()
    except OSError:
        return {}
    for line in reversed(ends):  # the last one may be half written
        with contextlib.suppress(ValueError):
            found = strict_json(line.decode("utf-8"))
            return found if isinstance(found, dict) else {}
    return {}


def _left(step: Mapping[str, Any]) -> float:
    """Seconds that the training needs at least; 0 where none has begun or the last has ended."""
    left = step.get("seconds_left")
    return left if isinstance(left, int | float) and left > 0 else 0.0


def _training(step: Mapping[str, Any]) -> str:
    """Where a training is.

    >>> _training({"epoch": 2, "epochs": 3, "step": 10, "steps": 40})
    'training: epoch 2 of 3, step 10 of 40'
    """
    pairs = (("epoch", "epochs"), ("step", "steps"))
    known = (f"{one} {step.get(one)} of {of}" for one, all_ in pairs if (of := step.get(all_)))
    return f"{step.get('method') or 'training'}: {', '.join(known)}"


def _time(elapsed: float, expected: float | None, training: float = 0.0) -> str:
    """For how long a run runs, and how long it may still take; its training alone needs `training`.

    >>> _time(60.0, 90.0), _time(60.0, 90.0, 200.0)
    ('running for 1 min 0 s, about 30.0 s left', 'running for 1 min 0 s, at least 3 min 20 s left')
    >>> _time(90.0, 60.0)
    'running for 1 min 30 s, longer than the 1 min 0 s expected'
    """
    said = f"running for {duration(elapsed)}"
    if expected is not None and expected - elapsed > training:
        return f"{said}, about {duration(expected - elapsed)} left"
    if training:
        return f"{said}, at least {duration(training)} left"
    if expected is None:
        return f"{said}, time left unknown: nothing like it has ended yet"
    return f"{said}, longer than the {duration(expected)} expected"
