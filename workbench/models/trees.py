"""Rows of tokens for a decoder that share what can be shared: a beginning, and stems with branches.

The beginning of all rows is read once and kept as keys and values. A tree is one row with several
branches after its stem: each branch sees the stem and itself, at the positions that it would have
after the stem alone, so that a question is read once however many answers are scored after it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from workbench.machine import autocast
from workbench.models.causal_lm import CausalLM
from workbench.models.windows import pad

Ids = tuple[int, ...]
NEVER = torch.finfo(torch.bfloat16).min
"""Added to the score of what is not to be seen; finite in each dtype that is computed in."""
NEAR = 1e-3
"""Most that a tree's states may differ from those of plain rows, in float32, to be used."""


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


class Beginning:
    """What the stems of trees begin with, read once; `length` is how many tokens it has, P."""

    def __init__(self, model: CausalLM, ids: Ids, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.cache = self._read(ids) if ids else None
        self.length = len(ids) if self.cache else 0

    def _read(self, ids: Ids) -> DynamicCache | None:
        """Keys and values of the beginning; None of a network that keeps them otherwise."""
        with torch.inference_mode(), autocast(self.dtype, self.model.device):
            row = torch.tensor([ids], device=self.model.device)
            cache = getattr(self.model.body(row, use_cache=True), "past_key_values", None)
        return cache if isinstance(cache, DynamicCache) else None

    def hidden(self, trees: Sequence[Tree]) -> Tensor:
        """Last hidden states [B, T, H] of trees [B, P + T], without those of the beginning."""
        rest = [tree.ids[self.length :] for tree in trees]
        # Padding on the right needs no mask: what comes later is never looked at.
        ids = pad(rest, max(map(len, rest)), self.model.tokenizer.pad_token_id)
        options: dict[str, object] = {}
        if any(tree.branches for tree in trees):
            mask, positions = self._seen(trees, ids.shape[1])
            options = {
                "attention_mask": mask.to(self.model.device, non_blocking=True),
                "position_ids": positions.to(self.model.device, non_blocking=True),
            }
        if self.cache is not None:
            options["past_key_values"] = for_rows(self.cache, len(trees))
        with torch.inference_mode(), autocast(self.dtype, self.model.device):
            return self.model.body(
                ids.to(self.model.device), use_cache=self.cache is not None, **options
            ).last_hidden_state

    def _seen(self, trees: Sequence[Tree], width: int) -> tuple[Tensor, Tensor]:
        """What each token sees, [B, 1, T, P + T] of 0 and NEVER, and its position [B, T]."""
        places = torch.arange(width)
        seen = (places[None] <= places[:, None]).repeat(len(trees), 1, 1)
        positions = (places + self.length).repeat(len(trees), 1)
        for row, tree in enumerate(trees):
            stem = len(tree.stem) - self.length
            start = stem
            for branch in tree.branches:
                end = start + len(branch)
                seen[row, start:end, stem:start] = False
                positions[row, start:end] -= start - stem
                start = end
            positions[row, start:] = 0  # padding: any position that the model has
        before = torch.ones(len(trees), width, self.length, dtype=torch.bool)
        whole = torch.cat([before, seen], dim=2)
        return torch.where(whole, 0.0, NEVER)[:, None], positions


def for_rows(cache: DynamicCache, rows: int) -> DynamicCache:
    """The same keys and values for each of some rows: views, where the layers are plain."""
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        wide = copy.deepcopy(cache)
        wide.batch_repeat_interleave(rows)
        return wide
    wide = copy.copy(cache)
    wide.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in wide.layers:
        layer.keys = layer.keys.expand(rows, -1, -1, -1)
        layer.values = layer.values.expand(rows, -1, -1, -1)
    return wide


def longest(model: CausalLM) -> int:
    """Most tokens from the beginning to a branch's end with which this model can read trees.

    0 where it can't: asked by a tree of a few tokens whose states should be those of plain rows.
    A window that slides over the tokens would be overruled by the tree's own mask.
    """
    window = model.window or model.capacity
    tree = Tree((1, 2, 3), ((4, 5), (2,)))
    try:
        beginning = Beginning(model, (1, 2), torch.float32)
        (found,) = beginning.hidden([tree])
    except (TypeError, ValueError, RuntimeError, IndexError):
        return 0
    for branch in tree.branches:
        row = tree.stem + branch
        plain = beginning.hidden([Tree(row)])[0, -1]
        spot = tree.spots(row)[-1] - beginning.length
        if not torch.allclose(found[spot], plain, atol=NEAR, rtol=NEAR):
            return 0
    return min(window, model.capacity)
