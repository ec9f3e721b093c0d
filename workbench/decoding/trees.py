"""Rows of tokens with what several of them share read once: prefixes with continuations.

A tree is one row with several continuations after its prefix; each sees prefix and itself, at the
positions that it would have after the prefix alone, so that a question is read once however many
answers are scored after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """A row of tokens: a prefix, and after it any number of continuations."""

    prefix: Ids
    continuations: tuple[Ids, ...] = ()

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.prefix) + sum(map(len, self.continuations))

    @property
    def length(self) -> int:
        """Tokens from the first of the prefix to the last of the longest continuation."""
        return len(self.prefix) + max(map(len, self.continuations), default=0)

    @property
    def ids(self) -> list[int]:
        """The prefix's tokens, then each continuation's."""
        return [
            *self.prefix,
            *(token for continuation in self.continuations for token in continuation),
        ]

    def spots(self, row: Ids) -> list[int]:
        """Where each token of a row lies that is the prefix with a continuation, or begins one.

        >>> Tree((5, 6), ((7,), (8, 9))).spots((5, 6, 8))
        [0, 1, 3]
        """
        rest = row[len(self.prefix) :]
        start = len(self.prefix)
        for continuation in self.continuations:
            if continuation[: len(rest)] == rest:
                return [*range(len(self.prefix)), *range(start, start + len(rest))]
            start += len(continuation)
        return [*range(len(row))]


def grow(rows: Sequence[Ids]) -> Tree:
    """The smallest tree that all rows lie in, whose only fork is at the end of the prefix.

    >>> grow([(1, 2, 3), (1, 2), (1, 2, 3, 4), (1, 2, 5)])
    Tree(prefix=(1, 2), continuations=((5,), (3, 4)))
    """
    prefix = rows[0][: common(rows)]
    continuations: list[Ids] = []
    # In reversed order what extends a row comes right before it.
    for row in sorted({row[len(prefix) :] for row in rows}, reverse=True):
        if row and (not continuations or continuations[-1][: len(row)] != row):
            continuations.append(row)
    if len(continuations) == 1:
        return Tree(prefix + continuations[0])
    return Tree(prefix, tuple(continuations))


def common(rows: Sequence[Ids]) -> int:
    """How many tokens all rows begin with alike.

    >>> common([(1, 2, 3), (1, 2), (1, 4)])
    1
    """
    # In order, the first and the last differ before any others do.
    first, last = min(rows), max(rows)
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return sum(1 for _ in shared)


def seen(trees: Sequence[Tree], skipped: int) -> tuple[Tensor, Tensor]:
    """Which tokens each token sees [B, T, T], and its position [B, T].

    Both are of trees without their first `skipped` tokens, padded on the right; what pads sees what
    is before it and has position 0.
    """
    width = max(tree.size for tree in trees) - skipped
    places = torch.arange(width)
    sees = (places[None] <= places[:, None]).repeat(len(trees), 1, 1)
    positions = (places + skipped).repeat(len(trees), 1)
    for row, tree in enumerate(trees):
        prefix = len(tree.prefix) - skipped
        start = prefix
        for continuation in tree.continuations:
            end = start + len(continuation)
            sees[row, start:end, prefix:start] = False
            positions[row, start:end] -= start - prefix
            start = end
        positions[row, start:] = 0
    return sees, positions
