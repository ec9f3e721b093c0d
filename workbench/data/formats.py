"""Rows from what a file holds: separated columns, JSON, phrases, and class names of Parquet."""

import contextlib
import csv
import json
import re
import warnings
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import islice
from typing import Any

import pandas
import pyarrow

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;|\t]*\r?\n', re.IGNORECASE)
"""First line with which spreadsheet programs say what separates columns."""
SAMPLE_CHARACTERS, SAMPLE_ROWS = 60_000, 200
"""What the separator is chosen by; a cell of more characters is too long for the `csv` module."""
QUOTED = re.compile(r'"(?:[^"]|"")*"')
Row = dict[str, Any]
AsRow = Callable[[Any], Any]
IsRow = Callable[[Row], bool]


def from_csv(text: str, usual: str = ",") -> pandas.DataFrame:
    """Rows of separated columns (see `separated`), by the separator that the text itself shows.

    Columns are separated by what a first line `sep=` names, else by what fits most rows of the
    beginning, `usual` first. In `attrs`, `header` has the first row's cells, and `notes` what is
    unusual, in words.
    """
    named, text = separator_line(text)
    separator = named or _separator(text, usual)
    # Tab-separated files mostly have no quoting: a quote at the start of a cell is part of it.
    tabs = {line.count("\t") for line in text.split("\n") if line.strip()}
    frame = separated(text, separator, plain=separator == "\t" and len(tabs) == 1)
    frame.attrs["header"] = next(_rows(text, separator), [])
    if separator != usual:
        name = SEPARATORS.get(separator, f"{separator!r}")
        frame.attrs["notes"] = [f"columns are separated by {name}"]
    return frame


def separator_line(text: str) -> tuple[str, str]:
    """What a first line `sep=` names, "" where there is none, and the text below it."""
    line = SEPARATOR_LINE.match(text)
    return (line[1], text[line.end() :]) if line else ("", text)


def separated(text: str, separator: str, *, plain: bool) -> pandas.DataFrame:
    """Rows under a header row; ValueError or ParserWarning where they don't fit it.

    Cells are text as it stands, empty ones missing. In a `plain` text each line is a row, and
    quotes are read only where they enclose a cell.
    """
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


def json_rows(
    text: str, *, lines: bool, as_row: AsRow | None = None, is_row: IsRow | None = None
) -> list[Row]:
    """Rows of JSON: an object in each of its `lines`, or an array of objects, or columns.

    The array may lie under a name of an object; columns are an object of lists, or what pandas
    writes (rows or columns by number, or `columns` and `data`). Where the text is none of it, its
    lines are tried. `as_row` makes an object of a row in another form; an object for which `is_row`
    holds is one row, whatever lies in it. ValueError for any other text, RecursionError for values
    too deep in one another.
    """
    as_row = as_row or (lambda row: row)
    if lines:
        return _by_line(text, as_row)
    try:
        content = as_row(json.loads(text))
    except json.JSONDecodeError as error:
        try:
            return _by_line(text, as_row)
        except ValueError:
            if text.lstrip().startswith("["):
                raise error from None  # an array broken off, not a broken line
            raise
    if isinstance(content, dict):
        content = [content] if is_row and is_row(content) else _rows_of(content, as_row)
    rows = list(map(as_row, content)) if isinstance(content, list) else [content]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("its JSON is neither an array of objects nor an object of columns")
    return rows


def _by_line(text: str, as_row: AsRow) -> list[Row]:
    # Only LF ends a line: JSON strings may hold other line ends as they are.
    rows = [as_row(json.loads(line)) for line in text.split("\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no JSON object")
    return rows


def _rows_of(content: Row, as_row: AsRow) -> Any:
    """The rows of an object that is a whole table; the object as one row where it is none."""
    cells = [*content.values()]
    lists = [cell for cell in cells if isinstance(cell, list)]
    if {"columns", "data"} <= set(content):
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    if len(lists) == 1 and lists[0] and all(isinstance(as_row(row), dict) for row in lists[0]):
        return lists[0]
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


def sound(value: Any) -> Any:
    """A value with `?` for half a surrogate pair, which JSON can hold and UTF-8 can't."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [sound(each) for each in value]
    if isinstance(value, dict):
        return {sound(name): sound(each) for name, each in value.items()}
    return value


def class_names(table: pyarrow.Table) -> dict[str, list[Any]]:
    """Cells of the columns that hold class numbers of `datasets`, as names, by column.

    A number of no class is missing (None); in a list it stays, so that places stay as they are.
    """
    kept = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    features = kept.get("info", {}).get("features") or {}
    return {
        name: [_named(cell, names) for cell in table[name].to_pylist()]
        for name, feature in features.items()
        if (names := _names_in(feature)) and table.column_names.count(name) == 1
    }


def _names_in(feature: Any) -> list[str]:
    """Names of the classes that a column holds, alone or in lists; [] for another column."""
    if isinstance(feature, list):  # as older versions of `datasets` write lists
        return _names_in(feature[0]) if feature else []
    if not isinstance(feature, dict):
        return []
    names = feature.get("names")
    return names if isinstance(names, list) else _names_in(feature.get("feature"))


def _named(cell: Any, names: list[str]) -> Any:
    if isinstance(cell, list):
        found = [_named(each, names) for each in cell]
        return [each if name is None else name for each, name in zip(cell, found, strict=True)]
    if isinstance(cell, int | float):
        return names[int(cell)] if 0 <= cell < len(names) else None
    return cell


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
