"""Named-entity data: sentences of words with IOB2 tags, grouped in documents.

Columns of every split: `tokens` and `ner_tags` (lists of str of equal length), `document` (int).
Files with the four columns of CoNLL-2003 give `pos_tags` and `chunk_tags` too.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset, DatasetDict

from workbench.core.described import Described
from workbench.core.errors import DataError
from workbench.core.sources import Source, resolve
from workbench.data import chinese, encodings, split_files, tagged_files
from workbench.data.split_files import SPLITS
from workbench.data.tagged_files import Row
from workbench.record.result import DataIssue

TYPES = {"conll2003": ("LOC", "MISC", "ORG", "PER"), "tiny_ner": ("LOC", "MISC", "ORG", "PER")}
HELD_OUT = 8
"""Of ten buckets of a hash, the one that is validation."""


@dataclass(frozen=True)
class NerData(Described):
    """Three splits, the entity types of the training split, and what a reader should know."""

    source: Source
    splits: DatasetDict
    types: tuple[str, ...]
    data_issues: dict[str, DataIssue] = field(default_factory=dict)
    """What was changed or is doubtful."""
    one_file: bool = False
    """Whether the splits are ours, made from one file by a hash."""
    notes: tuple[str, ...] = ()
    """How the files were read, where that is no matter of course."""

    @property
    def labels(self) -> list[str]:
        """IOB2 labels, `O` first: the classes of a token classifier."""
        return ["O", *(f"{prefix}-{kind}" for kind in self.types for prefix in "BI")]

    def describe(self) -> str:
        """Counts of each split, licence, and data issues, with fractions."""
        lines = [self.source.describe(), *self.notes]
        heads = ["documents", "sentences", "words", "entities", *self.types]
        width = max(10, *(len(head) + 2 for head in heads))
        lines.append("".join([" " * 10, *(f"{head:>{width}}" for head in heads)]))
        for name, split in self.splits.items():
            kinds = Counter(
                tag[2:] for tags in split["ner_tags"] for tag in tags if tag.startswith("B-")
            )
            counts = [len(set(split["document"])), len(split), sum(map(len, split["tokens"]))]
            counts += [kinds.total(), *(kinds[kind] for kind in self.types)]
            lines.append("".join([f"{name:<10}", *(f"{count:>{width},}" for count in counts)]))
        return "\n".join([*lines, *(issue.describe() for issue in self.data_issues.values())])


def load(name: str, *, train_sentences: int = 0) -> NerData:
    """Load a catalogue data set, a local file or folder, or a Hub repository (`hf:`).

    A file is CoNLL columns (see `conll`), or a table of words and tags, of spans of characters, or
    of a word a row (see `tagged_rows`). A folder holds `train`, `test` and mostly `validation`,
    which names of files may have as a part of theirs (see `split_files`). Without `validation` a
    tenth of the training documents becomes it, by the hash of their words, as `data_issues` says;
    the test split stays as it is, but without tags it is left out, and validation is the test
    split. A single file, and a folder's only one, is split by the same
    hash into 80, 10 and 10 per cent, so that more data moves none across, unless its rows name
    their `split`; so are training files alone. Tags of BIOES, BILOU and IO become IOB2, counted.
    With `train_sentences` the training split holds at most so many, of its documents in the order
    of their hashes. Raises DataError, with file and line where the format has them.
    """
    source = resolve(name, "dataset")
    changes: Counter[str] = Counter()
    types = TYPES.get(name, ())
    if name == "peoples_daily":
        rows = chinese.peoples_daily(source.path / "words.txt", changes)
    else:
        rows = tagged_files.read(source.path, types, changes)
    notes = encodings.notes(changes)
    rows = split_files.labelled(rows, bool, notes)
    rows = split_files.whole(rows, str(source.path))
    if one_file := "" in rows:
        rows = _split_by_hash(rows[""], source.path)
    if "validation" not in rows:
        rows |= _hold_out(rows["train"], source.path, changes)
    if train_sentences:
        rows["train"] = _sample(rows["train"], train_sentences, changes)
    types = tuple(sorted({tag[2:] for row in rows["train"] for tag in row["ner_tags"]} - {""}))
    for split in SPLITS:
        _check_types(rows[split], types, split)
    return NerData(
        source=source,
        splits=DatasetDict({split: Dataset.from_list(rows[split]) for split in SPLITS}),
        types=types,
        data_issues=_data_issues(rows, changes),
        one_file=one_file,
        notes=tuple(notes),
    )


def _hashes(rows: list[Row]) -> dict[int, bytes]:
    """The sha256 of each document's words."""
    words: dict[int, list[str]] = {}
    for row in rows:
        words.setdefault(row["document"], []).extend(row["tokens"])
    return {
        document: hashlib.sha256(" ".join(tokens).encode()).digest()
        for document, tokens in words.items()
    }


def _buckets(rows: list[Row]) -> dict[int, int]:
    """A number from 0 to 9 for each document, by the hash of its words."""
    return {document: digest[0] * 10 // 256 for document, digest in _hashes(rows).items()}


def _sample(rows: list[Row], most: int, changes: Counter[str]) -> list[Row]:
    """The first sentences of the documents in the order of their hashes, then in their own order.

    So a larger sample holds a smaller one.
    """
    hashes = _hashes(rows)
    chosen = sorted(range(len(rows)), key=lambda place: hashes[rows[place]["document"]])[:most]
    changes["not_trained"], changes["train"] = len(rows) - len(chosen), len(rows)
    return [rows[place] for place in sorted(chosen)]


def _split_by_hash(rows: list[Row], path: Path) -> dict[str, list[Row]]:
    """Put each document into a split by the hash of its words."""
    buckets = _buckets(rows)
    split: dict[str, list[Row]] = {name: [] for name in SPLITS}
    for row in rows:
        split[{8: "validation", 9: "test"}.get(buckets[row["document"]], "train")].append(row)
    if empty := [name for name, found in split.items() if not found]:
        raise DataError(
            f"{path}: its {len(buckets)} documents leave the splits {', '.join(empty)} empty",
            expected="more documents, or a folder with train, validation and test files",
        )
    return split


def _hold_out(rows: list[Row], path: Path, changes: Counter[str]) -> dict[str, list[Row]]:
    """Training and validation rows out of training rows: a tenth of the documents, by hash."""
    buckets = _buckets(rows)
    held = {document for document, bucket in buckets.items() if bucket == HELD_OUT}
    if not held or len(held) == len(buckets):
        raise DataError(
            f"{path} has no validation file, and a tenth of its {len(buckets)} training documents "
            "is none",
            expected="some dozens of documents, or a validation file",
        )
    changes["validation_from_train"], changes["documents"] = len(held), len(buckets)
    return {
        "train": [row for row in rows if row["document"] not in held],
        "validation": [row for row in rows if row["document"] in held],
    }


def _check_types(rows: list[dict], types: tuple[str, ...], split: str) -> None:
    found = {tag[2:] for row in rows for tag in row["ner_tags"]} - {""}
    if not found:
        raise DataError(f"the {split} split has no entity", expected="some B- tags")
    if extra := found - set(types):
        raise DataError(
            f"the {split} split has entities of type {', '.join(sorted(extra))}",
            expected=f"only the types of the training split: {', '.join(types)}",
        )


def _data_issues(rows: dict[str, list[Row]], changes: Counter[str]) -> dict[str, DataIssue]:
    """What was rewritten, moved or left out, and test sentences that stand in training too."""
    tags = sum(len(row["ner_tags"]) for split in rows.values() for row in split)
    schemes = [name.removeprefix("scheme ") for name in changes if name.startswith("scheme ")]
    rewritten = "tags rewritten to IOB2" + (f" from {', '.join(schemes)}" if schemes else "")
    notes = {
        "rewritten_tags": (tags, rewritten),
        "validation_from_train": (
            changes["documents"],
            "training documents made the validation split, by hash, as there was none",
        ),
        "not_trained": (changes["train"], "training sentences left out, as train_sentences says"),
        "widened": (changes["spans"], "entities widened to the whole words they touch"),
        "overlapping": (
            changes["spans"],
            "entities without a word, or that overlap a longer one, left out",
        ),
        "recoded": (changes["lines"], "lines that are no UTF-8, read as Latin-1"),
    }
    data_issues = {
        name: DataIssue(count=changes[name], of=of, note=note)
        for name, (of, note) in notes.items()
        if changes[name]
    }
    seen = {tuple(row["tokens"]) for row in rows["train"]}
    data_issues["test_in_train"] = DataIssue(
        count=sum(tuple(row["tokens"]) in seen for row in rows["test"]),
        of=len(rows["test"]),
        note="test sentences that also stand in the training split (kept)",
    )
    return data_issues
