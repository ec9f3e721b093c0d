"""Questions with their answers, and with choices to pick from where the data has them.

Columns of every split: `cluster` (12 hex digits of the question's hash), `question`, `answer` (the
right one's text) and `choices` (all of them, the right one among them; empty where wrong ones are
still to be drawn).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas
import yaml
from datasets import Dataset, DatasetDict

from workbench.core.described import Described
from workbench.core.errors import DataError, ParameterError
from workbench.core.sources import Source, resolve
from workbench.data import choices, encodings, reading, split_files, tables, text
from workbench.data.choices import answer_form
from workbench.data.repairs import repair
from workbench.data.tables import SPLITS
from workbench.record.result import DataIssue

COLUMNS = ["cluster", "question", "answer", "choices"]
DATA_ISSUES = {
    "recoded": "lines that are no UTF-8, read as Latin-1",
    "broken": "conversations without an answer, dropped",
    "longer": "conversations that go on after the first answer, cut there",
    "several": "questions with several accepted answers that differ, the first taken",
    "empty": "rows without question or answer, dropped",
    "alike": "questions two of whose choices are the same, dropped",
    "uneven": "questions with another number of choices than most, dropped",
    "repeated": "repeated questions with the same answer, dropped",
    "other_answers": "repeated questions with another answer than the first, dropped",
    "repaired": "questions and answers whose encoding or HTML entities were repaired",
    "garbled": "questions and answers that still look wrongly encoded, kept",
}
"""What is counted of a table, in words."""


@dataclass(frozen=True)
class QuestionData(Described):
    """Splits of questions, and the data issues."""

    source: Source
    splits: DatasetDict
    data_issues: dict[str, DataIssue] = field(default_factory=dict)
    unit: str = "questions"
    """What the column `cluster` holds together when intervals are made."""
    notes: tuple[str, ...] = ()
    """How the files, choices and answers of a table of one's own were read."""

    def describe(self) -> str:
        """Counts of each split, licence, and data issues, with fractions."""
        lines = [self.source.describe(), *self.notes]
        for name, split in self.splits.items():
            answers = len({answer_form(answer) for answer in split["answer"]})
            lines.append(f"{name:<10}{len(split):>8,} questions, {answers:,} different answers")
        return "\n".join([*lines, *(issue.describe() for issue in self.data_issues.values())])


def split_of(question: str) -> str:
    """The split of a question by its hash: one in ten lends examples, nine are asked about.

    Nothing is learned from the first kind, so a larger part would be lost to the test.
    """
    return "train" if text.split_of(question) == "test" else "test"


def load(name: str, *, categories: str = "trivia") -> QuestionData:
    """Load the catalogue's dialogs, or a table of one's own, with or without choices.

    `categories` are those of `dialogs`, comma-separated. A file is split by hash (see `split_of`);
    a folder's own splits are kept, but for a test split without answers. A passage stands before
    its question (see `reading`). Texts are repaired with ftfy. Of a question that occurs again,
    the first is kept, of the latest split. All that is lost is counted. Raises DataError for
    columns that are missing, choices or answers that can't be read (see `choices.read`), or no
    question left.
    """
    source = resolve(name, "dataset")
    counts: Counter[str] = Counter()
    if name == "dialogs":
        frames = {"": _categories(source, categories, counts)}
    else:
        frames = text.read(source, counts)
    notes = encodings.notes(counts)
    frames = {split: reading.flat(frame, counts, source.name) for split, frame in frames.items()}
    frames = split_files.labelled(
        frames, lambda frame: tables.has_labels(frame, choices.ANSWERS), notes
    )
    parts = [_rows(frame, split, source.name) for split, frame in frames.items()]
    rows = pandas.concat([part for part, _ in parts], ignore_index=True)
    layouts = dict.fromkeys(layout for _, layout in parts if layout)
    counts["rows"] += len(rows)
    rows = _unique(_even(_repaired(rows, counts), counts), counts)
    if "" in frames:
        rows["split"] = rows["question"].map(split_of)
    if rows[rows["split"] == "test"].empty:
        raise DataError(
            f"{source.name}: its {len(rows)} questions leave the test split empty"
            f"{_dropped(counts)}",
            expected="some questions with their answers",
        )
    rows["cluster"] = rows["question"].map(lambda question: text.digest(question)[:12])
    # The hash's order is random and fixed: the first n are the same sample for everyone.
    rows = rows.sort_values("cluster", kind="stable")
    splits = {
        split: Dataset.from_pandas(rows.loc[rows["split"] == split, COLUMNS], preserve_index=False)
        for split in SPLITS
        if (rows["split"] == split).any()
    }
    return QuestionData(
        source,
        DatasetDict(splits),
        _data_issues(counts),
        notes=(*notes, *layouts),
    )


def _categories(source: Source, names: str, counts: Counter[str]) -> pandas.DataFrame:
    """Questions and first answers of some of the files of `dialogs`."""
    known = sorted(file.stem for file in source.path.glob("*.yml"))
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted or [""]:
        if name not in known:
            raise ParameterError(f"unknown category {name!r}", expected=", ".join(known))
    talks = [talk for name in wanted for talk in _talks(source.path / f"{name}.yml")]
    whole = [talk for talk in talks if isinstance(talk, list) and len(talk) > 1]
    counts["rows"] = counts["broken"] = len(talks) - len(whole)
    counts["longer"] = sum(len(talk) > 2 for talk in whole)
    return pandas.DataFrame([talk[:2] for talk in whole], columns=["question", "answer"])


def _talks(path: Path) -> list[object]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]


def _rows(frame: pandas.DataFrame, split: str, where: str) -> tuple[pandas.DataFrame, str]:
    """Columns question, answer, choices (empty where none are given) and split; the layout."""
    columns = {str(name).strip().casefold(): name for name in reversed(frame.columns)}
    if "question" not in columns:
        raise DataError(
            f"{where} has no column 'question'; its columns: {', '.join(map(str, frame.columns))}",
            expected=choices.EXPECTED,
        )
    given = choices.read(frame, where)
    made: dict[str, Any] = {
        "question": frame[columns["question"]].astype(object),
        "answer": given.answers if given else choices.answer_column(frame, where),
        "choices": given.choices if given else [[] for _ in range(len(frame))],
    }
    return pandas.DataFrame(made | {"split": split}), given.layout if given else ""


def _repaired(rows: pandas.DataFrame, counts: Counter[str]) -> pandas.DataFrame:
    """Rows that have question and answer, as str, all texts repaired."""
    whole = rows.dropna(subset=["question", "answer"])
    whole = whole.assign(question=whole["question"].map(str), answer=whole["answer"].map(str))
    whole = whole[(whole["question"].str.strip() != "") & (whole["answer"].str.strip() != "")]
    counts["empty"] = len(rows) - len(whole)
    texts = [*whole["question"], *whole["answer"]]
    counts["texts"] = len(texts)
    found = repair(texts, counts)
    return whole.assign(
        question=found[: len(whole)],
        answer=found[len(whole) :],
        choices=whole["choices"].map(lambda given: repair(given, Counter())),
    )


def _even(rows: pandas.DataFrame, counts: Counter[str]) -> pandas.DataFrame:
    """Rows whose choices all differ, and are as many as most rows have."""
    kinds = [len({answer_form(one) for one in given}) for given in rows["choices"]]
    alike = rows["choices"].map(len).astype(int) > kinds
    rows = rows[~alike]
    sizes = rows["choices"].map(len).astype(int)
    usual = sizes == (sizes.mode().max() if len(rows) else 0)
    counts["alike"], counts["uneven"] = int(alike.sum()), int((~usual).sum())
    return rows[usual]


def _unique(rows: pandas.DataFrame, counts: Counter[str]) -> pandas.DataFrame:
    """One row for each question with its choices, of the latest split.

    Where choices are given, equal questions with other choices are other questions.
    """
    order = rows["split"].map({name: place for place, name in enumerate([*SPLITS][::-1])})
    rows = rows.assign(asked=list(map(_key, rows["question"], rows["choices"])))
    rows = rows.assign(said=rows["answer"].map(answer_form))
    rows = rows.iloc[order.fillna(0).argsort(kind="stable")]
    pairs = rows.drop_duplicates(["asked", "said"])
    kept = pairs.drop_duplicates("asked")
    counts["repeated"], counts["other_answers"] = len(rows) - len(pairs), len(pairs) - len(kept)
    return kept.drop(columns=["asked", "said"])


def _key(question: str, given: Sequence[str]) -> str:
    """The form in which two questions count as equal: stem and choices, in any order."""
    return "\n".join([text.normal_form(question), *sorted(map(answer_form, given))])


def _dropped(counts: Counter[str]) -> str:
    """The counts of dropped rows, in brackets, for an error."""
    found = [
        f"{counts[name]:,} {DATA_ISSUES[name]}"
        for name in ("broken", "empty", "alike", "uneven", "repeated", "other_answers")
        if counts[name]
    ]
    return f" (of {counts['rows']:,} rows: {'; '.join(found)})" if found else ""


def _data_issues(counts: Counter[str]) -> dict[str, DataIssue]:
    whole = {"recoded": "lines", "repaired": "texts", "garbled": "texts"}
    return {
        name: DataIssue(count=counts[name], of=counts[whole.get(name, "rows")], note=note)
        for name, note in DATA_ISSUES.items()
        if counts[name] or name in {"empty", "repeated", "other_answers"}
    }
