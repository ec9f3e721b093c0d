"""Where a tagger goes wrong: kinds of error, kinds of entity and sentence, labels it disputes."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from workbench.data.ner import NerData
from workbench.methods.tag_scores import drawn
from workbench.record import metrics as m
from workbench.record.draws import Counts
from workbench.record.iob import Span, aligned, spans
from workbench.record.metrics import Tags
from workbench.record.statistics import Statistic, measure

ELSEWHERE = "not in the sentence"
NOWHERE = (-1, -1)
"""First word and end of an entity that has no place."""
MENDED = {
    "type": (1, 0, 0),
    "boundary": (1, 0, 0),
    "type and boundary": (1, 0, 0),
    "missed": (1, 1, 0),
    "spurious": (0, -1, 0),
    ELSEWHERE: (0, -1, 0),
}
"""Kind of error -> what mending one adds to the counts of (correct, predicted, gold) entities."""
SURE = 0.99
"""Least probability of every tag in dispute for the tagger to be sure."""
MOST_DISPUTED = 15
Pair = tuple[int, Span | None, Span | None]
"""Sentence, gold entity and the predicted one that it shares most words with."""
Part = Callable[[int, Span], str]
"""Names the part of the split that an entity of a sentence belongs to; "" for none."""


def study(
    data: NerData,
    predicted: Tags,
    confidence: Sequence[Sequence[float]] | None = None,
    unplaced: Sequence[Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Errors on the test split by kind, F1 by part of it, and labels in dispute.

    `confidence` is the probability of each chosen tag, one list for each sentence; without it no
    label is in dispute. `unplaced` are of each sentence the types of entities that were named but
    have no place in it: an error of their own kind, in no part.
    """
    pairs = [
        (sentence, *pair)
        for sentence, tags in enumerate(
            zip(data.splits["test"]["ner_tags"], predicted, strict=True)
        )
        for pair in aligned(*map(spans, tags))
    ]
    named = [
        (sentence, None, (kind, *NOWHERE))
        for sentence, kinds in enumerate(unplaced or [])
        for kind in kinds
    ]
    errors = _by_kind(data, [*pairs, *named])
    if unplaced is None:
        errors = [row for row in errors if row["kind"] != ELSEWHERE]
    found: dict[str, Any] = {"errors": errors, "parts": _by_part(data, pairs)}
    return found if confidence is None else found | {"disputed": _disputed(pairs, confidence)}


def _by_kind(data: NerData, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Each kind of error: how many, and what F1 would gain were all of it mended.

    The kinds are those of nervaluate's evaluator; the gain is that of Bolya et al. 2020, "TIDE",
    section 2.3.
    """
    names = list(MENDED)

    def count(pair: Pair) -> list[int]:
        kind = _error(pair)
        return [*_counts(pair), *(kind == name for name in names)]

    counts, unit = _summed(data, pairs, count)
    gold = int(counts[:, 2].sum())
    return [
        {
            "kind": kind,
            "count": int(counts[:, 3 + place].sum()),
            "gain": _dump(counts, partial(_gain, place), gold, unit),
        }
        for place, kind in enumerate(names)
    ]


def _gain(place: int, sums: Counts) -> Counts:
    """F1 with all errors of a kind mended, less F1."""
    mended = sums[:, [3 + place]] * np.array(list(MENDED.values())[place])
    return m.f1(sums[:, :3] + mended) - m.f1(sums[:, :3])


def _error(pair: Pair) -> str | None:
    """The kind of error of a pair; None where there is none."""
    _, gold, found = pair
    if gold is None or found is None:
        if found is None:
            return "missed"
        return ELSEWHERE if found[1:] == NOWHERE else "spurious"
    if gold[1:] == found[1:]:
        return None if gold == found else "type"
    return "boundary" if gold[0] == found[0] else "type and boundary"


def _counts(pair: Pair) -> list[int]:
    """What a pair adds to correct, predicted and gold entities."""
    _, gold, found = pair
    return [int(gold == found), int(found is not None), int(gold is not None)]


def _summed(
    data: NerData, pairs: Sequence[Pair], count: Callable[[Pair], list[int]]
) -> tuple[Counts, str]:
    """Counts of pairs [clusters, ...], and what the clusters are; all, also those without any."""
    clusters, unit = drawn(data, "test")
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    rows = [count(pair) for pair in pairs]
    counts = np.zeros((len(places), len(rows[0]) if rows else 3 + len(MENDED)))
    for pair, row in zip(pairs, rows, strict=True):
        counts[places[clusters[pair[0]]]] += row
    return counts, unit


def _dump(counts: Counts, statistic: Statistic, n: int, unit: str) -> dict[str, Any] | None:
    found = measure(counts, statistic, n=n, clusters=unit)
    return found.model_dump(mode="json") if found else None


def _by_part(data: NerData, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Entity F1 by surface form, length, letter case and density."""
    sentences = list(data.splits["test"]["tokens"])
    entities = [len(spans(tags)) for tags in data.splits["test"]["ner_tags"]]
    ways: dict[str, Part] = {
        "form in training": _seen(data),
        "length in words": lambda _, span: ("1", "2", "3 or more")[min(span[2] - span[1], 3) - 1],
        "sentence": lambda s, _: (
            "all capitals" if " ".join(sentences[s]).isupper() else "not all capitals"
        ),
        "entities in the sentence": lambda s, _: ("", "1", "2", "3", "4 or more")[
            min(entities[s], 4)
        ],
    }
    rows = []
    for by, part in ways.items():
        split = defaultdict(list)
        for sentence, gold, found in pairs:
            for span in dict.fromkeys((gold, found)):
                if span is not None:
                    # An entity of the wrong bounds may belong to another part than its partner.
                    sides = (span if span == gold else None, span if span == found else None)
                    split[part(sentence, span)].append((sentence, *sides))
        for name in sorted(split):
            counts, unit = _summed(data, split[name], _counts)
            gold_there = int(counts[:, 2].sum())
            f1 = _dump(counts, m.f1, gold_there, unit)
            # Where nothing is to be found F1 is 0 whatever is found.
            if name and f1 and gold_there:
                rows.append({"by": by, "part": name, "f1": f1})
    return rows


def _seen(data: NerData) -> Part:
    """Whether an entity's words, whatever their case, were an entity in training."""
    known: dict[tuple[str, ...], set[str]] = defaultdict(set)
    train = data.splits["train"]
    for words, tags in zip(train["tokens"], train["ner_tags"], strict=True):
        for kind, start, end in spans(tags):
            known[_folded(words[start:end])].add(kind)
    sentences = list(data.splits["test"]["tokens"])

    def part(sentence: int, span: Span) -> str:
        kinds = known.get(_folded(sentences[sentence][span[1] : span[2]]), set())
        if not kinds:
            return "not seen"
        if span[0] not in kinds:
            return "seen as another type"
        return "seen" if len(kinds) == 1 else "seen as this and another type"

    return part


def _folded(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.casefold() for word in words)


def _disputed(pairs: Sequence[Pair], confidence: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Errors that the tagger is sure of: how many, and the most confident.

    About one in twenty sentences of CoNLL-2003's test split has a wrong label (Wang et al. 2019,
    "CrossWeigh", section 3): these are where to look first.
    """
    wrong = [pair for pair in pairs if _error(pair)]
    found = []
    for sentence, gold, predicted in wrong:
        both = [span for span in (gold, predicted) if span]
        start, end = min(span[1] for span in both), max(span[2] for span in both)
        if (least := min(confidence[sentence][start:end])) >= SURE:
            row = {"sentence": sentence, "gold": gold, "predicted": predicted}
            found.append((least, row | {"sure": least}))
    found.sort(key=lambda pair: -pair[0])
    rows = [row for _, row in found[:MOST_DISPUTED]]
    return {"least": SURE, "errors": len(wrong), "count": len(found), "rows": rows}
