"""Texts to predict for: lines of a file, a column of a table, or the words that a file gives."""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from workbench.core.errors import DataError
from workbench.data import conll, encodings, tables
from workbench.data.records import TOKENS
from workbench.data.records import column as find_column
from workbench.data.tagged_files import conll_columns
from workbench.data.tagged_rows import DOCUMENTS

DEFAULT_COLUMN = "text"


@dataclass(frozen=True)
class Texts:
    """Texts in the order of their file, and what it says of their words and documents."""

    texts: list[str]
    consecutive: bool
    """Whether each text continues the one before, as lines of a file do, and rows do not."""
    words: list[list[str]] | None = None
    """The words of each text, which are then joined by spaces in `texts`."""
    documents: list[int] | None = None
    """The document of each text, in ascending order, where words are given."""


def read(name: str, column: str) -> Texts:
    """Read the texts in a file, or in what comes over standard input (`-`), in order.

    Empty lines and missing cells are empty texts, so that places stay as they are. A file of CoNLL
    columns (.conll and the like, or a .tsv whose first line has a tag, but not .txt) gives words,
    its tags unread; so does a table whose column holds lists, and `tokens` (or `words`) is that
    column where the default is not there.
    Half a surrogate pair, which JSON can hold and a tokenizer can't read, becomes a question mark.
    Raises DataError for a file that is not there, is no text or holds none, and for a missing
    column.
    """
    counts: Counter[str] = Counter()
    path = Path(name)
    if name != "-" and not _is_file(path):
        raise DataError(
            f"there is no file {name[:200]!r}", expected="text, .conll, .csv, .jsonl or .parquet"
        )
    suffix = path.suffix.lower()
    if name != "-" and suffix != ".txt" and conll_columns(path):
        found = conll.read(path, tagged=False, counts=counts)
        _say(counts)
        return _of_words(found.tokens, found.documents)
    if suffix in tables.SUFFIXES:
        frame = tables.read_file(path, counts)
        if column == DEFAULT_COLUMN and column not in frame:
            column = find_column(list(map(str, frame.columns)), TOKENS) or column
        asked = _of_table(frame, column, name)
    else:
        raw = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
        if b"\0" in raw and not raw.startswith(encodings.UTF16):
            raise DataError(f"{name} holds bytes of 0, so it is no text", expected="plain text")
        lines = tables.decode(raw, counts, name).split("\n")
        asked = Texts([_whole(line.removesuffix("\r")) for line in lines], consecutive=True)
    _say(counts)
    if not any(text.strip() for text in asked.texts):
        raise DataError(f"{name} holds no text", expected="at least one line or row")
    return asked


def _say(counts: Counter[str]) -> None:
    """Print how the file was read, where that is no matter of course."""
    for note in encodings.notes(counts):
        print(note, file=sys.stderr)
    if counts["recoded"]:
        print(f"{counts['recoded']} lines are no UTF-8, read as Latin-1", file=sys.stderr)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _of_words(words: list[list[str]], documents: list[int]) -> Texts:
    words = [list(map(_whole, each)) for each in words]
    return Texts([" ".join(each) for each in words], False, words, documents)


def _of_table(frame: pandas.DataFrame, column: str, name: str) -> Texts:
    if column in frame and any(isinstance(cell, list | np.ndarray) for cell in frame[column]):
        cells = frame[column]
        words = [_listed(cell, f"{name}, row {at}") for at, cell in enumerate(cells)]
        known = find_column(list(map(str, frame.columns)), DOCUMENTS)
        documents = pandas.factorize(frame[known])[0].tolist() if known else range(len(words))
        return _of_words(words, list(documents))
    cells = tables.column(frame, column, "--column", name).astype(object)
    texts = [_whole(str(cell)) for cell in cells.where(cells.notna(), "")]
    return Texts(texts, consecutive=False)


def _listed(cell: Any, where: str) -> list[str]:
    """The words of a cell; none where it is missing."""
    words = list(cell) if isinstance(cell, list | np.ndarray) else []
    missing = cell is None or (isinstance(cell, float) and np.isnan(cell))
    if not (missing or isinstance(cell, list | np.ndarray)) or not all(
        isinstance(word, str) for word in words
    ):
        raise DataError(
            f"{where}: {str(cell)[:60]!r} is no list of words", expected="lists of text"
        )
    return words


def _whole(text: str) -> str:
    """The text with half a surrogate pair as a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
