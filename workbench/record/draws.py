"""The one bootstrap: draws of clusters with replacement that any language can repeat to the bit.

A run's page, `workbench compare` and the index draw the same clusters, so that two methods have
one difference wherever they are compared. The index page draws again in the reader's browser.
numpy's generators are not there, so the draws are a counter made random: a Weyl sequence, mixed
by the last step of MurmurHash3 (A. Appleby, MurmurHash3.cpp, `fmix32`, public domain), as
SplitMix does with 64 bits (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
generators").
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
RESAMPLES = 2000

WEYL = 0x9E3779B9
"""2^32 over the golden ratio, odd: its multiples modulo 2^32 spread evenly."""
MIX = 0x85EBCA6B, 0xC2B2AE35
BLOCK = 1 << 21
"""Draws made at once."""


def words(start: int, stop: int) -> NDArray[np.uint32]:
    """The 32-bit words of the counters `start` to `stop`, taken modulo 2^32.

    >>> words(0, 3).tolist()
    [0, 2462723854, 1020716019]
    """
    with np.errstate(over="ignore"):
        word = np.arange(start, stop, dtype=np.uint64).astype(np.uint32) * np.uint32(WEYL)
        word = (word ^ (word >> np.uint32(16))) * np.uint32(MIX[0])
        word = (word ^ (word >> np.uint32(13))) * np.uint32(MIX[1])
    return word ^ (word >> np.uint32(16))


def places(clusters: int, resamples: int = RESAMPLES) -> Iterator[NDArray[np.int64]]:
    """Blocks [some resamples, clusters] of drawn clusters; draw d of resample r has the counter
    r * clusters + d + 1, and takes cluster floor(word / 2^32 * clusters).
    """
    size = max(1, BLOCK // clusters)
    for start in range(0, resamples, size):
        stop = min(start + size, resamples)
        drawn = words(start * clusters + 1, stop * clusters + 1).astype(np.uint64)
        found = (drawn * np.uint64(clusters)) >> np.uint64(32)
        yield found.astype(np.int64).reshape(stop - start, clusters)


def resample(counts: Counts, resamples: int = RESAMPLES) -> Counts:
    """Sums [resamples, ...] of counts [clusters, ...] over clusters drawn with replacement.

    The same number of clusters gives the same draws, so that sums of two methods' counts are
    paired. Raises ValueError without clusters.
    """
    clusters = len(counts)
    if clusters == 0:
        raise ValueError("no clusters to draw from")
    sums = []
    for drawn in places(clusters, resamples):
        flat = drawn + np.arange(len(drawn))[:, None] * clusters
        times = np.bincount(flat.ravel(), minlength=drawn.size).reshape(drawn.shape)
        sums.append(np.tensordot(times.astype(np.float64), counts, axes=1))
    return np.concatenate(sums)


def numbered(clusters: Sequence[Any]) -> NDArray[np.int64]:
    """The number [N] of each item's cluster, from 0 in the order of their first items.

    >>> numbered(["b", "a", "b", "c"]).tolist()
    [0, 1, 0, 2]
    """
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(each, len(seen)) for each in clusters], dtype=np.int64)
