"""Texts to predict for: the lines of a text file, or a column of a table."""

import sys
from collections import Counter
from pathlib import Path

from workbench.data import tables
from workbench.errors import DataError


def read(name: str, column: str) -> tuple[list[str], bool]:
    """The texts in a file, or in what comes over standard input (`-`), in order.

    And whether one goes on where the other ends, as lines do and rows of a table don't. Empty
    lines and missing cells are empty texts, so that places stay as they are. Half a surrogate
    pair, which JSON can hold and a tokenizer can't read, becomes a question mark. Raises
    DataError for a file that is not there or holds no text, and for a missing column.
    """
    counts: Counter[str] = Counter()
    path = Path(name)
    if name != "-" and not path.is_file():
        raise DataError(f"there is no file {name!r}", expected="text, .csv, .jsonl or .parquet")
    rows = path.suffix in tables.SUFFIXES
    if rows:
        cells = tables.column(tables.read_file(path, counts), column, "--column", name)
        texts = [str(cell) for cell in cells.astype(object).where(cells.notna(), "")]
    else:
        raw = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
        texts = [line.removesuffix("\r") for line in tables.decode(raw, counts).split("\n")]
    if counts["recoded"]:
        print(f"{counts['recoded']} lines are no UTF-8, read as Latin-1", file=sys.stderr)
    if not any(text.strip() for text in texts):
        raise DataError(f"{name} holds no text", expected="at least one line or row")
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts], not rows
