"""Passages of running text: equal in size for every corpus, and the same for every tokenizer.

How well a text is predicted depends on how much of it stands before: a tweet ends after some forty
tokens, an article goes on. So short documents are joined, with a blank line between them, until a
passage is full, and long ones are cut.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from workbench.record.statistics import MIN_CLUSTERS

SEPARATOR = "\n\n"
"""Between the documents of a passage; it is scored as part of the text."""


@dataclass(frozen=True)
class Passage:
    """The beginning of a document, or several documents of which the last may be cut."""

    text: str
    starts: list[int]
    """Place of each document's first character in `text`."""


@dataclass(frozen=True)
class Taken:
    """Passages of a corpus, and the documents that none of them touches."""

    passages: list[Passage]
    used: int
    """Number of documents at the beginning of the corpus that the passages come from."""

    def first(self, count: int) -> "Taken":
        """The first passages only, with their documents."""
        kept = self.passages[:count]
        return Taken(kept, sum(len(passage.starts) for passage in kept))


def take(documents: Sequence[str], size: int, most: int) -> Taken:
    """Fill at most `most` passages of `size` UTF-8 bytes from the first half of the documents.

    A character that does not fit whole is left out, so that up to 3 bytes may be missing. The last
    passage is left out where the documents end before it is full, unless it is the only one.
    """
    found: list[Passage] = []
    used, half = 0, math.ceil(len(documents) / 2)
    while len(found) < most and used < half:
        parts: list[str] = []
        missing = size
        while missing > 0 and used + len(parts) < half:
            document = documents[used + len(parts)]
            missing -= len(document.encode()) + len(SEPARATOR) * bool(parts)
            parts.append(document)
        if missing > 0 and found:
            break
        text = SEPARATOR.join(parts).encode()[:size].decode(errors="ignore")
        ends = accumulate(len(part) + len(SEPARATOR) for part in parts)
        # Where the last separator is cut or ends the passage, the next document is untouched.
        starts = [start for start in [0, *ends][: len(parts)] if start < len(text)]
        found.append(Passage(text, starts))
        used += len(starts)
    return Taken(found, used)


def equal(taken: dict[str, Taken]) -> dict[str, Taken]:
    """Give every corpus the same number of passages; one of fewer than 10 keeps what it has."""
    counts = [len(each.passages) for each in taken.values()]
    least = min((count for count in counts if count >= MIN_CLUSTERS), default=max(counts))
    return {name: each.first(least) for name, each in taken.items()}
