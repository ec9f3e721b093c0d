"""Sentences of one language with their translations into another."""

from collections import Counter
from dataclasses import dataclass

from workbench.core.described import Described
from workbench.core.errors import DataError
from workbench.core.sources import Source, resolve
from workbench.data import split_files, tables
from workbench.data.repairs import repair
from workbench.record.result import DataIssue

FEWEST = 10
"""Pairs; fewer are no bitext to look for a sentence in."""


@dataclass(frozen=True)
class Bitext(Described):
    """N sentences and their translations, in the same order."""

    source: Source
    languages: tuple[str, str]
    """Names of the two columns."""
    sentences: tuple[list[str], list[str]]
    data_issues: dict[str, DataIssue]

    def describe(self) -> str:
        """How many pairs, their languages, and what was left out."""
        left, right = self.languages
        return "\n".join(
            [
                self.source.describe(),
                f"{len(self.sentences[0]):,} pairs of sentences, {left} and {right}",
                *(issue.describe() for issue in self.data_issues.values()),
            ]
        )


def load(name: str) -> Bitext:
    """Load a table of two columns, a language each, a sentence and its translation in a row.

    Rows without one of the two are dropped, and so is a row whose sentence stood in an earlier one
    in either language: then two translations would be right. Both are counted. DataError for
    another number of columns, or fewer than FEWEST pairs.
    """
    source = resolve(name, "dataset")
    path = split_files.only_file(source.path, tables.SUFFIXES)
    if path is None:
        raise DataError(
            f"{source.name} is a folder of several files",
            expected="one table of two columns, a language each",
            do="name the file",
        )
    counts: Counter[str] = Counter()
    frame = tables.read_file(path, counts)
    if frame.shape[1] != 2:
        raise DataError(
            f"{source.name} has {frame.shape[1]} columns: {split_files.some(list(frame.columns))}",
            expected="two, each with the sentences of a language and named after it",
        )
    whole = frame.dropna().astype(str)
    whole = whole.apply(lambda column: repair(column, counts))
    left, right = whole.columns
    kept = whole[~whole[left].duplicated() & ~whole[right].duplicated()]
    if len(kept) < FEWEST:
        raise DataError(f"{source.name} has {len(kept)} pairs", expected=f"{FEWEST} at least")
    issues = {
        "bitext_empty": DataIssue(
            count=len(frame) - len(whole), of=len(frame), note="pairs with one side only, dropped"
        ),
        "bitext_repeated": DataIssue(
            count=len(whole) - len(kept),
            of=len(frame),
            note="pairs whose sentence stood in an earlier one, dropped",
        ),
    }
    return Bitext(source, (left, right), (kept[left].tolist(), kept[right].tolist()), issues)
