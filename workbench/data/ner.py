"""Named-entity data: sentences of words with IOB2 tags, grouped in documents.

Columns of every split: `tokens` and `ner_tags` (lists of str of equal length), `document` (int).
Files with the four columns of CoNLL-2003 give `pos_tags` and `chunk_tags` too.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from workbench.data import conll, tables
from workbench.data.tables import SPLITS
from workbench.errors import DataError
from workbench.iob import to_iob2
from workbench.result import Loss
from workbench.sources import Source, resolve

TYPES = {"conll2003": ("LOC", "MISC", "ORG", "PER"), "tiny_ner": ("LOC", "MISC", "ORG", "PER")}
CONLL_2003 = ("pos_tags", "chunk_tags")
"""What stands between word and named-entity tag in the four columns of CoNLL-2003."""
CONLL_SUFFIXES = (".conll", ".txt")
TABLE_SUFFIXES = {".jsonl": "json", ".parquet": "parquet"}
TOKEN_COLUMNS = ("tokens", "words")
TAG_COLUMNS = ("ner_tags", "tags", "labels")


@dataclass(frozen=True)
class NerData:
    """Three splits, the entity types of the training split, and what a reader should know."""

    source: Source
    splits: DatasetDict
    types: tuple[str, ...]
    losses: dict[str, Loss] = field(default_factory=dict)
    """What was changed or is doubtful."""
    one_file: bool = False
    """Whether the splits are ours, made from one file by a hash."""

    @property
    def labels(self) -> list[str]:
        """IOB2 labels, `O` first: the classes of a token classifier."""
        return ["O", *(f"{prefix}-{kind}" for kind in self.types for prefix in "BI")]

    def describe(self) -> str:
        """Counts of each split, licence, and what was lost or is doubtful, with shares."""
        lines = [self.source.describe()]
        heads = ["documents", "sentences", "tokens", "entities", *self.types]
        width = max(10, *(len(head) + 2 for head in heads))
        lines.append("".join([" " * 10, *(f"{head:>{width}}" for head in heads)]))
        for name, split in self.splits.items():
            kinds = Counter(
                tag[2:] for tags in split["ner_tags"] for tag in tags if tag.startswith("B-")
            )
            counts = [len(set(split["document"])), len(split), sum(map(len, split["tokens"]))]
            counts += [kinds.total(), *(kinds[kind] for kind in self.types)]
            lines.append("".join([f"{name:<10}", *(f"{count:>{width},}" for count in counts)]))
        return "\n".join([*lines, *(loss.describe() for loss in self.losses.values())])


def load(name: str) -> NerData:
    """Load a catalogue data set, a local file or folder, or a Hub repository (`hf:`).

    A folder holds `train`, `validation` and `test` as CoNLL columns (.conll, .txt), or as JSON
    lines or Parquet with the columns `tokens` and `ner_tags`. A single file is split by a hash
    of its documents into 80, 10 and 10 per cent, so that more data moves none across; so is a
    folder's only file.
    Raises DataError, with file and line where the format has them.
    """
    source = resolve(name, "dataset")
    changes: Counter[str] = Counter()
    file = tables.only_file(source.path, (*CONLL_SUFFIXES, *TABLE_SUFFIXES))
    if file:
        rows = _split_by_hash(_read_file(file, changes), file)
    else:
        rows = _read_folder(source.path, TYPES.get(name, ()), changes)
    types = tuple(sorted({tag[2:] for row in rows["train"] for tag in row["ner_tags"]} - {""}))
    for split in SPLITS:
        _check_types(rows[split], types, split)
    return NerData(
        source=source,
        splits=DatasetDict({split: Dataset.from_list(rows[split]) for split in SPLITS}),
        types=types,
        losses=_losses(rows, changes["rewritten_tags"]),
        one_file=bool(file),
    )


def _read_folder(
    folder: Path, types: tuple[str, ...], changes: Counter[str]
) -> dict[str, list[dict]]:
    files = {
        split: next(
            (
                folder / f"{alias}{suffix}"
                for alias in aliases
                for suffix in CONLL_SUFFIXES
                if (folder / f"{alias}{suffix}").is_file()
            ),
            None,
        )
        for split, aliases in SPLITS.items()
    }
    if all(files.values()):
        return {split: _read_conll(path, types, changes) for split, path in files.items() if path}
    if any(files.values()):
        absent = ", ".join(split for split, path in files.items() if not path)
        raise DataError(
            f"{folder} has no {absent} file",
            expected="train, validation and test, each as .conll or .txt",
        )
    return _read_tables(folder, changes)


def _read_tables(folder: Path, changes: Counter[str]) -> dict[str, list[dict]]:
    """Read a folder as the Hub lays out data sets: Parquet or JSON lines, one split or more."""
    loaded = tables.load(str(folder))
    rows = {}
    for split, aliases in SPLITS.items():
        name = next((alias for alias in aliases if alias in loaded), None)
        if name is None:
            raise DataError(
                f"{folder} has the splits {', '.join(loaded)}", expected=", ".join(SPLITS)
            )
        rows[split] = _from_table(loaded[name], f"{folder} ({name})", changes)
    return rows


def _read_file(path: Path, changes: Counter[str]) -> list[dict]:
    if path.suffix in CONLL_SUFFIXES:
        return _read_conll(path, (), changes)
    if path.suffix in TABLE_SUFFIXES:
        kind = TABLE_SUFFIXES[path.suffix]
        table = tables.load(kind, data_files=str(path), split="train")
        return _from_table(table, str(path), changes)
    raise DataError(
        f"{path}: a {path.suffix or 'nameless'} file can't hold tagged words",
        expected=", ".join([*CONLL_SUFFIXES, *TABLE_SUFFIXES]),
    )


def _read_conll(path: Path, types: tuple[str, ...], changes: Counter[str]) -> list[dict]:
    found = conll.read(path, types=types)
    changes["rewritten_tags"] += found.rewritten_tags
    rows = [
        {"tokens": tokens, "ner_tags": tags, "document": document}
        for tokens, tags, document in zip(found.tokens, found.tags, found.documents, strict=True)
    ]
    if len(found.columns[0][0]) == len(CONLL_2003):
        for row, columns in zip(rows, found.columns, strict=True):
            row |= dict(zip(CONLL_2003, map(list, zip(*columns, strict=True)), strict=True))
    return rows


def _from_table(table: Dataset, where: str, changes: Counter[str]) -> list[dict]:
    """Rows of a table with words and tags; without a `document` column each row is one."""
    words = next((name for name in TOKEN_COLUMNS if name in table.column_names), None)
    tags = next((name for name in TAG_COLUMNS if name in table.column_names), None)
    if words is None or tags is None:
        raise DataError(
            f"{where} has the columns {', '.join(table.column_names)}",
            expected="tokens (or words) and ner_tags (or tags, labels)",
        )
    names = getattr(getattr(table.features[tags], "feature", None), "names", None)
    rows = []
    for number, row in enumerate(table):
        words_of_row, tags_of_row = row[words] or [], row[tags] or []
        labels = [
            names[tag] if names and 0 <= (tag or 0) < len(names) else tag for tag in tags_of_row
        ]
        for label in labels:
            if not isinstance(label, str) or not conll.TAG.fullmatch(label):
                raise DataError(
                    f"{where}, row {number}: unknown tag {label!r}",
                    expected="O, B-TYPE or I-TYPE, as text or as a ClassLabel",
                )
        if len(words_of_row) != len(labels) or not labels or None in words_of_row:
            raise DataError(
                f"{where}, row {number}: {len(words_of_row)} words and {len(labels)} tags",
                expected="one tag a word, and at least one word",
            )
        iob2, changed = to_iob2(labels)
        changes["rewritten_tags"] += changed
        rows.append(
            {"tokens": words_of_row, "ner_tags": iob2, "document": row.get("document", number)}
        )
    return rows


def _split_by_hash(rows: list[dict], path: Path) -> dict[str, list[dict]]:
    """Put each document into a split by the hash of its words."""
    words: dict[Any, list[str]] = {}
    for row in rows:
        words.setdefault(row["document"], []).extend(row["tokens"])
    place = {}
    for document, tokens in words.items():
        bucket = hashlib.sha256(" ".join(tokens).encode()).digest()[0] * 10 // 256
        place[document] = {8: "validation", 9: "test"}.get(bucket, "train")
    split: dict[str, list[dict]] = {name: [] for name in SPLITS}
    for row in rows:
        split[place[row["document"]]].append(row)
    if empty := [name for name, found in split.items() if not found]:
        raise DataError(
            f"{path}: its {len(words)} documents leave the splits {', '.join(empty)} empty",
            expected="more documents, or a folder with train, validation and test files",
        )
    return split


def _check_types(rows: list[dict], types: tuple[str, ...], split: str) -> None:
    found = {tag[2:] for row in rows for tag in row["ner_tags"]} - {""}
    if not found:
        raise DataError(f"the {split} split has no entity", expected="some B- tags")
    if extra := found - set(types):
        raise DataError(
            f"the {split} split has entities of type {', '.join(sorted(extra))}",
            expected=f"only the types of the training split: {', '.join(types)}",
        )


def _losses(rows: dict[str, list[dict]], rewritten: int) -> dict[str, Loss]:
    """Tags that were rewritten, and test sentences that a model may have seen in training."""
    losses = {}
    if rewritten:
        tags = sum(len(row["ner_tags"]) for split in rows.values() for row in split)
        losses["rewritten_tags"] = Loss(count=rewritten, of=tags, note="tags rewritten to IOB2")
    seen = {tuple(row["tokens"]) for row in rows["train"]}
    losses["test_in_train"] = Loss(
        count=sum(tuple(row["tokens"]) in seen for row in rows["test"]),
        of=len(rows["test"]),
        note="test sentences that also stand in the training split (kept)",
    )
    return losses
