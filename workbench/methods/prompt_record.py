"""The exact prompts of a run: kept in its folder, read again, and one of them shown."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import DataError
from workbench.core.files import write_text
from workbench.methods import calibration
from workbench.methods.prompt_scores import Asked, Prompted

SCORED, WRITTEN = "prompts.jsonl", "answers.jsonl"
"""Prompts whose answers were scored, and prompts with what the model wrote after them."""


def keep(directory: Path | None, prompted: Sequence[Prompted], items: Sequence[str]) -> None:
    """Write every prompt of every item to the run directory, if there is one, a line each."""
    if directory is None:
        return
    directory.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "item": item,
            "shots": one.condition,
            "template": one.template,
            "draw": one.shot_seed + 1,
            "prompt": prompt,
        }
        for one in prompted
        for item, prompt in zip(items, one.contexts, strict=True)
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text(directory / SCORED, text)


def read(directory: Path, item: str = "") -> Iterator[dict[str, Any]]:
    """The lines that a run kept of an item, or of all. DataError where there are none."""
    files = [directory / name for name in (SCORED, WRITTEN) if (directory / name).is_file()]
    if not files:
        raise DataError(
            f"the run in {directory} kept no prompts",
            expected="a run of 30_prompting or 32_prompted_ner",
        )
    found = False
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if not item or row["item"] == item:
                    found = True
                    yield row
    if not found:
        raise DataError(
            f"the run in {directory} has no item {item!r}",
            expected="an item as items.parquet names them",
            do="leave the item out to see all",
        )


def example(
    condition: str, prompted: Sequence[Prompted], asked: Asked, items: Sequence[str]
) -> dict[str, Any]:
    """The first item's prompt by the first template, and the probability of each label's word."""
    one = next(found for found in prompted if found.condition == condition)
    odds = np.exp(calibration.normalise(one.items[:1]))[0]
    words = asked.prompts.answers(asked.prompts.templates[0])
    return {
        "item": items[0],
        "prompt": one.contexts[0],
        "scores": {word: round(float(value), 4) for word, value in zip(words, odds, strict=True)},
    }
