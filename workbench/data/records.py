"""Rows of files of words, tags and spans, each a dict, and what their columns may be called.

The formats are those of `formats` and `tables`. Particular are here the names of columns, by which
a separator is known and one row of JSON from a table, and cells that stay as they are.
"""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow.parquet

from workbench.data import formats, tables

TOKENS = ("tokens", "words")
TEXTS = ("text", "content", "sentence", "data")
Record = formats.Row


def read(path: Path, counts: Counter[str], heads: tuple[Collection[str], ...]) -> list[Record]:
    """Return the rows of a file; class numbers of Parquet become their names.

    `heads` are sets of normal names (see `normal`), of each of which the header of a CSV or TSV
    file has to have one; its separator is the one that gives them. `counts` gets what
    `tables.decode` counts. Raises DataError for a file that can't be read or has no rows.
    """
    with tables.reading(path):
        if path.suffix.lower() == ".parquet":
            rows = _from_parquet(path)
        else:
            text = tables.decode(path.read_bytes(), counts, path)
            if path.suffix.lower() in (".csv", ".tsv"):
                rows = _from_csv(text, heads)
            else:
                rows = formats.json_rows(text, lines=False, as_row=_from_pair, is_row=_is_row)
    if not rows:
        raise tables.no_rows(path)
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


def separator(text: str, heads: tuple[Collection[str], ...], named: str = "") -> str:
    """Return what separates columns, by the header, `named` first; ValueError where none does."""
    first = text.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    for mark in filter(None, [named, *formats.SEPARATORS]):
        names = [name.strip().strip('"') for name in first.split(mark)]
        if all(column(names, known) for known in heads):
            return mark
    wanted = ", ".join(next(iter(known)) for known in heads)
    raise ValueError(f"its first line {first[:60]!r} is no header with the columns {wanted}")


def _from_csv(text: str, heads: tuple[Collection[str], ...]) -> list[Record]:
    named, text = formats.separator_line(text)
    mark = separator(text, heads, named)
    # Between tabs a lone quotation mark is a word, so no cell goes on in the next line.
    frame = formats.separated(text, mark, plain=mark == "\t").astype(object)
    cells = frame.where(frame.notna(), "").itertuples(index=False, name=None)
    return [dict(zip(frame.columns, row, strict=True)) for row in cells]


def _from_pair(row: Any) -> Any:
    """A training example of spaCy, a text and an object beside it, as a row."""
    if isinstance(row, list) and list(map(type, row)) == [str, dict]:
        return {"text": row[0], **row[1]}
    return row


def _is_row(content: Record) -> bool:
    """Whether an object of JSON is one row, not a table: it has a text, or a list of words."""
    tokens = content.get(column(content, TOKENS))
    words = isinstance(tokens, list) and not any(isinstance(word, list | dict) for word in tokens)
    return words or isinstance(content.get(column(content, TEXTS)), str)


def _from_parquet(path: Path) -> list[Record]:
    table = pyarrow.parquet.read_table(path)
    rows: list[Record] = table.to_pylist()
    for name, cells in formats.class_names(table).items():
        for row, cell in zip(rows, cells, strict=True):
            row[name] = cell
    return rows
