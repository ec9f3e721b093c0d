"""IOB tags: rewriting them to IOB2, reading entities out of them, choosing them from scores."""

import re
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Span = tuple[str, int, int]
"""Entity type, first word, one past the last word."""


SCHEMES = {"IOB": "BI", "BIOES": "BIES", "BILOU": "BILU", "BMESO": "BMES"}
"""Scheme -> first letters of its tags, besides `O`; IOB stands for IOB1, IOB2 and IO."""
BARE = "types alone"
"""The scheme of tags without a first letter, such as `PER`."""
TAG = re.compile(r"O|[BIMESLU]-\S+")


def scheme_of(tags: Iterable[str]) -> str:
    """Return the scheme that all tags of a file fit, a key of SCHEMES or BARE; "" for none.

    Types alone are tags only beside an `O`, as otherwise any column of words would be one.

    >>> scheme_of(["O", "S-LOC"]), scheme_of(["O", "LOC"]), scheme_of(["B-LOC", "LOC"])
    ('BIOES', 'types alone', '')
    """
    distinct = set(tags)
    prefixed = [tag for tag in distinct if TAG.fullmatch(tag)]
    if len(prefixed) == len(distinct):
        letters = {tag[0] for tag in distinct} - {"O"}
        return next((name for name, known in SCHEMES.items() if letters <= set(known)), "")
    bare = all(re.fullmatch(r"[^\W\d]\S*", tag) for tag in distinct)
    return BARE if prefixed == ["O"] and bare else ""


def misfit(tags: Iterable[str]) -> int:
    """Return the place of the first tag that with those before it fits no scheme, or -1.

    >>> misfit(["O", "B-LOC", "E-LOC", "U-LOC"])
    3
    """
    letters: set[str] = set()
    for place, tag in enumerate(tags):
        letters |= {tag[:1]} - {"O"}
        if not TAG.fullmatch(tag) or not any(letters <= set(each) for each in SCHEMES.values()):
            return place
    return -1


def to_iob2(tags: Sequence[str]) -> tuple[list[str], int]:
    """Rewrite tags of a scheme of SCHEMES to IOB2; return them and how many changed.

    An I-, M-, E- or L- tag continues an entity of its type that is open, and begins one elsewhere.
    E-, L-, S- and U- close theirs. This turns IOB1 into IOB2 (Tjong Kim Sang and Veenstra 1999,
    section 2) and leaves IOB2 as is.

    >>> to_iob2(["I-PER", "I-PER", "I-LOC", "B-LOC", "O"])
    (['B-PER', 'I-PER', 'B-LOC', 'B-LOC', 'O'], 2)
    >>> to_iob2(["S-LOC", "B-PER", "E-PER"])
    (['B-LOC', 'B-PER', 'I-PER'], 2)
    """
    rewritten, open_type = [], ""
    for tag in tags:
        letter, kind = tag[:1], tag[2:]
        continues = bool(kind) and letter in "IMEL" and kind == open_type
        rewritten.append(f"{'I' if continues else 'B'}-{kind}" if kind else tag)
        open_type = kind if letter in "BIM" else ""
    return rewritten, sum(old != new for old, new in zip(tags, rewritten, strict=True))


def spans(tags: Sequence[str], *, lenient: bool = False) -> set[Span]:
    """Entities of one sentence's tags.

    Strict IOB2: an entity begins with B- and goes on over I- of its type; any other I- tag is no
    entity. Lenient, as conlleval and seqeval's default read: such an I- tag begins an entity.

    >>> sorted(spans(["B-PER", "I-PER", "O", "I-LOC"]))
    [('PER', 0, 2)]
    >>> sorted(spans(["B-PER", "I-PER", "O", "I-LOC"], lenient=True))
    [('LOC', 3, 4), ('PER', 0, 2)]
    """
    if lenient:
        tags, _ = to_iob2(tags)
    found = set()
    start, kind = 0, ""
    for index, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            found.add((kind, start, index))
            kind = ""
        if tag.startswith("B-"):
            start, kind = index, tag[2:]
    return found


def aligned(gold: set[Span], predicted: set[Span]) -> list[tuple[Span | None, Span | None]]:
    """Each gold entity, in order, with the predicted one that it shares most words with.

    None stands for what has no partner: a missed entity, or at the end a spurious one.

    >>> aligned({("PER", 0, 2), ("LOC", 3, 4)}, {("ORG", 1, 2), ("LOC", 5, 6)})
    [(('PER', 0, 2), ('ORG', 1, 2)), (('LOC', 3, 4), None), (None, ('LOC', 5, 6))]
    """
    pairs: list[tuple[Span | None, Span | None]] = []
    free = set(predicted)
    for kind, start, end in sorted(gold, key=lambda span: span[1]):
        overlaps = {
            span: min(end, span[2]) - max(start, span[1])
            for span in free
            if min(end, span[2]) > max(start, span[1])
        }
        best = max(overlaps, key=lambda span: (overlaps[span], span), default=None)
        free.discard(best)
        pairs.append(((kind, start, end), best))
    return pairs + [(None, span) for span in sorted(free, key=lambda span: span[1])]


def decode(scores: NDArray[np.floating], labels: Sequence[str]) -> list[str]:
    """The best valid IOB2 tags for scores [words, labels], by the Viterbi algorithm.

    Scores are log-probabilities or logits; I- tags follow only B- or I- of their type.

    >>> decode(np.array([[1.0, 0.0, 0.0], [0.0, 0.2, 0.9]]), ["O", "B-PER", "I-PER"])
    ['O', 'B-PER']
    """
    costs = forbidden(tuple(labels))
    best = scores[0] + costs[-1]
    steps = []
    for row in scores[1:]:
        paths = best[:, None] + costs[:-1]
        steps.append(paths.argmax(axis=0))
        best = paths.max(axis=0) + row
    chosen = [int(best.argmax())]
    for step in reversed(steps):
        chosen.append(int(step[chosen[-1]]))
    return [labels[index] for index in reversed(chosen)]


@cache
def forbidden(labels: tuple[str, ...]) -> NDArray[np.float64]:
    """0 or minus infinity for each step [from, to]; the last row is the start of a sentence."""
    cost = np.zeros((len(labels) + 1, len(labels)))
    for row, before in enumerate([*labels, "O"]):
        for column, after in enumerate(labels):
            if after.startswith("I-") and before[2:] != after[2:]:
                cost[row, column] = -np.inf
    return cost
