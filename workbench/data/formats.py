"""Rows from the text of a file: separated columns with or without header row, JSON, phrases."""

import codecs
import contextlib
import csv
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from typing import Any

import pandas

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?;*\r?\n', re.IGNORECASE)
"""First line with which spreadsheet programs say what separates columns."""
SAMPLE_CHARACTERS, SAMPLE_ROWS = 60_000, 200
"""What the separator is chosen by; a cell of more characters is too long for the `csv` module."""
QUOTED = re.compile(r'"(?:[^"]|"")*"')


def from_csv(text: str, usual: str = ",") -> pandas.DataFrame:
    """Rows of separated columns; ValueError or ParserWarning where they don't fit the header.

    Columns are separated by what a first line `sep=` names, else by what fits most rows of the
    beginning, `usual` first. Cells are text as it stands, empty ones missing. In `attrs`, `header`
    has the first row's cells, and `notes` what is unusual, in words.
    """
    if line := SEPARATOR_LINE.match(text):
        text, separator = text[line.end() :], line[1]
    else:
        separator = _separator(text, usual)
    # Tab-separated files mostly have no quoting: a quote at the start of a cell is part of it.
    tabs = {line.count("\t") for line in text.split("\n") if line.strip()}
    plain = separator == "\t" and len(tabs) == 1
    with warnings.catch_warnings():
        # Rows that are all too long would lose cells, or with an index become other columns.
        warnings.simplefilter("error", pandas.errors.ParserWarning)
        frame = pandas.read_csv(
            StringIO(text),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
        )
    if plain:
        frame = frame.rename(columns=lambda name: _unquoted(name) or "").map(_unquoted)
    frame.attrs["header"] = next(_rows(text, separator), [])
    if separator != usual:
        name = SEPARATORS.get(separator, f"{separator!r}")
        frame.attrs["notes"] = [f"columns are separated by {name}"]
    return frame.rename(columns=str.strip)


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    """Rows of cells but empty ones, as far as the `csv` module can read them."""
    with contextlib.suppress(csv.Error):
        yield from filter(None, csv.reader(StringIO(text, newline=""), delimiter=separator))


def _separator(text: str, usual: str) -> str:
    """What separates the columns: it gives most of the first rows as many cells as the header."""
    sample = text[:SAMPLE_CHARACTERS]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1]
    best, most = usual, 0.0
    for separator in dict.fromkeys([usual, *SEPARATORS]):
        widths = [len(row) for row in islice(_rows(sample, separator), SAMPLE_ROWS)]
        if widths and widths[0] > 1 and (fraction := widths.count(widths[0]) / len(widths)) > most:
            best, most = separator, fraction
    return best


def _unquoted(cell: Any) -> Any:
    """A cell without the quotes around it, where they are all that it has."""
    if isinstance(cell, str) and QUOTED.fullmatch(cell.strip()):
        return cell.strip()[1:-1].replace('""', '"') or None
    return cell


def json_rows(text: str, *, lines: bool) -> list[dict[str, Any]]:
    """Rows of JSON: an object in each of its `lines`, or an array of objects, or columns.

    The array may lie under a name of an object; columns are an object of lists, or what pandas
    writes (rows or columns by number, or `columns` and `data`). Where the text is none of it, its
    lines are tried. ValueError for any other.
    """
    try:
        rows = _objects(text) if lines else _whole(text)
        return _sound(rows) if "\\ud" in text.lower() else rows
    except RecursionError:
        raise ValueError("its values lie too deep in one another") from None


def _whole(text: str) -> list[dict[str, Any]]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        if text.lstrip().startswith("["):
            raise
        return _objects(text)
    content = _rows_of(content) if isinstance(content, dict) else content
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise ValueError("its JSON is neither an array of objects nor an object of columns")
    return content


def _sound(value: Any) -> Any:
    """A value with `?` for half a surrogate pair, which JSON can hold and UTF-8 can't."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_sound(each) for each in value]
    if isinstance(value, dict):
        return {_sound(name): _sound(each) for name, each in value.items()}
    return value


def _objects(text: str) -> list[dict[str, Any]]:
    # Only LF ends a line: JSON strings may hold other line ends as they are.
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no JSON object")
    return rows


def _rows_of(content: dict[str, Any]) -> Any:
    """The rows of an object that is a whole table; the object as one row where it is none."""
    cells = [*content.values()]
    lists = [cell for cell in cells if isinstance(cell, list)]
    if {"columns", "data"} <= set(content):
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    holders = [cell for cell in lists if cell and all(isinstance(row, dict) for row in cell)]
    if len(holders) == 1 and len(lists) == 1:
        return holders[0]
    if lists and len(lists) == len(cells):
        if len({len(cell) for cell in cells}) > 1:
            raise ValueError("its columns are of different lengths")
        return [dict(zip(content, row, strict=True)) for row in zip(*cells, strict=True)]
    if cells and all(isinstance(cell, dict) for cell in cells):
        if len(content) > max(map(len, cells)):
            return cells  # rows by number
        numbers = dict.fromkeys(number for cell in cells for number in cell)
        return [{name: cell.get(n) for name, cell in content.items()} for n in numbers]
    return [content]


def from_phrases(text: str) -> pandas.DataFrame:
    """Sentences and labels of lines such as `sentence@label`; ValueError for another line."""
    rows = []
    # Only LF ends a line: Latin-1 has letters that are line ends elsewhere.
    for number, line in enumerate(text.split("\n"), 1):
        sentence, _, label = line.rpartition("@")
        if line.strip() and not (sentence.strip() and label.strip()):
            raise ValueError(f"line {number} is no sentence with @ and its label at the end")
        rows.append((sentence, label))
    return pandas.DataFrame([row for row in rows if row[0]], columns=["text", "label"])


def decode(raw: bytes, counts: Counter[str]) -> str:
    """Text of UTF-8 bytes; lines that are none are read as Latin-1.

    `counts` gets the `lines` and how many were `recoded`. UTF-16 is known by its first bytes.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    lines = []
    for line in raw.removeprefix(codecs.BOM_UTF8).removesuffix(b"\n").split(b"\n"):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            lines.append(line.decode("latin-1"))
            counts["recoded"] += 1
    counts["lines"] += len(lines)
    return "\n".join(lines)
