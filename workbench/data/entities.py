"""Entities to type, made from tagged sentences: one item an entity, its type the label.

An item's text is its sentence with the entity in « »: `«EU» rejects German call`.
"""

import hashlib
from collections import Counter

import pandas
from datasets import Dataset, DatasetDict

from workbench.core.errors import DataError
from workbench.core.sources import resolve
from workbench.core.unspaced import joined
from workbench.data import DATASETS, ner, split_files, tables, tagged_files, tagged_rows
from workbench.data.tables import SPLITS
from workbench.data.text import COLUMNS, TextData
from workbench.record.iob import spans
from workbench.record.result import DataIssue

NAMES = {"PER": "person", "ORG": "organisation", "LOC": "location", "MISC": "other"}
"""Types of CoNLL-2003 in words; other types keep their names in lower case."""
OPEN, CLOSE = "«", "»"


def is_tagged(name: str) -> bool:
    """Whether a data set's name, or its files of splits, mean tagged sentences, not texts."""
    if name in DATASETS:
        return DATASETS[name] is ner
    path = resolve(name, "dataset").path
    files = split_files.of(path, tagged_files.SUFFIXES)
    places = {file: split_files.place(file, path)[1] for file in files}
    splits = [file for file in files if places[file]] or files
    # A test split may have been published without tags.
    splits = [file for file in splits if places[file] != "test"] or splits
    phrases = any(file.match(tables.PHRASES) for file in files)
    tagged = (tagged_files.conll_columns(file) or tagged_rows.is_tagged(file) for file in splits)
    return bool(splits) and not phrases and all(tagged)


def load(name: str) -> TextData:
    """Load named-entity data (see `ner.load`) as entities with their types.

    Each split's items come from its own sentences. Of equal texts the first of the latest split is
    kept, and none where their types differ; both are counted. The order is a hash's, so the first
    n items are a sample. Raises DataError where fewer than two types are left, or a split is empty.
    """
    data = ner.load(name)
    rows = pandas.DataFrame(
        [row for split in reversed(SPLITS) for row in _rows(data, split)],
        columns=["split", "cluster", "text", "label"],
    )
    doubtful = rows.groupby("text")["label"].transform("nunique") > 1
    kept = rows[~doubtful].drop_duplicates("text")
    counts = Counter(contradicting=int(doubtful.sum()), rows=len(rows))
    counts["repeated"] = len(rows) - counts["contradicting"] - len(kept)
    labels = tuple(sorted(set(kept["label"])))
    if len(labels) < 2:
        raise DataError(
            f"{data.source.name} has entities of {len(labels)} type only: {', '.join(labels)}",
            expected="two types at least",
        )
    if empty := [split for split in SPLITS if not (kept["split"] == split).any()]:
        raise DataError(
            f"{data.source.name} has no entity left in its {empty[0]} split ({counts['rows']:,} "
            f"entities; dropped: {counts['repeated']:,} repeated, {counts['contradicting']:,} "
            "repeated with another type)",
            expected="entities in each split",
        )
    names = kept["text"].map(lambda text: hashlib.sha256(text.encode()).hexdigest()[:12])
    kept = kept.assign(item=names).sort_values("item", kind="stable")
    return TextData(
        source=data.source,
        splits=DatasetDict(
            {
                split: Dataset.from_pandas(
                    kept.loc[kept["split"] == split, COLUMNS], preserve_index=False
                )
                for split in SPLITS
            }
        ),
        labels=labels,
        data_issues=_data_issues(counts),
        unit="documents",
    )


def parts(text: str) -> tuple[str, str]:
    """The entity and the plain sentence of an item's text.

    >>> parts("«EU» rejects German call")
    ('EU', 'EU rejects German call')
    """
    before, _, rest = text.partition(OPEN)
    entity, _, after = rest.partition(CLOSE)
    return entity, before + entity + after


def _rows(data: ner.NerData, split: str) -> list[tuple[str, str, str, str]]:
    """Split, document, text and label of each entity of a split."""
    found = []
    for row in data.splits[split]:
        # The two marks mean an entity and nothing else.
        words = [word.replace(OPEN, '"').replace(CLOSE, '"') for word in row["tokens"]]
        for kind, start, end in sorted(spans(row["ner_tags"]), key=lambda span: span[1]):
            entity = f"{OPEN}{joined(words[start:end])}{CLOSE}"
            text = joined([*words[:start], entity, *words[end:]])
            label = NAMES.get(kind, kind.lower())
            found.append((split, str(row["document"]), text, label))
    return found


def _data_issues(counts: Counter[str]) -> dict[str, DataIssue]:
    notes = {
        "repeated": "entities of a sentence that occurs again, dropped",
        "contradicting": "entities of equal sentences with different types, all dropped",
    }
    return {
        name: DataIssue(count=counts[name], of=counts["rows"], note=note)
        for name, note in notes.items()
    }
