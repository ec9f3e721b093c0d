"""Texts with one label each, for classification; also read without labels, as a corpus.

Columns of every split, all str: `item` (12 hex digits of the text's hash; a text that occurs again
in a test split has `/2` and so on behind it), `cluster` (what is drawn together for intervals: a
text with its near copies), `text`, `label`. Where the data has its own splits, `row` is the number
of the row in its file, from 1.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas
from datasets import Dataset, DatasetDict

from workbench.core.described import Described
from workbench.core.errors import DataError
from workbench.core.sources import Source, resolve
from workbench.data import chinese, classes, encodings, intents, near, split_files, tables
from workbench.data.near import sha256
from workbench.data.repairs import repair
from workbench.data.tables import SPLITS
from workbench.record.metric import UNPARSED
from workbench.record.result import DataIssue

KNOWN = {
    "brand_tweets": ("text", "sentiment"),
    **dict.fromkeys(intents.LANGUAGES, ("text", "label")),
    "tiny_reviews": ("text", "label"),
    "zh_reviews": ("text", "label"),
}
"""Catalogue data set -> its columns of text and label."""
COLUMNS = ["item", "cluster", "text", "label"]
HELD_OUT = "validation is the tenth of the training texts that the hash of each text gives"


@dataclass(frozen=True)
class TextData(Described):
    """Three splits, the labels in order, and the data issues."""

    source: Source
    splits: DatasetDict
    labels: tuple[str, ...]
    data_issues: dict[str, DataIssue] = field(default_factory=dict)
    unit: str = "texts, near copies as one"
    """What the column `cluster` holds together when intervals are made."""
    notes: tuple[str, ...] = ()
    """How the files were read, where that is no matter of course."""

    def describe(self) -> str:
        """Counts of each split and label, licence, and data issues, with fractions.

        Of more than 12 labels the most frequent and the rarest are named.
        """
        counts = {name: Counter(split["label"]) for name, split in self.splits.items()}
        return "\n".join(
            [
                self.source.describe(),
                *self.notes,
                *classes.summary(counts, self.labels),
                *(issue.describe() for issue in self.data_issues.values()),
            ]
        )


def normal_form(text: str) -> str:
    """What two texts share that count as one: they differ in case and white space only.

    Case is folded as Unicode says, canonically equal characters are one; all others count.

    >>> normal_form("Great  CAR :-)"), normal_form("+8 %") == normal_form("-8 %")
    ('great car :-)', False)
    """
    folded = unicodedata.normalize("NFD", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def split_of(text: str) -> str:
    """The split that a text belongs to, by the hash of its `near.form`: 80, 10 and 10 per cent.

    It depends on the text alone, and near copies that differ in links, @names, `RT` and signs only
    are in one split. `load` also keeps together what shares four fifths of its three-word shingles:
    such a group goes where its text with the lowest hash belongs. So more data moves a text only if
    it brings a near copy of that text.
    """
    return _split(sha256(near.form(text)))


def load(
    name: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    also: Sequence[str] = (),
    drop_repeats: bool = False,
) -> TextData:
    """Load a catalogue data set, a table or a folder of tables (see `tables`), or a Hub repository.

    Or a file of Financial PhraseBank (`tables.PHRASES`), whose columns are `text` and `label`. A
    file is split by hash (see `split_of`). Splits of a folder, a repository or a column `split` are
    kept; where there is no validation, it comes out of training by the same hash; a test split
    without labels is left out, and validation is the test split. `text_column` may join columns
    (see `tables.texts`). Texts are repaired with ftfy. Of texts with one normal form the first is
    kept, and none where their labels differ; a text of a later split leaves the earlier ones. But a
    test split of the data's own stays whole, its repeats only counted, unless `drop_repeats` is
    set. Near copies are counted and never dropped. Rows without text or label are dropped; labels
    are read as `classes.merged` says. Columns named in `also` are kept as str where the data has
    them, "" where a row has nothing. The order of a split is that of the items' hashes: its first n
    texts are a sample, also of a file sorted by label. Raises DataError for a missing column, no
    rows, one label only, more than `classes.MAX_LABELS`, or a label that the training split lacks;
    with what was dropped before.
    """
    source = resolve(name, "dataset")
    columns = KNOWN.get(name, (text_column, label_column))
    kept = [*dict.fromkeys(extra for extra in also if extra not in [*COLUMNS, "split", "row"])]
    counts: Counter[str] = Counter()
    frames, notes = _frames(source, columns, counts)
    own = "" not in frames
    parts = [_columns(frame, split, columns, kept, source.name) for split, frame in frames.items()]
    rows = _repaired(pandas.concat(parts, ignore_index=True), counts)
    rows["near"] = near.keys(rows["text"])
    rows = _unique(rows, counts, whole=own and not drop_repeats)
    if not own:
        rows["split"] = rows["near"].map(_split)
    elif "validation" not in frames:
        rows["split"] = rows["split"].where(rows["split"] == "test", rows["near"].map(_held_out))
        notes.append(HELD_OUT)
    near.count(rows, counts, own=own)
    labels = classes.check(rows, source.name, UNPARSED, counts)
    splits = _splits(rows, [*COLUMNS, *(["row"] if own else []), *kept])
    return TextData(source, splits, labels, _data_issues(counts), notes=tuple(dict.fromkeys(notes)))


def _frames(
    source: Source, columns: tuple[str, str], counts: Counter[str]
) -> tuple[dict[str, pandas.DataFrame], list[str]]:
    """Tables of labelled texts by split, and how they were read."""
    frames = {
        split: tables.with_header(frame, *columns, source.name)
        for split, frame in read(source, counts).items()
    }
    notes = [note for frame in frames.values() for note in frame.attrs.get("notes", ())]
    notes += encodings.notes(counts)
    joined = tables.parts(columns[0])
    if len(joined) > 1 and columns[0] not in next(iter(frames.values())):
        notes.append(f"a text is {tables.BETWEEN.join(joined)}")
    kept = split_files.labelled(frames, lambda frame: tables.has_labels(frame, [columns[1]]), notes)
    return split_files.whole(kept, source.name), notes


def _splits(rows: pandas.DataFrame, columns: list[str]) -> DatasetDict:
    """The splits, each in the order of its items' hashes."""
    rows = rows.assign(item=rows["text"].map(lambda text: digest(text)[:12]))
    again = rows.groupby(["split", "item"]).cumcount() + 1
    items = rows["item"] + again.map(lambda number: f"/{number}" if number > 1 else "")
    # The hash's order is random and fixed: the first n are the same sample for everyone.
    rows = rows.assign(item=items, cluster=rows["near"].str[:12]).sort_values("item", kind="stable")
    rows = rows[[column for column in columns if column in rows]].assign(split=rows["split"])
    found = {split: rows[rows["split"] == split].drop(columns="split") for split in SPLITS}
    return DatasetDict(
        {
            split: Dataset.from_pandas(part.fillna(""), preserve_index=False)
            for split, part in found.items()
        }
    )


def digest(text: str) -> str:
    """sha256 of a text's normal form, 64 hex digits."""
    return sha256(normal_form(text))


def read(source: Source, counts: Counter[str]) -> dict[str, pandas.DataFrame]:
    """Tables by split; under the name "" where the rows are still to be split."""
    if source.name == "zh_reviews":
        return {"": chinese.reviews(source.path, counts)}
    if source.name in intents.LANGUAGES:
        return intents.sentences(source.path, intents.LANGUAGES[source.name], counts)
    path = split_files.only_file(source.path, tables.SUFFIXES)
    if path is None and (files := sorted(source.path.glob(tables.PHRASES))):
        raise DataError(
            f"{source.name} has {', '.join(file.name for file in files)}",
            expected="one of these files; the stricter the agreement, the fewer of the same texts",
            do=f"set dataset to {source.name}/{files[0].name}",
        )
    if path is None:
        return tables.read_splits(source.path, counts)
    return tables.by_column(tables.read_file(path, counts), source.name)


def _split(digest: str) -> str:
    bucket = int(digest[:8], 16) * 10 // 16**8
    return {8: "validation", 9: "test"}.get(bucket, "train")


def _held_out(digest: str) -> str:
    """Where a training text goes if there is no validation split."""
    return "validation" if _split(digest) == "validation" else "train"


def _columns(
    frame: pandas.DataFrame, split: str, columns: tuple[str, str], kept: list[str], where: str
) -> pandas.DataFrame:
    found = pandas.DataFrame(
        {
            "text": tables.texts(frame, columns[0], where),
            "label": tables.column(frame, columns[1], "label_column", where),
            "split": split,
            "row": frame.index + 1,
        }
    )
    return found.join(_as_text(frame[[extra for extra in kept if extra in frame]]))


def _as_text(frame: pandas.DataFrame) -> pandas.DataFrame:
    return frame.astype(object).where(frame.notna(), "").astype(str)


def _repaired(rows: pandas.DataFrame, counts: Counter[str]) -> pandas.DataFrame:
    """Rows that have text and label, as str, the text repaired and labels written one way each."""
    counts["rows"] = len(rows)
    rows = rows.assign(label=classes.merged(rows["label"], counts))
    whole = rows.dropna(subset=["text", "label"])
    whole = whole.assign(text=whole["text"].astype(str))
    whole = whole[whole["text"].str.strip() != ""]
    counts["empty"] = len(rows) - len(whole) - counts["no_label"] - counts["dash"]
    return whole.assign(text=repair(whole["text"], counts))


def _unique(rows: pandas.DataFrame, counts: Counter[str], *, whole: bool) -> pandas.DataFrame:
    """One row for each normal form, of the latest split; none where labels contradict each other.

    With `whole` all rows of the test split are kept, and what it has twice is only counted.
    """
    order = rows["split"].map({name: place for place, name in enumerate([*SPLITS][::-1])})
    rows = rows.assign(normal=rows["text"].map(normal_form))
    rows = rows.iloc[order.fillna(0).argsort(kind="stable")]
    test = (rows["split"] == "test") & whole
    if whole:
        counts["test_rows"] = int(test.sum())
        counts["test_repeated"] = int(rows.loc[test, "normal"].duplicated(keep=False).sum())
    others = rows[~test & ~rows["normal"].isin(rows.loc[test, "normal"])]
    doubtful = others.groupby("normal")["label"].transform("nunique") > 1
    counts["contradicting"] = int(doubtful.sum())
    kept = others[~doubtful].drop_duplicates("normal")
    counts["repeated"] = int((~test).sum()) - counts["contradicting"] - len(kept)
    return pandas.concat([rows[test], kept])


def _data_issues(counts: Counter[str]) -> dict[str, DataIssue]:
    copies = "near copies (same words but for links, @names, RT; or 4/5 of word triples)"
    notes = {
        "recoded": ("lines", "lines that are no UTF-8, read as Latin-1"),
        "rare_intents": ("templates", "templates of intents with few templates, left out"),
        "redrawn": ("templates", "templates that gave no new sentence, left out"),
        "empty": ("rows", "rows without text or label, dropped"),
        "no_label": ("rows", f"rows with a label such as {classes.MISSING_SHOWN}, dropped"),
        "dash": ("rows", "rows labelled -, which is no label beside words, dropped"),
        "none_label": ("rows", "rows whose label is the word None or NA, kept as a class"),
        "merged": (
            "rows",
            "labels written in another case or number format than most, read as the most frequent",
        ),
        "repeated": ("rows", "repeated texts, dropped (case and white space don't count)"),
        "contradicting": ("rows", "repeated texts with different labels, all dropped"),
        "test_repeated": (
            "test_rows",
            "test texts that occur more than once in the test split, kept",
        ),
        "near_copies": ("texts", f"{copies} of another text, kept, in one split"),
        "near_largest": ("texts", "texts of the largest group of near copies, which is one unit"),
        "near_labels": ("texts", "texts with another label than a near copy of theirs, kept"),
        "near_train": ("tested", f"test texts with {copies} in training, kept"),
        "near_train_labels": ("tested", "test texts whose near copies there have other labels"),
        "escaped": (
            "rows",
            r"texts with literal \n, \r, \t or \$, turned into what they stand for",
        ),
        "repaired": ("rows", "texts whose encoding or HTML entities were repaired"),
        "garbled": ("rows", "texts that still look wrongly encoded, kept"),
    }
    usual = {"recoded", "empty", "repeated", "contradicting", "repaired", "garbled"}
    return {
        name: DataIssue(count=counts[name], of=counts[whole], note=note)
        for name, (whole, note) in notes.items()
        if name in usual or counts[name]
    }
