"""What many rows of tokens begin with, read once, and the rows read after it."""

import copy
from collections.abc import MutableMapping, Sequence
from enum import Enum
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from workbench.core.machine import autocast
from workbench.decoding import packed
from workbench.decoding.trees import Ids, Tree, grow, seen
from workbench.models.causal_lm import CausalLM
from workbench.models.windows import pad

NEAR = 1e-3
"""Most that states read in some way may differ from those of plain rows, in float32."""
NEAR_ROUGH = 2**-4
"""The same where weights are held in bfloat16, whose numbers have 8 bits, as a fraction of the
length of a state."""
REFUSALS = (TypeError, ValueError, RuntimeError, LookupError, AttributeError, AssertionError)
"""What a network may raise that can't be read in some way."""


class Way(Enum):
    """How a network's rows can be read, from the fastest on."""

    PACKED = "all tokens as one row, the prefix there once"
    TREES = "padded rows with a mask of ours, each with a copy of the prefix"
    ROWS = "padded rows as the network itself masks them, each with a copy of the prefix"


class SharedPrefix:
    """What the prefixes of trees begin with, read once; `length` is how many tokens it has, P."""

    def __init__(self, model: CausalLM, ids: Ids, dtype: torch.dtype, way: Way = Way.ROWS) -> None:
        self.model, self.dtype, self.way = model, dtype, way
        self.cache = self._read(ids) if ids else None
        self.length = len(ids) if self.cache else 0

    def _read(self, ids: Ids) -> DynamicCache | None:
        """Keys and values of the prefix; None of a network that keeps them otherwise."""
        with torch.inference_mode(), autocast(self.dtype, self.model.device):
            row = torch.tensor([ids], device=self.model.device)
            cache = getattr(self.model.body(row, use_cache=True), "past_key_values", None)
        return cache if isinstance(cache, DynamicCache) else None

    def hidden(self, trees: Sequence[Tree]) -> tuple[Tensor, list[int]]:
        """Last hidden states [M, H] of trees, and where among them each tree's tokens begin.

        Those of the prefix are left out; between two trees there may be padding.
        """
        read = self._packed if self.way is Way.PACKED else self._padded
        with torch.inference_mode(), autocast(self.dtype, self.model.device):
            return read(trees)

    def _packed(self, trees: Sequence[Tree]) -> tuple[Tensor, list[int]]:
        layers = self.cache.layers if self.cache else []
        kept = [(layer.keys, layer.values) for layer in layers]
        starts = [0]
        for tree in trees[:-1]:
            starts.append(starts[-1] + tree.size - self.length)
        return packed.hidden(self.model, trees, kept, self.length), starts

    def _padded(self, trees: Sequence[Tree]) -> tuple[Tensor, list[int]]:
        rest = [tree.ids[self.length :] for tree in trees]
        width = max(map(len, rest))
        # Padding on the right needs no mask: what comes later is never looked at.
        ids = pad(rest, width, self.model.tokenizer.pad_token_id)
        options: dict[str, object] = {}
        if any(tree.continuations for tree in trees):
            sees, positions = seen(trees, self.length)
            before = torch.ones(len(trees), width, self.length, dtype=torch.bool)
            mask = torch.where(torch.cat([before, sees], dim=2), 0.0, packed.NEVER)[:, None]
            options = {
                "attention_mask": mask.to(self.model.device, non_blocking=True),
                "position_ids": positions.to(self.model.device, non_blocking=True),
            }
        if self.cache is not None:
            options["past_key_values"] = for_rows(self.cache, len(trees))
        states = self.model.body(
            ids.to(self.model.device), use_cache=self.cache is not None, **options
        ).last_hidden_state.to(self.model.device)
        return states.flatten(0, 1), [row * width for row in range(len(trees))]


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


def fastest(model: CausalLM) -> Way:
    """The fastest way in which this network can be read: asked of it, once, on a few tokens.

    There its states are those of plain rows. A window that slides over the tokens is overruled by
    all ways but the last, so no row may be longer.
    """
    if model not in _known:
        _known[model] = next(
            (way for way in (Way.PACKED, Way.TREES) if _holds(model, way)), Way.ROWS
        )
    return _known[model]


_known: MutableMapping[CausalLM, Way] = WeakKeyDictionary()


def _holds(model: CausalLM, way: Way) -> bool:
    """Whether a few rows' states, read in this way, are those of each row alone."""
    rows = [(1, 2, 3, 4, 5), (1, 2, 3, 2), (1, 2, 4)]
    trees = [grow(rows[:2]), Tree(rows[2])]
    try:
        states, starts = SharedPrefix(model, rows[0][:2], torch.float32, way).hidden(trees)
    except torch.OutOfMemoryError:
        raise
    except REFUSALS:
        return False
    with torch.inference_mode():
        plain = model.hidden(pad([list(row) for row in rows], 5, 0).to(model.device))
    for row, owner, wanted in zip(rows, (0, 0, 1), plain, strict=True):
        spots = [starts[owner] + spot - 2 for spot in trees[owner].spots(row)[2:]]
        if not _near(states[spots], wanted[2 : len(row)]):
            return False
    return True


def _near(found: Tensor, wanted: Tensor) -> bool:
    """Whether states [T, H] are the same but for rounding in their dtype."""
    if found.dtype == torch.float32:
        return torch.allclose(found, wanted, atol=NEAR, rtol=NEAR)
    off = torch.linalg.vector_norm((found - wanted).float(), dim=-1)
    return bool((off <= NEAR_ROUGH * torch.linalg.vector_norm(wanted.float(), dim=-1)).all())
