"""Whether a classifier errs more on some texts than on others, and what swapping a name changes."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from workbench.methods.classifiers import Probabilities
from workbench.record.result import Metric
from workbench.record.statistics import LEVEL
from workbench.tasks.fine_tuning.reliability import mean_gap

MIN_TEXTS = 20
"""Fewest texts of a slice, and fewest others, that rates are given of."""
MOST_VALUES = 20
"""Values of a column that are a slice each, the most frequent."""
OURS = ("text", "item", "cluster")
"""Columns of ours: no slices."""
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

    `rows` are columns of equal length, `text` one of them; those of ours are no slices. A phrase is
    found in any letter case, between other characters than letters and digits.
    """
    found = []
    for name in names:
        if name in rows and name not in OURS:
            values = np.array(rows[name])
            kinds = [value for value, _ in Counter(rows[name]).most_common(MOST_VALUES) if value]
            found += [Slice(f"{name}: {value}", values == value) for value in kinds]
        else:
            hits = [bool(_pattern(name).search(text)) for text in rows["text"]]
            found.append(Slice(f"“{name}”", np.array(hits, bool), phrase=name))
    return found


def error_rates(
    slices: Sequence[Slice], gold: Sequence[str], given: Sequence[str]
) -> list[dict[str, Any]]:
    """Fraction of wrong answers in each slice, and that less the fraction in all other texts.

    With Wilson's interval, and Newcombe's of the difference (1998, "Interval estimation for the
    difference between independent proportions", method 10), which hold where no text or each is
    wrong; the texts count as independent. Nothing where either side has under 20 texts. `leaning`
    is the label given most too often in the slice, by the share `excess` of its texts; "" if none.
    """
    wrong = np.array(gold) != np.array(given)
    rows = []
    for part in slices:
        row: dict[str, Any] = {"slice": part.name, "n": int(part.inside.sum())}
        if min(row["n"], len(wrong) - row["n"]) >= MIN_TEXTS:
            inside, outside = _fraction(wrong[part.inside]), _fraction(wrong[~part.inside])
            row["error"] = inside.model_dump(mode="json")
            row["difference"] = _difference(inside, outside).model_dump(mode="json")
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
            changed = _fraction(before.argmax(axis=1) != after.argmax(axis=1))
            label = int(np.abs((after - before).mean(axis=0)).argmax())
            moved = mean_gap((after - before)[:, label])
            row["changed"] = changed.model_dump(mode="json")
            row |= {"label": labels[label], "moved": moved.model_dump(mode="json")}
        rows.append(row)
    return rows


def study(
    names: Sequence[str],
    rows: Mapping[str, Sequence[str]],
    given: Probabilities,
    predict: Callable[[Sequence[str]], Probabilities],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Error rates by slice, and swaps, of the texts in `rows` with their `label`."""
    found = find(names, rows)
    chosen = [labels[place] for place in given.argmax(axis=1)]
    return {
        "slices": error_rates(found, rows["label"], chosen),
        "swaps": swaps(found, rows["text"], given, predict, labels),
    }


def swapped(text: str, old: str, new: str) -> str:
    """The text with one phrase for another, capitalised or in capitals as what it replaces.

    >>> swapped("APPLE and Apple's apple, pineapple", "apple", "google")
    "GOOGLE and Google's google, pineapple"
    """

    def cased(match: re.Match[str]) -> str:
        if match[0].isupper() and len(match[0]) > 1:
            return new.upper()
        return new[:1].upper() + new[1:] if match[0][:1].isupper() else new

    return _pattern(old).sub(cased, text)


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_]){re.escape(phrase)}(?![^\W_])", re.IGNORECASE)


def _leaning(inside: Mask, gold: Sequence[str], given: Sequence[str]) -> tuple[str, float]:
    """The label given most too often within a slice, and by what fraction of its texts."""
    kept = [(a, b) for a, b, here in zip(gold, given, inside, strict=True) if here]
    excess = Counter(b for _, b in kept)
    excess.subtract(a for a, _ in kept)
    label, count = max(excess.items(), key=lambda item: (item[1], item[0]))
    return (label, count / len(kept)) if count > 0 else ("", 0.0)


def _fraction(hits: Mask) -> Metric:
    """Fraction of True, with Wilson's interval over texts."""
    count, n = int(hits.sum()), len(hits)
    interval = binomtest(count, n).proportion_ci(LEVEL, method="wilson")
    how = f"Wilson interval over {n:,} texts"
    return Metric(value=count / n, low=float(interval.low), high=float(interval.high), n=n, how=how)


def _difference(one: Metric, other: Metric) -> Metric:
    """Newcombe's interval of the difference of two shares with Wilson's intervals."""
    how = f"Newcombe interval over {one.n:,} and {other.n:,} texts"
    return one.less(other, n=one.n, how=how)
