"""Rows of tokens with what several of them share read once: stems with branches.

A tree is one row with several branches after its stem: each branch sees the stem and itself, at the
positions that it would have after the stem alone, so that a question is read once however many
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
    """A row of tokens: a stem, and after it any number of branches."""

    stem: Ids
    branches: tuple[Ids, ...] = ()

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.stem) + sum(map(len, self.branches))

    @property
    def length(self) -> int:
        """Tokens from the first of the stem to the last of the longest branch."""
        return len(self.stem) + max(map(len, self.branches), default=0)

    @property
    def ids(self) -> list[int]:
        """The stem's tokens, then each branch's."""
        return [*self.stem, *(token for branch in self.branches for token in branch)]

    def spots(self, row: Ids) -> list[int]:
        """Where each token of a row lies that is the stem with a branch, or begins such a one.

        >>> Tree((5, 6), ((7,), (8, 9))).spots((5, 6, 8))
        [0, 1, 3]
        """
        rest = row[len(self.stem) :]
        start = len(self.stem)
        for branch in self.branches:
            if branch[: len(rest)] == rest:
                return [*range(len(self.stem)), *range(start, start + len(rest))]
            start += len(branch)
        return [*range(len(row))]


def grow(rows: Sequence[Ids]) -> Tree:
    """The smallest tree that all rows lie in, whose only fork is at the end of the stem.

    >>> grow([(1, 2, 3), (1, 2), (1, 2, 3, 4), (1, 2, 5)])
    Tree(stem=(1, 2), branches=((5,), (3, 4)))
    """
    stem = rows[0][: common(rows)]
    branches: list[Ids] = []
    # In reversed order what extends a row comes right before it.
    for row in sorted({row[len(stem) :] for row in rows}, reverse=True):
        if row and (not branches or branches[-1][: len(row)] != row):
            branches.append(row)
    if len(branches) == 1:
        return Tree(stem + branches[0])
    return Tree(stem, tuple(branches))


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
        stem = len(tree.stem) - skipped
        start = stem
        for branch in tree.branches:
            end = start + len(branch)
            sees[row, start:end, stem:start] = False
            positions[row, start:end] -= start - stem
            start = end
        positions[row, start:] = 0
    return sees, positions
