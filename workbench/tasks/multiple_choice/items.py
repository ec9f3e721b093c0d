"""Multiple-choice items: a question, its right answer, and wrong ones, drawn or given."""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from workbench.core.errors import DataError
from workbench.data.choices import answer_form

Distractors = Literal["random", "near"]
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Item:
    """A question with K choices, one of them right."""

    cluster: str
    """12 hex digits of the question's hash."""
    question: str
    choices: tuple[str, ...]
    right: int
    """Place of the right choice, from 0."""

    @property
    def name(self) -> str:
        """12 hex digits of a hash of question and choices: other wrong answers, another item."""
        whole = "\n".join([self.question, self.choices[self.right], *sorted(self.choices)])
        return hashlib.sha256(whole.encode()).hexdigest()[:12]


def make(rows: Dataset, count: int, distractors: Distractors, seed: int) -> list[Item]:
    """An item a question, with its own choices, or with `count` made of the answers to others.

    The wrong ones are answers to other questions of the same rows: drawn at random by seed, or
    `near`, those to the questions and answers most like this one. No two choices of an item are the
    same answer (see `choices.answer_form`). The right one takes each place in turn. An item does
    not depend on how many others are looked at. Raises DataError for fewer different answers than
    choices.
    """
    if len(rows["choices"][0]):
        return [_given(row) for row in rows]
    forms = [answer_form(answer) for answer in rows["answer"]]
    if len(set(forms)) < count:
        raise DataError(
            f"the test split has {len(set(forms))} different answers",
            expected=f"{count} at least, to draw the choices of a question from",
            do="lower choices, or name more categories or a larger file",
        )
    near = _likeness(rows) if distractors == "near" else None
    items = []
    for number, row in enumerate(rows):
        chance = random.Random(f"{seed}/{row['cluster']}")
        others = chance.sample(range(len(rows)), len(rows))
        if near is not None:
            # A stable sort: what is equally like stays in the order of the draw.
            others.sort(key=near[number].__getitem__, reverse=True)
        wrong = _first_different(others, forms, forms[number], count - 1)
        choices = [rows[place]["answer"] for place in wrong]
        choices.insert(number % count, row["answer"])
        items.append(Item(row["cluster"], row["question"], tuple(choices), number % count))
    return items


def _given(row: dict) -> Item:
    """An item with its own choices in random order, so that no tie goes to the one listed first."""
    choices = random.Random(row["cluster"]).sample(row["choices"], len(row["choices"]))
    return Item(row["cluster"], row["question"], tuple(choices), choices.index(row["answer"]))


def _likeness(rows: Dataset) -> list[list[float]]:
    """Cosine of the TF-IDF vectors of each two questions with their answers [N, N]."""
    texts = [f"{row['question']} {row['answer']}" for row in rows]
    found = vectors(texts)
    return (found @ found.T).tolist()


def vectors(texts: Sequence[str]) -> NDArray[np.float64]:
    """TF-IDF vectors of length 1 of texts [N, words]: letters and digits, without case."""
    found = TfidfVectorizer(sublinear_tf=True, lowercase=False, analyzer=_words)
    return np.asarray(found.fit_transform(texts).todense())


def _words(text: str) -> list[str]:
    """Runs of letters and digits in lower case; the whole text where it has none, such as `:)`."""
    return WORD.findall(text.casefold()) or [text]


def _first_different(
    order: Sequence[int], forms: Sequence[str], right: str, count: int
) -> list[int]:
    """The first `count` places in an order whose answers are neither the right one nor the same."""
    found: dict[str, int] = {}
    for place in order:
        if forms[place] != right and len(found) < count:
            found.setdefault(forms[place], place)
    return list(found.values())
