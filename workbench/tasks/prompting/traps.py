"""Rules by which broken answers are scored elsewhere, fed with the same answers, beside ours.

Each rule is written anew from what a project's code does, and named by that.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.record.metric import UNPARSED
from workbench.tasks.prompting.answers import parse

NEUTRAL = "neutral"
REFUSAL = "I am sorry, I can't answer that."
GARBAGE = "###"
Words = Mapping[str, str]
"""Label -> its word in answers."""
Answers = Sequence[str]
Rule = Callable[[Answers, Answers, Words, str], float | None]
"""Accuracy of answers, by gold labels, words and the default label; None where none is scored."""


def else_default(answers: Answers, gold: Answers, words: Words, default: str) -> float | None:
    """A label whose word is anywhere in the answer, the last label first; else the default.

    FinGPT's benchmark on Financial PhraseBank does so (`change_target` in fpb.py): any text without
    "positive" or "negative" is neutral, a refusal as well as nothing. So it reads the gold labels
    too, which joins labels whose words hold each other.
    """
    order = [label for label in [*words][::-1] if label != default]
    read = [_first_in(answer, order, words) or default for answer in answers]
    return _fraction(read, [_first_in(words[label], order, words) or default for label in gold])


def dropped(answers: Answers, gold: Answers, words: Words, default: str) -> float | None:
    """What can't be read is left out, and the fraction of the rest that is right is the accuracy.

    FinGPT-Forecaster's evaluation does so (utils.py, `if answer_dict and gt_dict`).
    """
    read = [(parse(answer, words), label) for answer, label in zip(answers, gold, strict=True)]
    kept = [pair for pair in read if pair[0] != UNPARSED]
    return _fraction(*zip(*kept, strict=True)) if kept else None


def first_match(answers: Answers, gold: Answers, words: Words, default: str) -> float | None:
    """The first label whose word is anywhere in the answer, so "no" in "not"; else the default.

    PIXIU's stock movement tasks do so (flare.py); they count what is missing after the default has
    taken its place, so that the count is always 0.
    """
    return _fraction([_first_in(answer, words, words) or default for answer in answers], gold)


def wrong_unseen(answers: Answers, gold: Answers, words: Words, default: str) -> float | None:
    """What can't be read is wrong, and nobody sees how much that is.

    Most generative tasks of lm-evaluation-harness do so, with the mark `[invalid]`.
    """
    return _fraction([parse(answer, words) for answer in answers], gold)


RULES: dict[str, Rule] = {
    "else the default": else_default,
    "unread left out": dropped,
    "first match": first_match,
    "unread wrong": wrong_unseen,
}


def compare(gold: Sequence[str], written: Sequence[str], words: Words) -> dict[str, Any]:
    """Accuracy of the same answers by each of RULES, and our band with the fraction unparsed.

    The answers are nothing, a refusal, the right word denied, the right word for every other item,
    and what the model has `written`. The default label is `neutral` where there is that, else the
    commonest. In the table `rows`, `low` counts unparsed answers as wrong, `high` leaves them out.
    """
    default = NEUTRAL if NEUTRAL in words else Counter(gold).most_common(1)[0][0]
    right = [words[label] for label in gold]
    outputs = {
        "nothing": [""] * len(gold),
        "a refusal": [REFUSAL] * len(gold),
        "not the right word": [f"not {word}" for word in right],
        "half right, half garbage": [
            GARBAGE if place % 2 else word for place, word in enumerate(right)
        ],
        "what the model wrote": list(written),
    }
    rows = []
    for name, answers in outputs.items():
        read = [parse(answer, words) for answer in answers]
        rows.append(
            {
                "outputs": name,
                "scores": {rule: RULES[rule](answers, gold, words, default) for rule in RULES},
                "low": _fraction(read, gold),
                "high": dropped(answers, gold, words, default),
                "unparsed": read.count(UNPARSED) / len(read),
            }
        )
    return {"default": default, "items": len(gold), "rows": rows}


def _first_in(answer: str, labels: Sequence[str] | Words, words: Words) -> str | None:
    text = answer.casefold()
    return next((label for label in labels if words[label].casefold() in text), None)


def _fraction(found: Sequence[str], gold: Sequence[str]) -> float:
    right = sum(one == label for one, label in zip(found, gold, strict=True))
    return right / len(gold)
