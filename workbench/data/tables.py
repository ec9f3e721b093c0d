"""Tables of the user's: CSV, TSV, JSON and Parquet, one file or a folder of splits.

Files are read anew each time: a cache keyed by a file's name and time gives rows of another file.
What a folder's README says of its files is not looked at.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet

from workbench.core.errors import DataError
from workbench.data import formats, split_files
from workbench.data.encodings import decode
from workbench.data.formats import from_csv
from workbench.data.split_files import SPLITS, some

__all__ = ["SPLITS", "column", "decode", "from_csv", "read_file", "read_splits", "texts"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
PHRASES = "Sentences_*Agree.txt"
"""Files of Financial PhraseBank v1.0 as its authors publish them: sentence, @, label in a line."""
BETWEEN = " | "
"""What separates the columns that one text is made of."""


def read_splits(folder: Path, counts: Counter[str]) -> dict[str, pandas.DataFrame]:
    """The splits that a folder has, each read as any other file (see `read_file`)."""
    return {
        split: _joined([read_file(file, counts) for file in files])
        for split, files in split_files.find(folder, SUFFIXES).items()
    }


def by_column(frame: pandas.DataFrame, where: str) -> dict[str, pandas.DataFrame]:
    """A table's rows by split, where its column `split` names splits; else all under "".

    DataError where some rows name a split and others none.
    """
    named = split_files.named(frame["split"], where) if "split" in frame.columns else []
    return {split: frame[np.array(named) == split] for split in SPLITS if split in named} or {
        "": frame
    }


def read_file(path: Path, counts: Counter[str]) -> pandas.DataFrame:
    """One file's rows; `counts` gets what `decode` counts.

    Financial PhraseBank has the columns `text` and `label`. Cells of a CSV file are text as it
    stands, empty ones missing (see `formats.from_csv`); whole numbers stay whole where some are
    missing; class numbers become their names. Raises DataError for an empty file, another format,
    an encoding that is not known, or rows that don't fit the header.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and not path.match(PHRASES):
        raise DataError(
            f"{path}: a {path.suffix or 'nameless'} file is no table", expected=", ".join(SUFFIXES)
        )
    with reading(path):
        if suffix in {".csv", ".tsv"}:
            text = decode(path.read_bytes(), counts, path)
            frame = from_csv(text, "\t" if suffix == ".tsv" else ",")
        elif suffix == ".txt":
            frame = formats.from_phrases(decode(path.read_bytes(), counts, path))
        elif suffix == ".parquet":
            frame = _of_parquet(pyarrow.parquet.read_table(path))
        else:
            frame = pandas.DataFrame(_json_rows(path, counts), dtype=object)
    if frame.empty:
        raise no_rows(path)
    return frame


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What is done inside reads this file: DataError where that fails, or for an empty file."""
    if not path.stat().st_size:
        raise DataError(f"{path} is empty", expected="a header and at least one row")
    try:
        yield
    except RecursionError:
        raise _unreadable(path, "its values lie too deep in one another") from None
    except (ValueError, pandas.errors.ParserWarning, pyarrow.ArrowException) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _unreadable(path, first) from None


def no_rows(path: Path) -> DataError:
    """Return the error that a file has no rows."""
    return DataError(f"{path} has no rows", expected="a header and at least one row")


def with_header(frame: pandas.DataFrame, text: str, label: str, where: str) -> pandas.DataFrame:
    """A table of labelled texts with the columns `text` and `label`, where it has no header row.

    It has none if neither column is there and a cell of its first row occurs again below: a label
    does, a column's name doesn't. Of two columns the one with fewer different cells is the label.
    DataError where that leaves open which is which.
    """
    header = frame.attrs.get("header") or []
    names = {str(name).casefold() for name in frame.columns}
    again = [
        place
        for place, cell in enumerate(header[: frame.shape[1]])
        if cell and (frame.iloc[:, place] == cell).any()
    ]
    if {each.casefold() for each in [text, label, *parts(text)]} & names or not again:
        return frame
    kinds = frame.nunique().tolist()
    place = kinds.index(min(kinds))
    if len(header) != 2 or len(set(kinds)) == 1 or place not in again:
        raise DataError(
            f"{where}: its first row is no header row: {header[again[0]]!r} occurs again below it",
            expected=f"a first row that names the columns, such as {text} and {label}",
            do="add it to the file",
        )
    whole = pandas.concat(
        [pandas.DataFrame([header], columns=frame.columns), frame], ignore_index=True
    )
    whole.columns = [label, text] if place == 0 else [text, label]
    note = f"there is no header row: column {place + 1} is read as the label"
    whole.attrs = {"notes": [*frame.attrs.get("notes", ()), note]}
    return whole


def column(frame: pandas.DataFrame, name: str, parameter: str, where: str) -> pandas.Series:
    """A column by name, of single values; case counts only where two names differ by it alone.

    DataError that lists the columns there are, and for one that is there twice or holds lists.
    """
    alike = [each for each in frame.columns if str(each).casefold() == name.casefold()]
    name = alike[0] if len(alike) == 1 else name
    if name not in frame.columns:
        raise DataError(
            f"{where} has no column {name!r}; its columns: {some(list(map(str, frame.columns)))}",
            expected=f"the column that {parameter} names",
            do=f"set {parameter} to one of them",
        )
    if [cell.strip() for cell in frame.attrs.get("header", ())].count(name) > 1:
        raise DataError(f"{where} has two columns {name!r}", expected="a name of its own for each")
    for row, cell in enumerate(frame[name], 1):
        if isinstance(cell, list | dict | tuple | set | bytes | np.ndarray):
            kind = {"dict": "an object", "bytes": "bytes"}.get(type(cell).__name__, "a list")
            raise DataError(
                f"{where}, row {row:,}: the column {name!r} holds {kind}",
                expected="one text or number in each row",
                do=f"set {parameter} to another column, or write one value a row",
            )
    return frame[name]


def parts(name: str) -> list[str]:
    """The columns that a name such as `sentence1 + sentence2` joins; the name alone without +."""
    return [part.strip() for part in name.split("+")]


def texts(frame: pandas.DataFrame, name: str, where: str) -> pandas.Series:
    """A column of texts; or several joined, as `sentence1 + sentence2`, with `BETWEEN` between.

    A text is missing where one of its columns is. Raises DataError as `column` does.
    """
    if name in frame.columns or len(parts(name)) == 1:
        return column(frame, name, "text_column", where)
    cells = [column(frame, part, "text_column", where) for part in parts(name)]
    cells = [each.astype(object).where(each.notna(), "").map(str).str.strip() for each in cells]
    joined = [BETWEEN.join(row) if all(row) else None for row in zip(*cells, strict=True)]
    return pandas.Series(joined, index=frame.index, dtype=object)


def has_labels(frame: pandas.DataFrame, names: Iterable[str]) -> bool:
    """Whether one of these columns is there, in any case, and a row of it holds something."""
    wanted = {name.casefold() for name in names}
    kept = frame[[name for name in frame.columns if str(name).strip().casefold() in wanted]]
    return bool((kept.notna() & (kept.astype(str) != "")).to_numpy().any())


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(f"{path} can't be read: {why}", expected=f"a table as {path.suffix}")


def _json_rows(path: Path, counts: Counter[str]) -> list[formats.Row]:
    text = decode(path.read_bytes(), counts, path, latin=False)  # JSON has no Latin-1
    rows = formats.json_rows(text, lines=path.suffix.lower() == ".jsonl")
    return formats.sound(rows) if "\\ud" in text.lower() else rows


def _of_parquet(table: pyarrow.Table) -> pandas.DataFrame:
    frame = table.to_pandas(integer_object_nulls=True)
    frame.attrs = {}
    for name, cells in formats.class_names(table).items():
        frame[name] = cells
    return frame


def _joined(frames: list[pandas.DataFrame]) -> pandas.DataFrame:
    joined = pandas.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    joined.attrs = frames[0].attrs
    return joined
