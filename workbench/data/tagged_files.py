"""Files of tagged words, as CoNLL columns or tables, as sentences by split, their tags IOB2."""

from collections import Counter
from pathlib import Path
from typing import Any

from workbench.core.errors import DataError
from workbench.data import conll, split_files, tables, tagged_rows
from workbench.data.split_files import ALIASES, SPLITS
from workbench.record.iob import TAG, misfit, scheme_of

CONLL_2003 = ("pos_tags", "chunk_tags")
"""What stands between word and named-entity tag in the four columns of CoNLL-2003."""
CONLL_SUFFIXES = (
    *(".conll", ".txt", ".conllu", ".iob", ".iob2", ".bio"),
    *(f".{alias}" for alias in ALIASES),  # such as eng.testa
)
SUFFIXES = (*CONLL_SUFFIXES, *tables.SUFFIXES)
Row = dict[str, Any]


def read(path: Path, types: tuple[str, ...], changes: Counter[str]) -> dict[str, list[Row]]:
    """Return the sentences of a file, or of a folder's files, by split; under "" to be split.

    `types` are those that may occur; empty means any. `changes` gets the tags rewritten, spans
    widened or left out, and what `encodings.decode` counts. A test split without tags is []. Raises
    DataError for files of another form, or whose names say no split (see `split_files`).
    """
    if file := split_files.only_file(path, SUFFIXES):
        return _by_column(_read(file, types, changes), file)
    return {
        split: _joined(
            [
                _read(file, types, changes)
                for file in files
                if split != "test" or not _is_untagged(file)
            ]
        )
        for split, files in split_files.find(path, SUFFIXES).items()
    }


def _read(path: Path, types: tuple[str, ...], changes: Counter[str]) -> list[Row]:
    """The sentences of one file, their tags as IOB2."""
    suffix = path.suffix.lower()
    if suffix in CONLL_SUFFIXES or (suffix == ".tsv" and not tagged_rows.is_header(_first(path))):
        return _read_conll(path, types, changes)
    if suffix in tables.SUFFIXES:
        return _from_rows(tagged_rows.read(path, changes), path, changes)
    raise DataError(
        f"{path}: a {path.suffix or 'nameless'} file can't hold tagged words",
        expected=", ".join(SUFFIXES),
    )


def _is_untagged(path: Path) -> bool:
    read = conll if path.suffix.lower() in CONLL_SUFFIXES else tagged_rows
    return read.is_untagged(path)


def conll_columns(path: Path) -> bool:
    """Whether a file holds CoNLL columns: by its name; a .tsv if its first line has a tag."""
    suffix = path.suffix.lower()
    tags = map(TAG.fullmatch, _first(path).split("\t")) if suffix == ".tsv" else ()
    return suffix in CONLL_SUFFIXES or any(tags)


def _first(path: Path) -> str:
    """The first line of a file that is not empty."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return next(filter(None, map(str.strip, file)), "")


def _read_conll(path: Path, types: tuple[str, ...], changes: Counter[str]) -> list[Row]:
    found = conll.read(path, types=types, counts=changes)
    _count(found.rewritten_tags, found.scheme, changes)
    rows = [
        {"tokens": tokens, "ner_tags": tags, "document": document}
        for tokens, tags, document in zip(found.tokens, found.tags, found.documents, strict=True)
    ]
    if len(found.columns[0][0]) == len(CONLL_2003):
        for row, columns in zip(rows, found.columns, strict=True):
            row |= dict(zip(CONLL_2003, map(list, zip(*columns, strict=True)), strict=True))
    return rows


def _from_rows(rows: list[Row], path: Path, changes: Counter[str]) -> list[Row]:
    """Rows of a table, their tags as IOB2 and their documents numbered."""
    tags = [(at, tag) for at, row in enumerate(rows) for tag in row["ner_tags"]]
    scheme = scheme_of(tag for _, tag in tags)
    if not scheme:
        at, tag = tags[misfit(tag for _, tag in tags)]
        raise conll.unknown_tag(tag, f"{path}, row {at}")
    numbers: dict[str, int] = {}
    for row in rows:
        row["ner_tags"], changed = conll.iob2(row["ner_tags"], scheme)
        row["document"] = numbers.setdefault(str(row["document"]), len(numbers))
        _count(changed, scheme, changes)
    return rows


def _count(changed: int, scheme: str, changes: Counter[str]) -> None:
    """Count rewritten tags, and under a scheme's name those of the schemes that aren't IOB."""
    changes["rewritten_tags"] += changed
    if scheme not in ("IOB", ""):
        changes[f"scheme {scheme}"] += changed


def _joined(parts: list[list[Row]]) -> list[Row]:
    """Rows of a split's files, the documents numbered on."""
    rows: list[Row] = []
    for part in parts:
        start = max(row["document"] for row in rows) + 1 if rows else 0
        for row in part:
            row.pop("split", None)  # the file says it
            rows.append(row | {"document": start + row["document"]})
    return rows


def _by_column(rows: list[Row], path: Path) -> dict[str, list[Row]]:
    """The splits that rows name themselves; all under "" where they name fewer than two."""
    named = split_files.named([row.pop("split", "") for row in rows], str(path))
    return {
        split: [row for row, own in zip(rows, named, strict=True) if own == split]
        for split in SPLITS
        if split in named
    } or {"": rows}
