"""Which files of a folder hold which split, by their names alone.

Nothing else in a folder is asked: a README's front matter, say, may name other files or other
places, and is not read.
"""

import re
from collections import defaultdict
from pathlib import Path

from workbench import sources
from workbench.data.tables import DESCRIPTIONS, SPLITS
from workbench.errors import DataError

ALIASES = {
    "train": {*SPLITS["train"], "training"},
    "validation": {*SPLITS["validation"], "val", "devel", "development", "testa"},
    "test": {*SPLITS["test"], "testb"},
}
SHARD = re.compile(r"-\d{5}-of-\d{5}$")
Suffixes = tuple[str, ...]


def split_of(name: str) -> str:
    """Return the split that a file's name means by one of its parts; "" for none or several.

    >>> split_of("x.train.conll"), split_of("my_dev.txt"), split_of("eng.testa"), split_of("a.txt")
    ('train', 'validation', 'validation', '')
    """
    parts = set(re.split(r"[\W_]+", name.lower()))
    found = [split for split, aliases in ALIASES.items() if parts & aliases]
    return found[0] if len(found) == 1 else ""


def only_file(path: Path, suffixes: Suffixes) -> Path | None:
    """Return the file to split: `path` itself, or a folder's only file, if it names no split."""
    if path.is_file():
        return path
    files = _files(path, suffixes)
    return files[0] if len(files) == 1 and not split_of(files[0].name) else None


def find(folder: Path, suffixes: Suffixes) -> dict[str, list[Path]]:
    """Return the files of each split of a folder, or of the one folder in it that has splits.

    A split is one file, or the Hub's numbered parts (`train-00000-of-00002.parquet`). `train.txt`
    comes before `x.train.txt`. Raises DataError where train or test is lacking, and where two
    files mean the same split.
    """
    folders: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in _files(folder, suffixes):
        if split := split_of(file.name):
            folders[file.parent][split].append(file)
        elif file.parent != folder and (split := split_of(file.parent.name)):
            folders[file.parent.parent][split].append(file)
    whole = [place for place, found in folders.items() if {"train", "test"} <= set(found)]
    place = folder if folder in folders else whole[0] if len(whole) == 1 else None
    if place is None and len(whole) > 1:
        raise DataError(
            f"{folder} holds several data sets: {', '.join(each.name for each in whole)}",
            expected="one",
            do=f"name one of these folders, such as {whole[0]}",
        )
    found = folders[place] if place else {}
    absent = [split for split in SPLITS if split not in found]
    if absent and absent != ["validation"]:
        raise _absent(folder, absent, suffixes)
    return {split: _one(files, split) for split, files in found.items()}


def _absent(folder: Path, absent: list[str], suffixes: Suffixes) -> DataError:
    names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
    shown = ", ".join(names[:8]) + (" and more" if len(names) > 8 else "")
    return DataError(
        f"{folder} has no {', '.join(absent)} file among {shown}",
        expected=f"one file for each split, as {', '.join(suffixes)}",
        do="name them by split, such as x.train.conll, x_dev.txt and x-test.conll; the validation "
        "file may be left out",
    )


def _files(folder: Path, suffixes: Suffixes) -> list[Path]:
    """Files below a folder with one of these suffixes, or a split's name as theirs."""
    return [
        file
        for file in sources.files(folder)
        if file.name not in DESCRIPTIONS
        and (file.suffix.lower() in suffixes or split_of(file.suffix))
    ]


def _one(files: list[Path], split: str) -> list[Path]:
    """The file of a split, or its numbered parts."""
    exact = [file for file in files if file.stem.lower() in ALIASES[split]]
    kept = exact or files
    shards = {(SHARD.sub("", file.stem), file.suffix) for file in kept}
    numbered = all(SHARD.search(file.stem) for file in kept)
    if len(kept) > 1 and not (numbered and len(shards) == 1):
        raise DataError(
            f"{kept[0].parent} has {len(kept)} files for the {split} split: "
            + ", ".join(file.name for file in kept[:5]),
            expected="one",
            do="move the others elsewhere, or join them",
        )
    return kept
