"""What text costs without a pretrained model, given other text of its kind: lzma and n-grams."""

import lzma

import numpy as np
from numpy.typing import NDArray

ORDER = 6
"""Bytes of the longest n-gram; at most 8, as one is kept in 64 bits (docs/log.md)."""
BYTES = 256


def lzma_bits(text: bytes, given: bytes) -> int:
    """Bits that lzma adds for `text` when it has compressed `given` before, in one stream.

    The difference of two compressed sizes, as in Benedetto, Caglioti and Loreto 2002, "Language
    trees and zipping".
    """
    # The format is the one with the fewest bytes around the data; the window holds all of them.
    window = max(1 << 12, len(given) + len(text))
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 6, "dict_size": window}]
    before, after = (
        len(lzma.compress(data, format=lzma.FORMAT_ALONE, filters=filters))
        for data in (given, given + text)
    )
    return 8 * (after - before)


class Ngrams:
    """Interpolated Kneser-Ney model of bytes, one discount for each length of context.

    Source: Chen and Goodman 1999, "An empirical study of smoothing techniques for language
    modeling", section 2.7; the discount is that of Ney, Essen and Kneser 1994. Below all lengths
    every byte is as probable as any other. Without training text it answers so everywhere.
    """

    def __init__(self, text: bytes) -> None:
        self.levels: list[_Level] = []
        if not text:
            return
        grams, counts = np.unique(_grams(_array(text), ORDER), return_counts=True)
        for length in range(ORDER, 0, -1):
            self.levels.insert(0, _Level(grams, counts))
            # A shorter n-gram counts once for each byte that was seen before it.
            mask = np.uint64((1 << 8 * (length - 1)) - 1)
            grams, counts = np.unique(grams & mask, return_counts=True)

    def nats(self, text: bytes, before: bytes = b"") -> NDArray[np.float64]:
        """-ln p of each byte of `text` [N], given those before it and, at first, `before`."""
        data = _array(before + text)
        found = np.full(len(data), 1 / BYTES)
        for length, level in enumerate(self.levels, 1):
            found = level.interpolate(_grams(data, length), found)
        return -np.log(found[len(before) :])


class _Level:
    """N-grams of one length, with counts, and the sums over each context."""

    def __init__(self, grams: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
        self.grams, self.counts = grams, counts
        once, twice = (np.count_nonzero(counts == count) for count in (1, 2))
        self.discount = once / (once + 2 * twice) if once and twice else 0.5
        self.contexts, starts = np.unique(grams >> np.uint64(8), return_index=True)
        self.totals = np.add.reduceat(counts, starts)
        self.kinds = np.diff([*starts, len(grams)])
        """Different bytes seen after each context."""

    def interpolate(
        self, grams: NDArray[np.uint64], shorter: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Probability of each n-gram's last byte [N]; `shorter` where its context is unknown."""
        counts = _found(self.grams, self.counts, grams)
        contexts = grams >> np.uint64(8)
        totals = _found(self.contexts, self.totals, contexts)
        kinds = _found(self.contexts, self.kinds, contexts)
        shared = np.maximum(counts - self.discount, 0) + self.discount * kinds * shorter
        return np.where(totals > 0, shared / np.maximum(totals, 1), shorter)


def _array(text: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(text, np.uint8).astype(np.uint64)


def _grams(data: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """The last `length` bytes at each place [N] as one number; zeros before the beginning."""
    found = np.zeros(len(data), np.uint64)
    for back in range(min(length, len(data))):
        found[back:] |= data[: len(data) - back] << np.uint64(8 * back)
    return found


def _found(
    known: NDArray[np.uint64], values: NDArray[np.int64], wanted: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Values of the wanted among the sorted `known`; 0 for one that is not there."""
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[places] == wanted, values[places], 0)
