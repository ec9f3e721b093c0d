"""Chinese data as packages carry it: People's Daily with names, and reviews."""

from collections import Counter
from pathlib import Path

import pandas

from workbench.core.errors import IntegrityError
from workbench.data import encodings
from workbench.data.tagged_rows import Found, tagged

TYPES = {"nr": "PER", "ns": "LOC", "nt": "ORG"}
"""Part-of-speech tag of a name in the corpus -> entity type."""
DOUBLE_SURNAMES = frozenset(
    "欧阳 司马 诸葛 令狐 司徒 南宫 上官 东方 皇甫 尉迟 公孙 慕容 长孙 宇文 闻人 夏侯 端木".split()
)
SENTENCE_ENDS = "。！？"
CLOSING = "”’」』）》"
HELD_OUT = {"test": 1000, "validation": 500}
"""Paragraphs at the end of the month, which are the splits: the last ones, and those before."""


def peoples_daily(path: Path, counts: Counter[str]) -> dict[str, list[dict]]:
    """Sentences of characters with IOB2 tags; a document is a paragraph, which is a line.

    The file is in order of date, but holds no dates: the end of January 1998 is the test split,
    what is before it validation. A person's surname and given name are words of their own in the
    corpus, and one name here; organisations are those written as one word. Raises IntegrityError
    for a line of another form.
    """
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    sizes = {"train": len(lines) - sum(HELD_OUT.values()), **dict(reversed(HELD_OUT.items()))}
    names = [split for split, size in sizes.items() for _ in range(size)]
    found: dict[str, list[dict]] = {split: [] for split in sizes}
    for number, (split, line) in enumerate(zip(names, lines, strict=True)):
        words = [word.rpartition("/")[::2] for word in line]
        if not all(word and tag for word, tag in words):
            raise IntegrityError(f"{path}, line {number + 1}: a word without a tag")
        text, spans = _spans(words)
        for tokens, tags in tagged(text, spans, counts):
            found[split].append({"tokens": tokens, "ner_tags": tags, "document": number})
    return found


def _spans(words: list[tuple[str, str]]) -> tuple[str, list[Found]]:
    """The text of a paragraph, a sentence a line, and its names: type, start, end in characters."""
    spans: list[Found] = []
    text = ""
    before: list[str] = []  # words of the person's name that the last span holds
    for at, (word, tag) in enumerate(words):
        end = len(text) + len(word)
        if tag == "nr" and before and _goes_on(before, words[at + 1 :]):
            spans[-1] = ("PER", spans[-1][1], end)
            before.append(word)
        elif tag in TYPES:
            spans.append((TYPES[tag], len(text), end))
            before = [word]
        if tag != "nr":
            before = []
        text += word
        following = words[at + 1][0] if at + 1 < len(words) else ""
        if text.rstrip(CLOSING)[-1:] in SENTENCE_ENDS and following not in (
            *SENTENCE_ENDS,
            *CLOSING,
        ):
            text += "\n"
    return text, spans


def _goes_on(before: list[str], after: list[tuple[str, str]]) -> bool:
    """Whether another word tagged as a name belongs to the person that words before it began.

    It does after a surname. Two surnames of one character before a given name are a married
    woman's (陈 方 安生), if no other name follows.
    """
    if before[-1] in DOUBLE_SURNAMES or len(before[-1]) == 1:
        last = not after or after[0][1] != "nr"
        return len(before) == 1 or (len(before) == 2 and len(before[0]) == 1 and last)
    return False


def reviews(folder: Path, counts: Counter[str]) -> pandas.DataFrame:
    """Reviews, one in each line of two files, with the columns `text` and `label`.

    `counts` gets what `encodings.decode` counts.
    """
    parts = []
    for label in ("positive", "negative"):
        path = folder / f"{label}.txt"
        # Only LF ends a line: a review may hold other line ends.
        lines = encodings.decode(path.read_bytes(), counts, path).split("\n")
        parts.append(pandas.DataFrame({"text": lines, "label": label}))
    whole = pandas.concat(parts, ignore_index=True)
    return whole[whole["text"].str.strip() != ""].reset_index(drop=True)
