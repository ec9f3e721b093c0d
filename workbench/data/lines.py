"""Texts to predict for: the lines of a text file, or a column of a table."""

import sys
from collections import Counter
from pathlib import Path

from workbench.data import tables
from workbench.errors import DataError


def read(name: str, column: str) -> list[str]:
    """The texts in a file, or in what comes over standard input (`-`), in order.

    Empty lines and missing cells are empty texts, so that places stay as they are. Raises
    DataError for a file that is not there or holds no text, and for a missing column.
    """
    counts: Counter[str] = Counter()
    path = Path(name)
    if name != "-" and not path.is_file():
        raise DataError(f"there is no file {name!r}", expected="text, .csv, .jsonl or .parquet")
    if path.suffix in tables.SUFFIXES:
        cells = tables.column(tables.read_file(path, counts), column, "--column", name)
        texts = [str(cell) for cell in cells.fillna("")]
    else:
        raw = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
        texts = [line.removesuffix("\r") for line in tables.decode(raw, counts).split("\n")]
    if counts["recoded"]:
        print(f"{counts['recoded']} lines are no UTF-8, read as Latin-1", file=sys.stderr)
    if not any(text.strip() for text in texts):
        raise DataError(f"{name} holds no text", expected="at least one line or row")
    return texts
