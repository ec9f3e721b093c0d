"""The items of a run, for its page to filter and sort: a number leads to the texts behind it."""

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core.errors import WorkbenchError
from workbench.core.unspaced import joined
from workbench.record.comparison.correctness import own_items, right_items
from workbench.record.comparison.ratios import KINDS
from workbench.record.iob import spans
from workbench.record.result import ITEMS, Result

MAX_BYTES = 400_000
"""Of all items on a page."""
MAX_TEXT = 400
"""Characters of an item's text on a page, and of each label with its words."""
COLUMNS = ("item", "input", "gold", "predicted", "loss")


def browsable(directory: Path, record: Result, budget: int = MAX_BYTES) -> dict[str, Any] | None:
    """The own method's items as rows of name, text, gold, predicted, loss and whether it is right.

    `gold` and `predicted` are pairs of a label and the words that it marks, "" where a label is of
    the whole text; `loss` is None where the method has none. Where not all fit into `budget` bytes
    of JSON, wrong ones come before right ones and high losses before low ones; `of` counts them
    all; `labelled` says whether items are right or wrong at all. None where the run kept no items
    that can be read.
    """
    if not (directory / ITEMS).is_file():  # to read a pipe would wait for ever
        return None
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, WorkbenchError):
        method, table = own_items(directory, record, COLUMNS)
        right, _ = right_items(table["gold"], table["predicted"])
        columns = (table[name].to_pylist() for name in COLUMNS)
        tags = record.main_measure == "entity_f1"
        rows = [
            [name, _short(joined(text)), *(_labels(text, each, tags=tags) for each in both),
             round(loss, 3) if loss is not None and math.isfinite(loss) else None, int(whole)]
            for name, text, *both, loss, whole in zip(*columns, right, strict=True)
        ]  # fmt: skip
        kept = _within(rows, budget)
        return {
            "method": method,
            "rows": kept,
            "of": len(rows),
            "wrong": int((~right).sum()),
            "labelled": KINDS[record.main_measure or "accuracy"].has_right,
        }
    return None


def _within(rows: list[list[Any]], budget: int) -> list[list[Any]]:
    """The rows that fit, in their order; wrong ones are chosen first, then those of high loss."""
    sizes = [len(json.dumps(row)) + 1 for row in rows]
    if sum(sizes) <= budget:
        return rows
    order = sorted(range(len(rows)), key=lambda place: (rows[place][-1], -(rows[place][-2] or 0)))
    kept, spent = [], 0
    for place in order:
        spent += sizes[place]
        if spent > budget:
            break
        kept.append(place)
    return [rows[place] for place in sorted(kept)]


def _labels(text: Sequence[str], labels: Sequence[str], *, tags: bool) -> list[tuple[str, str]]:
    """Each label and the words that it marks; of `tags` on words, the entities.

    >>> _labels(["Ada", "Berg", "ran"], ["B-PER", "I-PER", "O"], tags=True)
    [('PER', 'Ada Berg')]
    >>> _labels(["Hi there"], ["e-mail"], tags=False)
    [('e-mail', '')]
    """
    if tags and len(text) == len(labels):
        found = sorted(spans(labels), key=lambda span: span[1:])
        return [(kind, _short(joined(text[start:end]))) for kind, start, end in found]
    return [(_short(label), "") for label in labels]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 3]}..."
