"""What runs are compared by, as a ratio of sums over items: accuracy, entity F1, bits per byte.

A record names its measure; the index page and `compare` take the same sums from the same items.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.record.metric import LESS_IS_BETTER

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Kind:
    """A measure that is a ratio of sums."""

    unit: str
    has_right: bool = True
    """Whether an item is right or wrong at all."""

    @property
    def less_is_better(self) -> bool:
        """Whether small values are good ones."""
        return self.unit in LESS_IS_BETTER


KINDS = {
    "accuracy": Kind("fraction"),
    "entity_f1": Kind("fraction"),
    "bits_per_byte": Kind("bits per byte", has_right=False),
}


@dataclass(frozen=True)
class Labels:
    """Labels of N items one after another: each different one once, and places among them."""

    words: Sequence[str]
    codes: Places
    lengths: Places
    """Labels of each item [N]."""

    @classmethod
    def of(cls, items: Sequence[Sequence[str]]) -> "Labels":
        """Labels from lists of str."""
        flat = [label for labels in items for label in labels]
        words = list(dict.fromkeys(flat))
        places = {word: place for place, word in enumerate(words)}
        codes = np.array([places[label] for label in flat], dtype=np.int64)
        return cls(words, codes, np.array(list(map(len, items)), dtype=np.int64))


def known(measure: str, losses: NDArray[np.float64]) -> str:
    """The measure where these items can be compared by it, else accuracy.

    Old records name none. Bits per byte need a loss of every item.
    """
    if measure not in KINDS or (measure == "bits_per_byte" and not np.isfinite(losses).all()):
        return "accuracy"
    return measure


def entities(gold: Labels, predicted: Labels) -> NDArray[np.float64]:
    """Correct, predicted and gold entities of each item [N, 3].

    Strict IOB2, as `iob.spans` reads it.

    >>> tags = Labels.of([["B-PER", "I-PER", "O"], ["I-LOC", "B-LOC", "B-LOC"]])
    >>> entities(tags, Labels.of([["B-PER", "I-PER", "O"], ["O", "B-LOC", "I-LOC"]])).tolist()
    [[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]]
    """
    sides = gold, predicted
    kinds = {kind: place for place, kind in enumerate({w[2:] for s in sides for w in s.words})}
    base = 1 + max(int(side.lengths.max(initial=0)) for side in sides)
    (wanted, of_gold), (found, of_found) = (_spans(side, kinds, base) for side in sides)
    n = len(gold.lengths)
    counted = of_found[np.isin(found, wanted)], of_found, of_gold
    columns = [np.bincount(items, minlength=n) for items in counted]
    return np.stack(columns, axis=1).astype(np.float64)


def f1_parts(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two sums [N, 2] whose ratio is F1, of correct, predicted and gold [N, 3]."""
    return np.stack([2 * counts[:, 0], counts[:, 1] + counts[:, 2]], axis=1)


def bits_per_byte(
    losses: NDArray[np.float64], texts: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """Bits and UTF-8 bytes of each item [N, 2], from its nats in all."""
    sizes = [sum(len(part.encode("utf-8", "surrogatepass")) for part in text) for text in texts]
    return np.stack([losses / math.log(2), np.array(sizes, dtype=np.float64)], axis=1)


def _spans(labels: Labels, kinds: dict[str, int], base: int) -> tuple[Places, Places]:
    """A number for each entity, equal where item, first and last word and type are; and items."""
    kind = np.array([kinds[word[2:]] for word in labels.words], dtype=np.int64)[labels.codes]
    begins, inside = (
        np.array([word.startswith(prefix) for word in labels.words], dtype=bool)[labels.codes]
        for prefix in ("B-", "I-")
    )
    starts = np.cumsum(labels.lengths) - labels.lengths
    item = np.repeat(np.arange(len(labels.lengths)), labels.lengths)
    outside = ~begins & ~inside
    goes_on = inside.copy()
    goes_on[:1] = False
    goes_on[1:] &= (kind[1:] == kind[:-1]) & (item[1:] == item[:-1]) & ~outside[:-1]
    # A tag and those that go on from it make a run; it is an entity where it begins with B-.
    runs = np.flatnonzero(~goes_on)
    sizes = np.diff(np.append(runs, len(kind)))
    runs, sizes = runs[begins[runs]], sizes[begins[runs]]
    number = (item[runs] * base + runs - starts[item[runs]]) * base + sizes
    return number * len(kinds) + kind[runs], item[runs]
