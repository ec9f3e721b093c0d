"""Whether a classifier errs more on some texts than on others, and what swapping a name changes."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.statistics import Counts, measure
from workbench.tasks.classifiers import Probabilities

MIN_TEXTS = 20
"""Fewest texts of a slice, and fewest others, that rates are given of."""
MOST_VALUES = 20
"""Values of a column that are a slice each, the most frequent."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """Some of the texts: those with one value of a column, or those with a phrase."""

    name: str
    inside: Mask
    phrase: str = ""
    """"" of a column's value."""


def find(names: Sequence[str], rows: Mapping[str, Sequence[str]]) -> list[Slice]:
    """The slices of names: a column is a slice for each of its values, all else is a phrase.

    `rows` are columns of equal length, `text` one of them. A phrase is found in any letter case,
    between other characters than letters and digits.
    """
    found = []
    for name in names:
        if name in rows and name != "text":
            values = np.array(rows[name])
            kinds = [value for value, _ in Counter(rows[name]).most_common(MOST_VALUES) if value]
            found += [Slice(f"{name}: {value}", values == value) for value in kinds]
        else:
            hits = [bool(_pattern(name).search(text)) for text in rows["text"]]
            found.append(Slice(f"“{name}”", np.array(hits, bool), phrase=name))
    return found


def error_rates(
    slices: Sequence[Slice], gold: Sequence[str], given: Sequence[str], clusters: Sequence[object]
) -> list[dict[str, Any]]:
    """Share of wrong answers in each slice, and that less the share in all other texts.

    Both with intervals over draws of clusters; without them where either side has under 20 texts.
    `leaning` is the label given more often than it is right in the slice, by the widest share.
    """
    order = {cluster: row for row, cluster in enumerate(dict.fromkeys(clusters))}
    places = np.array([order[cluster] for cluster in clusters])
    wrong = np.array(gold) != np.array(given)
    rows = []
    for part in slices:
        row: dict[str, Any] = {"slice": part.name, "n": int(part.inside.sum())}
        if min(row["n"], len(wrong) - row["n"]) >= MIN_TEXTS:
            counts = np.zeros((len(order), 2, 2))  # clusters, inside and outside, wrong and all
            both = np.stack([wrong, np.ones_like(wrong)], axis=1)
            np.add.at(counts, (places, np.where(part.inside, 0, 1)), both)
            row["error"] = _measured(counts, lambda sums: _rate(sums[:, 0]), row["n"])
            row["difference"] = _measured(
                counts, lambda sums: _rate(sums[:, 0]) - _rate(sums[:, 1]), row["n"]
            )
            row["leaning"], row["excess"] = _leaning(part.inside, gold, given)
        rows.append(row)
    return rows


def swaps(
    slices: Sequence[Slice],
    texts: Sequence[str],
    given: Probabilities,
    predict: Callable[[Sequence[str]], Probabilities],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """What changes when one phrase takes another's place, for each pair of the slices' phrases.

    Over the texts that have the first and not the second: the share whose label changes, and the
    label whose mean probability changes most, each with an interval over texts. A classifier that
    goes by what is said, not of whom, would change nothing (Kaushik et al. 2020, "Learning the
    Difference that Makes a Difference", use such pairs to train; Garg et al. 2019,
    "Counterfactual Fairness in Text Classification", section 3, to test, as here).
    """
    rows = []
    phrases = [part for part in slices if part.phrase]
    for one, other in itertools.permutations(phrases, 2):
        places = np.flatnonzero(one.inside & ~other.inside).tolist()
        row: dict[str, Any] = {"from": one.phrase, "to": other.phrase, "n": len(places)}
        if len(places) >= MIN_TEXTS:
            after = predict([swapped(texts[place], one.phrase, other.phrase) for place in places])
            before = given[places]
            changed = (before.argmax(axis=1) != after.argmax(axis=1)).astype(float)
            moved = (after - before).mean(axis=0)
            label = int(np.abs(moved).argmax())
            row["changed"] = _mean(changed)
            row["label"], row["moved"] = labels[label], _mean((after - before)[:, label])
        rows.append(row)
    return rows


def study(
    names: Sequence[str],
    rows: Mapping[str, Sequence[str]],
    given: Probabilities,
    predict: Callable[[Sequence[str]], Probabilities],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Error rates by slice, and swaps, of the texts in `rows` with their `label` and `cluster`."""
    found = find(names, rows)
    chosen = [labels[place] for place in given.argmax(axis=1)]
    return {
        "slices": error_rates(found, rows["label"], chosen, rows["cluster"]),
        "swaps": swaps(found, rows["text"], given, predict, labels),
    }


def swapped(text: str, old: str, new: str) -> str:
    """The text with one phrase for another, in the letter case of what it replaces.

    >>> swapped("APPLE and Apple's apple, pineapple", "apple", "google")
    "GOOGLE and Google's google, pineapple"
    """

    def cased(match: re.Match[str]) -> str:
        if match[0].isupper():
            return new.upper()
        return new[:1].upper() + new[1:] if match[0][:1].isupper() else new

    return _pattern(old).sub(cased, text)


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_]){re.escape(phrase)}(?![^\W_])", re.IGNORECASE)


def _rate(pairs: Counts) -> Counts:
    """Share of the first in the second, of sums [samples, 2]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return pairs[:, 0] / pairs[:, 1]


def _leaning(inside: Mask, gold: Sequence[str], given: Sequence[str]) -> tuple[str, float]:
    """The label given too often within a slice, and by what share of its texts."""
    kept = [(a, b) for a, b, here in zip(gold, given, inside, strict=True) if here]
    excess = Counter(b for _, b in kept)
    excess.subtract(a for a, _ in kept)
    label, count = max(excess.items(), key=lambda item: (item[1], item[0]))
    return label, count / len(kept)


def _mean(values: NDArray[np.float64]) -> dict[str, Any]:
    counts = np.stack([values, np.ones_like(values)], axis=1)
    return _measured(counts, _rate, len(values))


def _measured(counts: Counts, statistic: Callable[[Counts], Counts], n: int) -> dict[str, Any]:
    found = measure(counts, statistic, n=n, clusters="texts")
    assert found is not None
    return found.model_dump(mode="json")
