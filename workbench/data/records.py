"""Rows of JSON, JSON lines, Parquet, CSV and TSV files, each a dict, with nothing cached between.

`datasets` keeps what it read by a file's path and time, and lets a folder's README choose files:
so files are read here directly, and cells stay as they are.
"""

import csv
import json
from collections import Counter
from collections.abc import Collection
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from datasets import Features

from workbench.core.errors import DataError
from workbench.data import tables

SUFFIXES = (".jsonl", ".json", ".parquet", ".csv", ".tsv")
SEPARATORS = "\t,;|"
Record = dict[str, Any]


def read(path: Path, counts: Counter[str], heads: tuple[Collection[str], ...]) -> list[Record]:
    """Return the rows of a file; class numbers of Parquet become their names.

    `heads` are sets of normal names (see `normal`), of each of which the header of a CSV or TSV
    file has to have one; its separator is the one that gives them. `counts` gets what
    `tables.decode` counts. Raises DataError for a file that can't be read or has no rows.
    """
    try:
        if path.suffix.lower() == ".parquet":
            rows = _from_parquet(path)
        else:
            text = tables.decode(path.read_bytes(), counts)
            if path.suffix.lower() in (".csv", ".tsv"):
                rows = _from_csv(text, separator(text, heads))
            else:
                rows = _from_json(text)
    except (ValueError, RecursionError, csv.Error, pyarrow.ArrowException) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path} can't be read: {first}", expected=f"a table as {path.suffix}"
        ) from None
    if not rows:
        raise DataError(f"{path} has no rows", expected="at least one")
    return rows


def normal(name: str) -> str:
    """Return a column's name in lower case, its words separated by spaces.

    >>> normal("Sentence #"), normal("ner_tags")
    ('sentence', 'ner tags')
    """
    return " ".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def column(names: Collection[str], known: Collection[str]) -> str:
    """Return the first column, in the order of `known`, of one of these normal names; "" for none.

    >>> column(["Sentence #", "Word"], ("token", "word"))
    'Word'
    """
    found = {normal(name): name for name in reversed(list(names))}
    return next((found[name] for name in known if name in found), "")


def separator(text: str, heads: tuple[Collection[str], ...]) -> str:
    """Return what separates columns, by the header; ValueError where no header names them."""
    first = _body(text).split("\n", 1)[0].rstrip("\r")
    for mark in SEPARATORS:
        names = [name.strip().strip('"') for name in first.split(mark)]
        if all(column(names, known) for known in heads):
            return mark
    wanted = ", ".join(next(iter(known)) for known in heads)
    raise ValueError(f"its first line {first[:60]!r} is no header with the columns {wanted}")


def _body(text: str) -> str:
    """The text without the line in which spreadsheets name the separator."""
    return text.split("\n", 1)[-1] if text[:4].lower() == "sep=" else text


def _from_csv(text: str, mark: str) -> list[Record]:
    if mark == "\t":
        # A lone quotation mark is a word: quotes are read only where they enclose a cell.
        lines = [line.removesuffix("\r").split(mark) for line in _body(text).split("\n") if line]
        cells = [[_unquoted(cell) for cell in line] for line in lines if line != [""]]
    else:
        cells = [row for row in csv.reader(StringIO(_body(text)), delimiter=mark) if row]
    head, *rows = cells
    for number, row in enumerate(rows):
        if len(row) != len(head):
            raise ValueError(f"row {number} has {len(row)} cells, the header {len(head)}")
    return [dict(zip(head, row, strict=True)) for row in rows]


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def _from_json(text: str) -> list[Record]:
    """Rows of one JSON list, of one object that holds such a list, or of lines."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        # Only LF ends a line: JSON strings may hold other line ends as they are.
        found = [json.loads(line) for line in text.split("\n") if line.strip()]
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        nested = len(lists) == 1 and lists[0] and isinstance(lists[0][0], dict | list)
        found = lists[0] if nested and not {"text", "tokens"} & set(found) else [found]
    if not isinstance(found, list):
        raise ValueError("it is no list of objects")
    rows: list[Any] = [_from_pair(row) if isinstance(row, list) else row for row in found]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a row is no JSON object")
    return rows


def _from_pair(row: list[Any]) -> Record | None:
    """A training example of spaCy, a text and an object beside it, as a row."""
    if len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], dict):
        return {"text": row[0], **row[1]}
    return None


def _from_parquet(path: Path) -> list[Record]:
    table = pyarrow.parquet.read_table(path)
    rows = table.to_pylist()
    for name, feature in Features.from_arrow_schema(table.schema).items():
        if classes := getattr(getattr(feature, "feature", None), "names", None):
            for row in rows:
                row[name] = [
                    classes[tag] if tag is not None and 0 <= tag < len(classes) else tag
                    for tag in row[name] or []
                ]
    return rows
