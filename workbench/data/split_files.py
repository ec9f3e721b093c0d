"""Which files of a folder, or rows of a file, belong to which split, by names alone.

Nothing else in a folder is asked: a README's front matter, say, may name other files or other
places, and is not read.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from workbench.core import sources
from workbench.core.errors import DataError

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development", "testa"),
    "test": ("test", "testing", "testb"),
}
"""Names of the splits, and what else they may be called."""
ALIASES = {alias: split for split, aliases in SPLITS.items() for alias in aliases}
DESCRIPTIONS = {"dataset_info.json", "dataset_infos.json", "state.json"}
"""Files that `datasets` writes beside data and that hold none."""
ABOUT = {"readme", "license", "licence"}
"""Names of text files that hold no data either."""
Suffixes = tuple[str, ...]
Files = dict[str, list[Path]]
Rows = TypeVar("Rows")


def split_of(name: str) -> str:
    """Return the split that a name means by one of its words; "" for none or several.

    >>> split_of("x.train.conll"), split_of("my_dev.txt"), split_of("eng.testa"), split_of("a.txt")
    ('train', 'validation', 'validation', '')
    """
    found = {ALIASES.get(word, "") for word in re.split(r"[\W\d_]+", name.lower())} - {""}
    return found.pop() if len(found) == 1 else ""


def of(path: Path, suffixes: Suffixes) -> list[Path]:
    """Return the file itself, or the files below a folder that have one of these suffixes."""
    if path.is_file():
        return [path]
    return [
        file
        for file in sources.files(path)
        if file.suffix.lower() in suffixes
        and file.name not in DESCRIPTIONS
        and file.stem.lower() not in ABOUT
    ]


def only_file(path: Path, suffixes: Suffixes) -> Path | None:
    """Return the file to split: `path` itself, or a folder's only file, if it names no split."""
    files = of(path, suffixes)
    lone = len(files) == 1 and (path.is_file() or not place(files[0], path)[1])
    return files[0] if lone else None


def find(folder: Path, suffixes: Suffixes) -> Files:
    """Return the files of each split of a folder, or of the one folder in it that has splits.

    The name of a file says its split, or else that of a folder around it. A split is one file, or
    parts whose names differ by number only. Raises DataError where no name says a split, where two
    files could be one, and where several folders each have train and test.
    """
    files = of(folder, suffixes)
    everything: Files = defaultdict(list)
    places: dict[Path, Files] = defaultdict(lambda: defaultdict(list))
    for file in files:
        where, split = place(file, folder)
        for found in (places[where], everything) if split else ():
            found[split].append(file)
    complete = [where for where, found in places.items() if {"train", "test"} <= set(found)]
    if len(complete) > 1 and folder not in complete:
        raise DataError(
            f"{folder} holds several data sets: {', '.join(each.name for each in complete)}",
            expected="one",
            do=f"name one of these folders, such as {complete[0]}",
        )
    if not everything:
        among = _below(folder, files) or "its files"
        raise DataError(
            f"{folder} has no {', '.join(SPLITS)} file among {among}",
            expected=f"one file for each split, as {', '.join(suffixes)}",
            do="name them by split, such as x.train.conll, x_dev.csv and x-test.jsonl, or give one "
            "file: it is split by hash",
        )
    found = places[folder if folder in complete else complete[0]] if complete else everything
    for split, own in found.items():
        if len({(file.parent, re.sub(r"\d+", "", file.name)) for file in own}) > 1:
            raise DataError(
                f"{folder} has {len(own)} files for the {split} split: {_below(folder, own)}",
                expected="one file for a split, or parts of it whose names differ by number only",
                do="leave one, or name the file or folder to read",
            )
    return {split: found[split] for split in SPLITS if split in found}


def labelled(
    parts: dict[str, Rows], has_labels: Callable[[Rows], bool], notes: list[str]
) -> dict[str, Rows]:
    """Return the splits without a test split that has no labels, as contests publish it.

    Validation is the test split then, as `notes` says.
    """
    if "test" not in parts or has_labels(parts["test"]):
        return parts
    others = {split: rows for split, rows in parts.items() if split != "test"}
    note = "the test split has no labels and is left out"
    if "validation" in others:
        others["test"] = others.pop("validation")
        note += ": the validation split is the test split"
    notes.append(note)
    return others


def whole(parts: dict[str, Rows], where: str) -> dict[str, Rows]:
    """Return train and test, with validation or without; or all under "", to be split by hash.

    Training rows alone are to be split too. DataError where train or test is lacking.
    """
    if set(parts) in ({"train"}, {""}):
        return {"": next(iter(parts.values()))}
    if not {"train", "test"} <= set(parts):
        raise DataError(
            f"{where} has the splits {', '.join(parts)}",
            expected=f"{', '.join(SPLITS)}; without validation it comes out of training",
            do="add the files that are missing, or give one file: it is split by hash",
        )
    return parts


def named(cells: Iterable[object], where: str) -> list[str]:
    """Return the split that each row's cell names; [] where fewer than two splits are named.

    DataError where some rows name a split and others none.
    """
    given = list(map(str, cells))
    found = list(map(split_of, given))
    if len({*found} - {""}) < 2:
        return []
    if wrong := [cell for cell, split in zip(given, found, strict=True) if not split]:
        shown = ", ".join(list(dict.fromkeys(wrong))[:8])
        raise DataError(
            f"{where}: {len(wrong):,} rows have {shown or 'nothing'} in the column split",
            expected=f"one of {', '.join(ALIASES)}",
            do="name the split of each row, or give the column another name",
        )
    return found


def place(file: Path, folder: Path) -> tuple[Path, str]:
    """Where the splits lie of which a file is one, and which it is; "" for none."""
    split = ""
    while file != folder and (not split or split_of(file.name) == split):
        split, file = split_of(file.name), file.parent
    return file, split


def some(names: list[str], most: int = 8) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _below(folder: Path, files: list[Path]) -> str:
    return some([str(file.relative_to(folder)) for file in files])
