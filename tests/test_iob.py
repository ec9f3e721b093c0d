import random

import numpy as np
import pytest
from nervaluate import Evaluator

from workbench.record.iob import aligned, decode, misfit, scheme_of, spans, to_iob2

LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def random_tags(length: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [chance.choice(LABELS) for _ in range(length)]


def conlleval_chunks(tags: list[str]) -> set[tuple[str, int, int]]:
    """The rules of the shared task's script, written as its start and end conditions."""
    found, kind, start = set(), None, 0
    before = ("O", "")
    for index, tag in enumerate([*tags, "O"]):
        now = (tag[0], tag[2:])
        ends = before[0] in "BI" and (now[0] in "BO" or now[1] != before[1])
        begins = now[0] == "B" or (now[0] == "I" and (before[0] == "O" or before[1] != now[1]))
        if kind and ends:
            found.add((kind, start, index))
            kind = None
        if begins:
            kind, start = now[1], index
        before = now
    return found


@pytest.mark.parametrize("seed", range(200))
def test_lenient_spans_are_those_of_conlleval(seed):
    tags = random_tags(12, seed)
    assert spans(tags, lenient=True) == conlleval_chunks(tags)


@pytest.mark.parametrize("seed", range(200))
def test_rewritten_tags_are_valid_and_stay_so(seed):
    tags, changed = to_iob2(random_tags(12, seed))
    assert to_iob2(tags) == (tags, 0)
    assert spans(tags) == spans(tags, lenient=True)
    assert changed <= 12


def test_strict_spans_leave_out_what_does_not_begin():
    assert spans(["I-PER", "B-PER", "I-LOC", "I-PER"]) == {("PER", 1, 2)}
    assert spans([]) == set()


def test_counts_agree_with_nervaluate():
    gold = [to_iob2(random_tags(15, seed))[0] for seed in range(60)]
    predicted = [to_iob2(random_tags(15, seed + 999))[0] for seed in range(60)]
    report = Evaluator(gold, predicted, tags=["LOC", "PER"], loader="list").evaluate()
    strict = report["overall"]["strict"]
    correct = sum(len(spans(a) & spans(b)) for a, b in zip(gold, predicted, strict=True))
    assert correct == strict.correct
    assert sum(len(spans(tags)) for tags in gold) == strict.possible
    assert sum(len(spans(tags)) for tags in predicted) == strict.actual


@pytest.mark.parametrize("seed", range(50))
def test_decoding_finds_the_best_valid_sequence(seed):
    """Against trying every sequence."""
    scores = np.random.default_rng(seed).normal(size=(4, len(LABELS)))
    best = max(
        (sequence for sequence in np.ndindex(*[len(LABELS)] * 4)
         if to_iob2([LABELS[i] for i in sequence])[1] == 0),
        key=lambda sequence: sum(scores[word, label] for word, label in enumerate(sequence)),
    )  # fmt: skip
    assert decode(scores, LABELS) == [LABELS[label] for label in best]


def test_a_scheme_that_uses_all_its_letters_is_it():
    assert scheme_of(["B-X", "I-X", "O"]) == "IOB"
    assert scheme_of(["B-X", "I-X", "E-X", "S-X"]) == "BIOES"
    assert misfit(["B-X", "I-X", "E-X", "S-X", "L-X"]) == 4


def test_an_entity_is_paired_with_the_one_that_shares_most_words():
    shorter, longer = ("PER", 0, 1), ("LOC", 1, 5)
    assert aligned({("PER", 0, 5)}, {shorter, longer}) == [(("PER", 0, 5), longer), (None, shorter)]
    assert aligned({("PER", 0, 2)}, {("PER", 2, 4)}) == [
        (("PER", 0, 2), None),
        (None, ("PER", 2, 4)),
    ]
