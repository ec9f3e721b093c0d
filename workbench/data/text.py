"""Texts with one label each, for classification; also read without labels, as a corpus.

Columns of every split, all str: `item` (12 hex digits of the text's hash), `cluster` (what is drawn
together for intervals: here the item itself), `text`, `label`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from reprlib import repr as short

import ftfy
import pandas
from datasets import Dataset, DatasetDict
from ftfy.badness import is_bad

from workbench.data import tables
from workbench.data.tables import SPLITS
from workbench.errors import DataError
from workbench.result import Loss
from workbench.sources import Source, resolve

KNOWN = {"brand_tweets": ("text", "sentiment"), "tiny_reviews": ("text", "label")}
"""Catalogue data set -> its columns of text and label."""
COLUMNS = ["item", "cluster", "text", "label"]
MAX_LABELS = 100
UNPARSED = "unparsed"
"""What an answer that can't be read as a label counts as; so no label may be called that."""
REPAIR = ftfy.TextFixerConfig(uncurl_quotes=False)
NOISE = re.compile(r"https?://\S+|www\.\S+|@\w+")
WORD = re.compile(r"[^\W_]+")
ESCAPED = re.compile(r"(?:\\[nrt]){2,}|\\[nrt](?![a-z\"'])|\\(?=\$)")
"""Line breaks, tabs and dollar signs written as in program code: see `unescape`."""


@dataclass(frozen=True)
class TextData:
    """Three splits, the labels in order, and what was lost on the way."""

    source: Source
    splits: DatasetDict
    labels: tuple[str, ...]
    losses: dict[str, Loss] = field(default_factory=dict)
    unit: str = "texts"
    """What the column `cluster` holds together when intervals are made."""

    def describe(self) -> str:
        """Counts of each split and label, licence, and what was lost, with shares."""
        width = max(12, *(len(label) + 2 for label in self.labels))
        heads = ["texts", *self.labels]
        lines = [self.source.describe(), " " * 10 + "".join(f"{head:>{width}}" for head in heads)]
        for name, split in self.splits.items():
            kinds = Counter(split["label"])
            counts = [len(split), *(kinds[label] for label in self.labels)]
            lines.append(f"{name:<10}" + "".join(f"{count:>{width},}" for count in counts))
        return "\n".join([*lines, *(loss.describe() for loss in self.losses.values())])


def normal_form(text: str) -> str:
    """What two texts share that count as one: words in lower case, no links and no @names.

    >>> normal_form("RT @me: Great CAR!! http://t.co/x")
    'rt great car'
    """
    words = WORD.findall(NOISE.sub(" ", text.casefold()))
    return " ".join(words) or " ".join(text.casefold().split())


def split_of(text: str) -> str:
    """The split that a text belongs to, by the hash of its normal form: 80, 10 and 10 per cent.

    It depends on nothing else, so more data moves no text across.
    """
    bucket = int(digest(text)[:8], 16) * 10 // 16**8
    return {8: "validation", 9: "test"}.get(bucket, "train")


def load(
    name: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    also: Sequence[str] = (),
) -> TextData:
    """Load a catalogue data set, a .csv, .jsonl or .parquet file, a folder or a Hub repository.

    Or a file of Financial PhraseBank (`tables.PHRASES`), whose columns are `text` and `label`.
    A file is split by hash (see `split_of`); a folder's or repository's own splits are kept. Texts
    are repaired with ftfy. Of texts with one normal form the first is kept, and none where their
    labels differ; a text of a later split leaves the earlier ones. Rows without text or label are
    dropped. All of it is counted. Columns named in `also` are kept as str where the data has them,
    "" where a row has nothing there. Raises DataError for a missing column, no rows, one label
    only, more than 100 labels, or a label that the training split lacks.
    """
    source = resolve(name, "dataset")
    text_column, label_column = KNOWN.get(name, (text_column, label_column))
    kept = [*dict.fromkeys(extra for extra in also if extra not in [*COLUMNS, "split"])]
    counts: Counter[str] = Counter()
    frames = read(source, counts)
    rows = pandas.concat(
        [
            _columns(frame, split, text_column, label_column, source.name).join(
                _as_text(frame[[extra for extra in kept if extra in frame]])
            )
            for split, frame in frames.items()
        ],
        ignore_index=True,
    )
    counts["rows"] = len(rows)
    rows = _unique(_repaired(rows, counts), counts)
    if "" in frames:
        rows["split"] = rows["text"].map(split_of)
    labels = _check(rows, source.name)
    rows["item"] = rows["text"].map(lambda text: digest(text)[:12])
    # The hash's order is random and fixed: the first n are the same sample for everyone.
    rows = rows.assign(cluster=rows["item"]).sort_values("item", kind="stable")
    columns = [*COLUMNS, *(extra for extra in kept if extra in rows)]
    rows = rows.fillna("")
    splits = {
        split: Dataset.from_pandas(rows.loc[rows["split"] == split, columns], preserve_index=False)
        for split in SPLITS
    }
    return TextData(source, DatasetDict(splits), labels, _losses(counts))


def repair(texts: Iterable[str], counts: Counter[str]) -> list[str]:
    """Texts with encoding, HTML entities and literal escapes repaired where that can be done.

    Counts `escaped` texts (see `unescape`), `repaired` ones and those that still look `garbled`.
    """
    repaired = []
    for text in texts:
        plain = unescape(text)
        fixed = ftfy.fix_text(plain, REPAIR).strip()
        counts["escaped"] += plain != text
        counts["repaired"] += fixed != plain.strip()
        counts["garbled"] += is_bad(fixed)
        repaired.append(fixed)
    return repaired


def unescape(text: str) -> str:
    r"""Turn a literal `\n`, `\r` or `\t` into white space and `\$` into `$`.

    One such pair directly before a small letter or a quotation mark stays, as it may be part of a
    path, a formula or program code; of two or more in a row all are turned.

    >>> unescape(r"I'm sick.\nShe wants \$5")
    "I'm sick.\nShe wants $5"
    >>> print(unescape(r"C:\new, \nu and print('x\n')"))
    C:\new, \nu and print('x\n')
    """
    return ESCAPED.sub(lambda found: re.sub(r"\\(.?)", _unescaped, found[0]), text)


def _unescaped(pair: re.Match[str]) -> str:
    return {"n": "\n", "r": "\n", "t": "\t"}.get(pair[1], "")


def digest(text: str) -> str:
    """sha256 of a text's normal form, 64 hex digits."""
    return hashlib.sha256(normal_form(text).encode()).hexdigest()


def read(source: Source, counts: Counter[str]) -> dict[str, pandas.DataFrame]:
    """Tables by split; under the name "" where the rows are still to be split."""
    path = tables.only_file(source.path)
    if path is None and (files := sorted(source.path.glob(tables.PHRASES))):
        raise DataError(
            f"{source.name} has {', '.join(file.name for file in files)}",
            expected="one of these files; the stricter the agreement, the fewer of the same texts",
            do=f"set dataset to {source.name}/{files[0].name}",
        )
    if path is None:
        return tables.read_splits(source.path, counts)
    return {"": tables.read_file(path, counts)}


def _columns(
    frame: pandas.DataFrame, split: str, text: str, label: str, where: str
) -> pandas.DataFrame:
    return pandas.DataFrame(
        {
            "text": tables.column(frame, text, "text_column", where),
            "label": tables.column(frame, label, "label_column", where),
            "split": split,
        }
    )


def _as_text(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Columns of any kind as str, "" where there is nothing."""
    return frame.astype(object).where(frame.notna(), "").astype(str)


def _repaired(rows: pandas.DataFrame, counts: Counter[str]) -> pandas.DataFrame:
    """Rows that have text and label, as str, the text repaired."""
    whole = rows.dropna(subset=["text", "label"])
    whole = whole.assign(text=whole["text"].astype(str), label=whole["label"].astype(str))
    whole = whole.assign(label=whole["label"].str.strip())
    whole = whole[(whole["text"].str.strip() != "") & (whole["label"] != "")]
    counts["empty"] = len(rows) - len(whole)
    return whole.assign(text=repair(whole["text"], counts))


def _unique(rows: pandas.DataFrame, counts: Counter[str]) -> pandas.DataFrame:
    """One row a normal form, of the latest split; none where labels contradict each other."""
    order = rows["split"].map({name: place for place, name in enumerate([*SPLITS][::-1])})
    rows = rows.assign(normal=rows["text"].map(normal_form))
    rows = rows.iloc[order.fillna(0).argsort(kind="stable")]
    doubtful = rows.groupby("normal")["label"].transform("nunique") > 1
    counts["contradicting"] = int(doubtful.sum())
    kept = rows[~doubtful].drop_duplicates("normal")
    counts["repeated"] = len(rows) - counts["contradicting"] - len(kept)
    return kept.drop(columns="normal")


def _check(rows: pandas.DataFrame, where: str) -> tuple[str, ...]:
    labels = tuple(sorted(rows["label"].unique()))
    if len(labels) < 2:
        raise DataError(
            f"{where} has {len(labels)} label{'' if len(labels) == 1 else 's'} only"
            f"{': ' + labels[0] if labels else ', and no row with text and label'}",
            expected="texts of two labels at least",
        )
    if len(labels) > MAX_LABELS:
        raise DataError(
            f"{where} has {len(labels):,} different labels, such as {short(labels[0])}",
            expected=f"{MAX_LABELS} labels at most",
            do="set label_column to a column of classes",
        )
    if UNPARSED in labels:
        raise DataError(
            f"{where} has the label {UNPARSED!r}, which stands for answers that are no label",
            expected="labels of other names",
        )
    for split in SPLITS:
        part = rows.loc[rows["split"] == split, "label"]
        if part.empty:
            raise DataError(
                f"{where}: its {len(rows)} texts leave the {split} split empty",
                expected="some hundred texts, or a folder with train, validation and test files",
            )
    if absent := sorted(set(labels) - set(rows.loc[rows["split"] == "train", "label"])):
        raise DataError(
            f"{where}: the training split has no text of {', '.join(map(short, absent[:5]))}"
            f"{f' and {len(absent) - 5:,} more labels' if len(absent) > 5 else ''}",
            expected="each label in the training split",
            do="add texts of that label, or remove those there are",
        )
    return labels


def _losses(counts: Counter[str]) -> dict[str, Loss]:
    notes = {
        "recoded": "lines that are no UTF-8, read as Latin-1",
        "empty": "rows without text or label, dropped",
        "repeated": "repeated texts, dropped (case, links, @names and punctuation don't count)",
        "contradicting": "repeated texts with different labels, all dropped",
        "escaped": r"texts with literal \n, \r, \t or \$, turned into what they stand for",
        "repaired": "texts whose encoding or HTML entities were repaired",
        "garbled": "texts that still look wrongly encoded, kept",
    }
    return {
        name: Loss(
            count=counts[name], of=counts["lines" if name == "recoded" else "rows"], note=note
        )
        for name, note in notes.items()
    }
