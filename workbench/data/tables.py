"""Tables of the user's: CSV, JSON lines and Parquet, one file or a folder of splits."""

import json
from pathlib import Path
from typing import Any

import pandas
import pyarrow
from datasets import DatasetDict, load_dataset

from workbench.errors import DataError

SPLITS = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev"),
    "test": ("test",),
}
"""Names of the splits, and what else they may be called."""
SUFFIXES = (".csv", ".jsonl", ".parquet")


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


def read_splits(folder: Path) -> dict[str, pandas.DataFrame]:
    """The three splits of a folder laid out as the Hub does; class numbers become their names."""
    loaded: DatasetDict = load(str(folder))
    found = {}
    for split, aliases in SPLITS.items():
        name = next((alias for alias in aliases if alias in loaded), None)
        if name is None:
            raise DataError(
                f"{folder} has the splits {', '.join(loaded)}", expected=", ".join(SPLITS)
            )
        frame = loaded[name].to_pandas()
        for column, feature in loaded[name].features.items():
            if names := getattr(feature, "names", None):
                frame[column] = [names[number] if number >= 0 else None for number in frame[column]]
        found[split] = frame
    return found


def read_file(path: Path) -> tuple[pandas.DataFrame, int]:
    """One file's rows, and how many lines of a CSV file were no UTF-8 and read as Latin-1.

    Cells of a CSV file are text as it stands, empty ones missing. Raises DataError for an empty
    file, another format, or rows that don't fit the header.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"{path}: a {path.suffix or 'nameless'} file is no table",
            expected=", ".join(SUFFIXES),
        )
    recoded = 0
    try:
        if path.suffix == ".csv":
            text, recoded = decode(path.read_bytes())
            frame = _from_csv(text)
        elif path.suffix == ".jsonl":
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            frame = pandas.DataFrame([json.loads(line) for line in lines if line.strip()])
        else:
            frame = pandas.read_parquet(path)
    except (ValueError, AttributeError, pyarrow.ArrowException) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path} can't be read: {first}", expected=f"a table as {path.suffix}"
        ) from None
    if frame.empty:
        raise DataError(f"{path} has no rows", expected="a header and at least one row")
    return frame, recoded


def column(frame: pandas.DataFrame, name: str, parameter: str, where: str) -> pandas.Series:
    """A column by name; DataError that lists the columns there are."""
    if name not in frame.columns:
        raise DataError(
            f"{where} has no column {name!r}; its columns: {', '.join(map(str, frame.columns))}",
            expected=f"the column that {parameter} names",
            do=f"set {parameter} to one of them",
        )
    return frame[name]


def _from_csv(text: str) -> pandas.DataFrame:
    from io import StringIO

    # pandas is lenient with a row that is too short; a quote left open swallows the rest.
    return pandas.read_csv(
        StringIO(text), dtype=str, keep_default_na=False, na_values=[""], skip_blank_lines=True
    )


def decode(raw: bytes) -> tuple[str, int]:
    """Text of UTF-8 bytes; lines that are none are read as Latin-1, and counted."""
    lines, recoded = [], 0
    for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            lines.append(line.decode("latin-1"))
            recoded += 1
    return "\n".join(lines), recoded
