"""Labels of texts: one way to write each, checks of them, and their counts in few lines."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas

from workbench.core.errors import DataError
from workbench.data.tables import SPLITS

MAX_LABELS = 200
"""More labels than this are refused: tables and prompts name every label."""
MISSING = {"nan", "null", "n/a", "#n/a", "<na>", "#na", "-nan"}
"""Labels, in lower case, that say that there is none."""
DASH = "-"
"""A label that says, beside words, that annotators did not agree; but beside `+` it is a class."""
MISSING_SHOWN = "NaN, null or N/A"
DOUBTFUL = {"none", "na", "nil"}
"""Labels, in lower case, that may say that there is none and may be a class."""
WHOLE = re.compile(r"[+]?(-?(?:0|[1-9]\d*))(?:[.,]0*)?")
"""A whole number, as tables write it: 1, +1, 1.0, 1,0."""
WORD = re.compile(r"[^\W\d_]{2}")
MOST_SHOWN, ENDS_SHOWN, WIDEST = 12, 5, 24
"""Labels of which each has its column; else how many of each end are named; characters of one."""


def merged(labels: pandas.Series, counts: Counter[str]) -> pandas.Series:
    """Labels as str, each written in one way; None where a row has none.

    Labels that differ in case, white space or as whole numbers only (`True` and `true`, `1` and
    `1.0`) are one, written as most rows have it; `counts` gets how many were `merged`. Those in
    `MISSING` are none (`no_label`), nor is `DASH` beside words (`dash`); those in
    `DOUBTFUL` are kept and counted (`none_label`).
    """
    given = labels.astype(object).where(labels.notna(), None).tolist()
    written = [None if label is None else " ".join(str(label).split()) or None for label in given]
    often = Counter(label for label in written if label is not None)
    usual: dict[str, str] = {}
    for label in sorted(often, key=lambda label: (-often[label], label)):
        usual.setdefault(_form(label), label)
    words = [label for label in often if label != DASH]
    none = MISSING | ({DASH} if len(words) > 1 and all(map(WORD.search, words)) else set())
    for label, number in often.items():
        counts["dash"] += number * (label == DASH and DASH in none)
        counts["no_label"] += number * (label.casefold() in MISSING)
        counts["none_label"] += number * (label.casefold() in DOUBTFUL)
        counts["merged"] += number * (usual[_form(label)] != label)
    kept = {label: usual[_form(label)] for label in often if label.casefold() not in none}
    found = [kept.get(label) if label is not None else None for label in written]
    return pandas.Series(found, index=labels.index, dtype=object)


def _form(label: str) -> str:
    number = WHOLE.fullmatch(label)
    return number[1] if number else label.casefold()


def check(
    rows: pandas.DataFrame, where: str, reserved: str, counts: Counter[str]
) -> tuple[str, ...]:
    """The labels in order; DataError for rows that can't be learned from, with what was dropped.

    `rows` has the columns `label` and `split`; no label may be called `reserved`.
    """
    often = Counter(rows["label"])
    labels = tuple(sorted(often))
    dropped = _dropped(counts)
    if len(labels) < 2:
        raise DataError(
            f"{where} has {len(labels)} label{'' if len(labels) == 1 else 's'} only"
            f"{': ' + shown(labels[0]) if labels else ', and no row with text and label'}{dropped}",
            expected="texts of two labels at least",
        )
    if len(labels) > MAX_LABELS:
        raise DataError(
            f"{where} has {len(labels):,} different labels in {len(rows):,} texts; {_ends(often)}",
            expected=f"{MAX_LABELS} labels at most",
            do="set label_column to a column of classes",
        )
    if reserved in labels:
        raise DataError(
            f"{where} has the label {reserved!r}, which stands for answers that are no label",
            expected="labels of other names",
        )
    if empty := [split for split in SPLITS if not (rows["split"] == split).any()]:
        largest = counts["near_largest"]
        copies = f"; {largest:,} of them are near copies, kept in one split" if largest else ""
        raise DataError(
            f"{where}: its {len(rows):,} texts leave the {empty[0]} split empty{copies}{dropped}",
            expected="some hundred texts, or a folder with train and test files",
        )
    if absent := sorted(set(labels) - set(rows.loc[rows["split"] == "train", "label"])):
        few = [f"{shown(label)!r} ({often[label]:,} in all)" for label in absent[:ENDS_SHOWN]]
        raise DataError(
            f"{where}: the training split has no text of {', '.join(few)}"
            f"{f' and {len(absent) - len(few):,} more labels' if len(absent) > len(few) else ''}"
            f"{dropped}",
            expected="each label in the training split",
            do="add texts of that label, or remove those there are",
        )
    return labels


def summary(counts: Mapping[str, Counter[str]], labels: Sequence[str]) -> list[str]:
    """Lines with the texts of each split, and of each label where there are few."""
    heads = ["texts", *map(shown, labels)] if len(labels) <= MOST_SHOWN else ["texts", "labels"]
    width = max(12, *(len(head) + 2 for head in heads))
    lines = [" " * 10 + "".join(f"{head:>{width}}" for head in heads)]
    for name, own in counts.items():
        each = [own[label] for label in labels] if len(labels) <= MOST_SHOWN else [len(own)]
        lines.append(f"{name:<10}" + "".join(f"{n:>{width},}" for n in [own.total(), *each]))
    if len(labels) > MOST_SHOWN:
        lines.append(_ends(sum(counts.values(), Counter())))
    return lines


def shown(label: str) -> str:
    """A label of at most 24 characters.

    >>> shown("a label that is much longer than that")
    'a label that is much lo…'
    """
    return label if len(label) <= WIDEST else label[: WIDEST - 1] + "…"


def _ends(often: Counter[str]) -> str:
    """The most frequent and the rarest labels, with their number of texts."""
    order = [f"{shown(label)} {n:,}" for label, n in often.most_common()]
    return (
        f"most frequent: {', '.join(order[:ENDS_SHOWN])}; rarest: {', '.join(order[-ENDS_SHOWN:])}"
    )


def _dropped(counts: Counter[str]) -> str:
    """Of how many rows what was dropped, for an error; "" where nothing was."""
    names = {
        "empty": "without text or label",
        "no_label": f"labelled {MISSING_SHOWN}",
        "dash": "labelled -",
        "repeated": "repeated",
        "contradicting": "repeated with other labels",
    }
    found = [f"{counts[name]:,} {words}" for name, words in names.items() if counts[name]]
    return f" ({counts['rows']:,} rows; dropped: {', '.join(found)})" if found else ""
