"""Near copies among texts: the same words but for links, @names and signs, or nearly the same."""

import hashlib
import re
import unicodedata
from collections import Counter

import numpy as np
import pandas
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.core.unspaced import begins_unspaced

NOISE = re.compile(r"https?://\S+|www\.\S+|@\w+")
RETWEET = re.compile(r"\brt\b")
SHINGLE, MAX_WORDS = 3, 200
"""Words in a shingle; words of a text that are looked at, so that a text's cost is bounded."""
MIN_JACCARD = 0.8
"""Shared part of two texts' shingles from which on they are near copies."""
BANDS, ROWS = 16, 4
"""Of the MinHash: a pair with a Jaccard of .8 is found with probability 1-(1-.8^4)^16 > .999."""


class _Words(dict[int, int | str]):
    """For `str.translate`: letters, marks and numbers stay, all other characters become a space.

    A character of a script without spaces is a word.
    """

    def __missing__(self, code: int) -> int | str:
        character = chr(code)
        kept = unicodedata.category(character)[0] in "LMN"
        spaced = f" {character} " if begins_unspaced(character) else code
        self[code] = spaced if kept else " "
        return self[code]


WORDS = _Words()


def form(text: str) -> str:
    """What a text and its retweets share: words in lower case, no links, @names or `RT`.

    >>> form("RT @me: Great CAR!! http://t.co/x"), form(":-)")
    ('great car', ':-)')
    """
    folded = text.casefold()
    words = RETWEET.sub(" ", NOISE.sub(" ", folded)).translate(WORDS).split()
    # Of an emoji a mark alone may be left, which is no word.
    words = [word for word in words if any(map(str.isalnum, word))]
    return " ".join(words or folded.split())


def keys(texts: pandas.Series) -> pandas.Series:
    """For each text the lowest sha256 of the forms in its group of near copies."""
    forms = [form(text) for text in texts]
    hashes = pandas.Series([sha256(each) for each in forms], index=texts.index, dtype=object)
    return hashes.groupby(groups(forms)).transform("min")


def count(rows: pandas.DataFrame, counts: Counter[str], *, own: bool) -> None:
    """Count near copies in rows with the columns `split`, `normal`, `near` (the key) and `label`.

    With the data's `own` splits those of test texts in training, else those among all.
    """
    if not own:
        groups = rows.groupby("near")
        counts["texts"] = len(rows)
        counts["near_copies"] = int((groups["normal"].transform("nunique") > 1).sum())
        counts["near_labels"] = int((groups["label"].transform("nunique") > 1).sum())
        sizes = groups["normal"].nunique()
        counts["near_largest"] = int(sizes[sizes > 1].max()) if (sizes > 1).any() else 0
        return
    test = rows[rows["split"] == "test"]
    labels = rows[rows["split"] == "train"].groupby("near")["label"].agg(set)
    shared = test[test["near"].isin(labels.index)]
    counts["tested"], counts["near_train"] = len(test), len(shared)
    counts["near_train_labels"] = sum(
        label not in labels[key] for key, label in zip(shared["near"], shared["label"], strict=True)
    )


def sha256(text: str) -> str:
    """sha256 of a text in UTF-8, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def groups(forms: list[str]) -> NDArray[np.int64]:
    """The group [N] of each text by its `form`: 0 to the number of groups - 1.

    Together are equal forms, and forms of which at least four fifths of all three-word shingles
    are common (Jaccard, over the first 200 words), also by way of others. Candidates come from
    MinHash (Broder 1997) in bands; each is checked exactly. Takes seconds for 100,000 short texts.
    """
    codes, unique = pandas.factorize(np.array(forms, dtype=object))
    words = [form.split()[:MAX_WORDS] for form in unique]
    pairs = _near_pairs(words) if len(words) > 1 else []
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (ends[0], ends[1])), shape=(len(words), len(words)))
    _, labels = connected_components(graph, directed=False)
    return labels[codes].astype(np.int64)


def _near_pairs(words: list[list[str]]) -> list[tuple[int, int]]:
    """Pairs of texts of at least a shingle whose shingles agree."""
    long = [text for text, own in enumerate(words) if len(own) > SHINGLE]
    if not long:
        return []
    flat = np.array([word for text in long for word in words[text]], dtype=object)
    hashed = pandas.util.hash_array(flat)
    ends = np.cumsum([len(words[text]) for text in long])
    shingles = [
        np.unique(
            hashed[start : end - 2] * np.uint64(0x9E3779B97F4A7C15)
            ^ hashed[start + 1 : end - 1] * np.uint64(0xC2B2AE3D27D4EB4F)
            ^ hashed[start + 2 : end]
        )
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    found: set[tuple[int, int]] = set()
    for band in _bands(shingles):
        order = np.lexsort(band)
        sorted_band = band[:, order]
        same = (sorted_band[:, 1:] == sorted_band[:, :-1]).all(0)
        # Neighbours in a bucket; over several bands that joins what belongs together.
        found |= {
            (min(a, b), max(a, b))
            for a, b in zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True)
        }
    return [(long[a], long[b]) for a, b in found if _jaccard(shingles[a], shingles[b])]


def _bands(shingles: list[NDArray[np.uint64]]) -> list[NDArray[np.uint64]]:
    """MinHashes of all texts in bands [ROWS, texts], each by another random hash."""
    flat = np.concatenate(shingles)
    starts = np.cumsum([0, *map(len, shingles[:-1])])
    chance = np.random.default_rng(0)
    bands = []
    for _ in range(BANDS):
        factors = chance.integers(1, 2**63, size=ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(
            1
        )
        offsets = chance.integers(0, 2**63, size=ROWS, dtype=np.uint64)
        bands.append(
            np.stack(
                [
                    np.minimum.reduceat((flat ^ offset) * factor, starts)
                    for factor, offset in zip(factors, offsets, strict=True)
                ]
            )
        )
    return bands


def _jaccard(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> bool:
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common >= MIN_JACCARD * (len(first) + len(second) - common)
