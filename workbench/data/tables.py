"""Tables of the user's: CSV, JSON lines and Parquet, one file or a folder of splits."""

import codecs
import json
import warnings
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import pyarrow.parquet
from datasets import DatasetDict, load_dataset

from workbench.errors import DataError

SPLITS = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev"),
    "test": ("test",),
}
"""Names of the splits, and what else they may be called."""
SUFFIXES = (".csv", ".jsonl", ".parquet")
PHRASES = "Sentences_*Agree.txt"
"""Files of Financial PhraseBank v1.0 as its authors publish them: sentence, @, label in a line."""


def load(*arguments: str, **options: str) -> Any:
    """`datasets.load_dataset`; DataError for whatever it can't read."""
    try:
        return load_dataset(*arguments, **options)
    except Exception as error:  # datasets raises many types, down to bare Exception
        cause = error.__cause__ or error
        where = options.get("data_files", arguments[0])
        raise DataError(
            f"{where} can't be read as a data set: {str(cause).strip()}",
            expected="train, validation and test as .csv, .jsonl or .parquet; for tagged words "
            "also .conll or .txt",
        ) from error


def only_file(path: Path, suffixes: tuple[str, ...] = SUFFIXES) -> Path | None:
    """The file to split: `path` itself, or a folder's only file that is not one split of three."""
    if path.is_file():
        return path
    files = [file for file in path.iterdir() if file.suffix in suffixes]
    splits = {alias for aliases in SPLITS.values() for alias in aliases}
    return files[0] if len(files) == 1 and files[0].stem not in splits else None


def read_splits(folder: Path, counts: Counter[str]) -> dict[str, pandas.DataFrame]:
    """The three splits of a folder laid out as the Hub does; class numbers become their names.

    Where each split is one file of text, it is read as any other (see `read_file`).
    """
    files = {
        split: [
            folder / f"{alias}{suffix}"
            for alias in aliases
            for suffix in (".csv", ".jsonl")
            if (folder / f"{alias}{suffix}").is_file()
        ]
        for split, aliases in SPLITS.items()
    }
    if all(len(found) == 1 for found in files.values()):
        return {split: read_file(found[0], counts) for split, found in files.items()}
    return _read_with_datasets(folder)


def _read_with_datasets(folder: Path) -> dict[str, pandas.DataFrame]:
    loaded: DatasetDict = load(str(folder))
    found = {}
    for split, aliases in SPLITS.items():
        name = next((alias for alias in aliases if alias in loaded), None)
        if name is None:
            raise DataError(
                f"{folder} has the splits {', '.join(loaded)}",
                expected=", ".join(SPLITS),
                do="add a file for each, or name one file: it is split by hash",
            )
        frame = loaded[name].with_format("arrow")[:].to_pandas(integer_object_nulls=True)
        for column, feature in loaded[name].features.items():
            if names := getattr(feature, "names", None):
                frame[column] = [
                    names[number] if number is not None and number >= 0 else None
                    for number in frame[column]
                ]
        found[split] = frame
    return found


def read_file(path: Path, counts: Counter[str]) -> pandas.DataFrame:
    """One file's rows; `counts` gets what `decode` counts in a CSV file.

    Financial PhraseBank has the columns `text` and `label`. Cells of a CSV file are text as it
    stands, empty ones missing; whole numbers stay whole where some are missing. Raises DataError
    for an empty file, another format, or rows that don't fit the header.
    """
    if path.suffix not in SUFFIXES and not path.match(PHRASES):
        raise DataError(
            f"{path}: a {path.suffix or 'nameless'} file is no table",
            expected=", ".join(SUFFIXES),
        )
    if not path.stat().st_size:
        raise DataError(f"{path} is empty", expected="a header and at least one row")
    try:
        if path.suffix == ".csv":
            frame = from_csv(decode(path.read_bytes(), counts))
        elif path.suffix == ".txt":
            frame = _from_phrases(decode(path.read_bytes(), counts))
        elif path.suffix == ".jsonl":
            frame = _from_json_lines(path.read_text(encoding="utf-8-sig"))
        else:
            frame = pyarrow.parquet.read_table(path).to_pandas(integer_object_nulls=True)
    except (ValueError, pandas.errors.ParserWarning, pyarrow.ArrowException) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path} can't be read: {first}", expected=f"a table as {path.suffix}"
        ) from None
    if frame.empty:
        raise DataError(f"{path} has no rows", expected="a header and at least one row")
    return frame


def column(frame: pandas.DataFrame, name: str, parameter: str, where: str) -> pandas.Series:
    """A column by name; DataError that lists the columns there are."""
    if name not in frame.columns:
        raise DataError(
            f"{where} has no column {name!r}; its columns: {', '.join(map(str, frame.columns))}",
            expected=f"the column that {parameter} names",
            do=f"set {parameter} to one of them",
        )
    return frame[name]


def from_csv(text: str) -> pandas.DataFrame:
    """Rows of CSV text; ValueError or ParserWarning where they don't fit the header."""
    with warnings.catch_warnings():
        # Rows that are all too long would lose cells, or with an index become other columns.
        warnings.simplefilter("error", pandas.errors.ParserWarning)
        return pandas.read_csv(
            StringIO(text), dtype=str, keep_default_na=False, na_values=[""], index_col=False
        )


def _from_phrases(text: str) -> pandas.DataFrame:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        sentence, _, label = line.rpartition("@")
        if line.strip() and not (sentence.strip() and label.strip()):
            raise ValueError(f"line {number} is no sentence with @ and its label at the end")
        rows.append((sentence, label))
    return pandas.DataFrame([row for row in rows if row[0]], columns=["text", "label"])


def _from_json_lines(text: str) -> pandas.DataFrame:
    # Only LF ends a line: JSON strings may hold other line ends as they are.
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no JSON object")
    return pandas.DataFrame(rows, dtype=object)


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
