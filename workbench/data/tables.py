"""Tables of the user's: CSV, TSV, JSON and Parquet, one file or a folder of splits.

Files are read anew each time: a cache keyed by a file's name and time gives rows of another file.
What a folder's README says of its files is not looked at.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet

from workbench import sources
from workbench.data import formats
from workbench.data.formats import decode, from_csv
from workbench.errors import DataError

__all__ = ["column", "decode", "from_csv", "only_file", "read_file", "read_splits"]

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing"),
}
"""Names of the splits, and what else they may be called."""
ALIASES = {alias: split for split, aliases in SPLITS.items() for alias in aliases}
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
PHRASES = "Sentences_*Agree.txt"
"""Files of Financial PhraseBank v1.0 as its authors publish them: sentence, @, label in a line."""
DESCRIPTIONS = {"dataset_info.json", "dataset_infos.json", "state.json"}
"""Files that `datasets` writes beside data and that hold none."""
LAYOUT = "train, validation and test as " + ", ".join(SUFFIXES)


def only_file(path: Path, suffixes: tuple[str, ...] = SUFFIXES) -> Path | None:
    """The file to split: `path` itself, or a folder's only file that is not one split of three."""
    if path.is_file():
        return path
    files = _tables(path, suffixes)
    return files[0] if len(files) == 1 and not split_of_file(files[0], path) else None


def _tables(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    files = [file for file in sources.files(folder) if file.name not in DESCRIPTIONS]
    return [file for file in files if file.suffix.lower() in suffixes]


def split_of_file(file: Path, folder: Path) -> str | None:
    """The split that a file's name or else its folder's name says; None for none or several.

    >>> split_of_file(Path("d/mine_dev.csv"), Path("d")), split_of_file(Path("d/a.csv"), Path("d"))
    ('validation', None)
    """
    for name in reversed(file.relative_to(folder).with_suffix("").parts):
        words = re.split(r"[^a-z]+", name.lower())
        if found := {ALIASES[word] for word in words if word in ALIASES}:
            return found.pop() if len(found) == 1 else None
    return None


def split_files(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> dict[str, list[Path]]:
    """The files of each split that a folder has, one or numbered parts of one.

    DataError where there are none, or two that both could be a split.
    """
    files = _tables(folder, suffixes)
    found: dict[str, list[Path]] = {}
    for split in SPLITS:
        own = [file for file in files if split_of_file(file, folder) == split]
        if len({(file.parent, re.sub(r"\d+", "", file.name)) for file in own}) > 1:
            names = [str(file.relative_to(folder)) for file in own]
            raise DataError(
                f"{folder} has {len(own)} files for the {split} split: {_some(names)}",
                expected="one file for a split, or parts of it whose names differ by number only",
                do="leave one, or name the file or folder to read",
            )
        if own:
            found[split] = own
    if not found:
        names = [str(file.relative_to(folder)) for file in files]
        raise DataError(
            f"{folder} has " + (f"the files {_some(names)}" if names else "no table"),
            expected=LAYOUT,
            do="name the files after the splits, or give one file: it is split by hash",
        )
    return found


def read_splits(folder: Path, counts: Counter[str]) -> dict[str, pandas.DataFrame]:
    """The splits that a folder has, each read as any other file (see `read_file`)."""
    return {
        split: _joined([read_file(file, counts) for file in files])
        for split, files in split_files(folder).items()
    }


def by_column(frame: pandas.DataFrame, where: str) -> dict[str, pandas.DataFrame]:
    """A table's rows by split, where its column `split` names splits; else all under "".

    DataError where some rows name a split and others none.
    """
    if "split" not in frame.columns:
        return {"": frame}
    named = frame["split"].astype(str).str.strip().str.lower().map(ALIASES)
    if named.nunique() < 2:
        return {"": frame}
    if wrong := list(frame.loc[named.isna(), "split"].astype(str).unique()):
        raise DataError(
            f"{where}: {int(named.isna().sum()):,} rows have {_some(wrong)} in the column split",
            expected=f"one of {', '.join(ALIASES)}",
            do="name the split of each row, or give the column another name",
        )
    return {split: frame[named == split] for split in SPLITS if (named == split).any()}


def read_file(path: Path, counts: Counter[str]) -> pandas.DataFrame:
    """One file's rows; `counts` gets what `decode` counts in a CSV file.

    Financial PhraseBank has the columns `text` and `label`. Cells of a CSV file are text as it
    stands, empty ones missing (see `formats.from_csv`); whole numbers stay whole where some are
    missing; class numbers become their names. Raises DataError for an empty file, another format,
    or rows that don't fit the header.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and not path.match(PHRASES):
        raise DataError(
            f"{path}: a {path.suffix or 'nameless'} file is no table", expected=", ".join(SUFFIXES)
        )
    if not path.stat().st_size:
        raise DataError(f"{path} is empty", expected="a header and at least one row")
    try:
        if suffix in {".csv", ".tsv"}:
            text = decode(path.read_bytes(), counts)
            frame = from_csv(text, "\t" if suffix == ".tsv" else ",")
        elif suffix == ".txt":
            frame = formats.from_phrases(decode(path.read_bytes(), counts))
        elif suffix == ".parquet":
            frame = _named(pyarrow.parquet.read_table(path))
        else:
            frame = pandas.DataFrame(_json_rows(path), dtype=object)
    except (ValueError, pandas.errors.ParserWarning, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from None
    if frame.empty:
        raise DataError(f"{path} has no rows", expected="a header and at least one row")
    return frame


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
    if {text.casefold(), label.casefold()} & names or not again:
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
            f"{where} has no column {name!r}; its columns: {_some(list(map(str, frame.columns)))}",
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


def _unreadable(path: Path, error: Exception) -> DataError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return DataError(f"{path} can't be read: {first}", expected=f"a table as {path.suffix}")


def _json_rows(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    return formats.json_rows(text, lines=path.suffix.lower() == ".jsonl")


def _named(table: pyarrow.Table) -> pandas.DataFrame:
    """A Parquet table's rows, with names for the class numbers of `datasets`."""
    frame = table.to_pandas(integer_object_nulls=True)
    frame.attrs = {}
    kept = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    for name, feature in (kept.get("info", {}).get("features") or {}).items():
        names = feature.get("names") if isinstance(feature, dict) else None
        if names and name in frame:
            frame[name] = [
                names[int(number)] if pandas.notna(number) and 0 <= number < len(names) else None
                for number in frame[name]
            ]
    return frame


def _joined(frames: list[pandas.DataFrame]) -> pandas.DataFrame:
    joined = pandas.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    joined.attrs = frames[0].attrs
    return joined


def _some(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
