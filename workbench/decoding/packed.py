"""Rows of different lengths read as one, without padding and without copies of their prefix.

A layer's products see one row of all tokens; only attention knows of rows. There each token looks
at the prefix, whose keys and values are there once for all rows, and at its own row, and the two
are merged by their normalisers (Juravsky et al. 2024, Hydragen, section 3.1).
"""

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedConfig

from workbench.decoding.trees import Tree, seen
from workbench.models.causal_lm import CausalLM

NAME = "packed"
"""Of this attention among those of transformers."""
NEVER = torch.finfo(torch.bfloat16).min
"""Added to the score of what is not to be seen; finite in each dtype that is computed in."""
HARMLESS = ("dropout", "is_causal", "sliding_window", "position_ids", "use_cache")
"""Options of attention that change nothing here: no row is longer than a window, none is cached."""
SCORES = 1 << 26
"""Most scores at once of attention that is written out: 256 MiB in float32."""

Layers = Sequence[tuple[Tensor, Tensor]]
"""Keys and values [1, kv, P, D] of each layer."""


@dataclass(frozen=True)
class _Rows:
    """N tokens as B rows of up to T. `prefix` is empty where nothing comes before."""

    prefix: Layers
    places: Tensor  # [B, T], of each row's tokens among the N; 0 where padded
    spots: Tensor  # [N], of each token among the B * T
    mask: Tensor | None  # [B, 1, T, T], to be added; None where each sees all before it

    def to(self, device: torch.device) -> "_Rows":
        """The same on another device; keys and values stay with the layers that made them."""
        if self.places.device == device:
            return self
        mask = None if self.mask is None else self.mask.to(device)
        return _Rows(self.prefix, self.places.to(device), self.spots.to(device), mask)

    def of_tokens(self, found: Tensor) -> Tensor:
        """What was found for rows [B, heads, T, ...], token by token [N, heads, ...]."""
        return found.transpose(1, 2).flatten(0, 1)[self.spots]


_reading: ContextVar[_Rows] = ContextVar("rows that are being read")


def hidden(model: CausalLM, trees: Sequence[Tree], prefix: Layers, skipped: int) -> Tensor:
    """Last hidden states [N, H] of all tokens of the trees after `skipped`, tree by tree.

    ValueError or another error of torch's or transformers' where the network can't be read so.
    """
    rest = [tree.ids[skipped:] for tree in trees]
    lengths = torch.tensor([len(ids) for ids in rest])
    columns = torch.arange(int(lengths.max()))
    real = columns < lengths[:, None]
    spots = real.flatten().nonzero().flatten()
    places = torch.zeros(real.shape, dtype=torch.long)
    places[real] = torch.arange(len(spots))
    positions, mask = (columns + skipped).expand(real.shape), None
    if any(tree.continuations for tree in trees):
        sees, positions = seen(trees, skipped)
        mask = torch.where(sees, 0.0, NEVER)[:, None].to(_dtype(model.device, torch.float32))
    ids = torch.tensor([token for ids in rest for token in ids])

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(model.device, non_blocking=True)

    rows = _Rows(prefix, move(places), move(spots), None if mask is None else move(mask))
    with _read_as(model, rows):
        # Attention has its own mask; one of four dimensions keeps the network from making another.
        states = model.hidden(
            move(ids[None]),
            position_ids=move(positions[real][None]),
            attention_mask=torch.zeros(1, 1, 1, 1, device=model.device),
        )
    return states[0]


@contextlib.contextmanager
def _read_as(model: CausalLM, rows: _Rows) -> Iterator[None]:
    """The network's attention is this one's, over the rows."""
    config: PreTrainedConfig = model.network.base_model.config
    usual = config._attn_implementation
    token = _reading.set(rows)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual
        _reading.reset(token)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention [1, N, heads, D] of queries [1, heads, N, D], keys and values [1, kv, N, D]."""
    for name, option in options.items():
        if name not in HARMLESS and option is not None and option is not False:
            raise ValueError(f"packed rows know no {name}")
    rows, layer = _reading.get().to(query.device), cast("int", module.layer_idx)
    kind = _dtype(query.device, query.dtype)
    # As [N, heads, D], in which what belongs to a token lies together.
    query, key, value = (tensor[0].transpose(0, 1).to(kind) for tensor in (query, key, value))
    own_query, own_key, own_value = (
        tensor[rows.places].transpose(1, 2) for tensor in (query, key, value)
    )
    mask = None if rows.mask is None else rows.mask.to(kind)
    causal = mask is None
    if not rows.prefix:
        found = scaled_dot_product_attention(
            own_query, own_key, own_value, mask, is_causal=causal, scale=scaling, enable_gqa=True
        )
        return rows.of_tokens(found)[None], None
    both = _normalised(own_query, own_key, own_value, mask, scaling, causal=causal)
    found, weight = map(rows.of_tokens, both)
    kept_key, kept_value = (tensor.to(kind) for tensor in rows.prefix[layer])
    other, other_weight = _normalised(
        query.transpose(0, 1)[None], kept_key, kept_value, None, scaling
    )
    own = torch.sigmoid(weight - other_weight[0].mT)[..., None]
    merged = torch.lerp(other[0].transpose(0, 1).float(), found.float(), own)
    return merged.to(kind)[None], None


AttentionInterface.register(NAME, _attend)


def _dtype(device: torch.device, usual: torch.dtype) -> torch.dtype:
    """That of attention's products: autocast knows torch's own attention only."""
    on = torch.is_autocast_enabled(device.type)
    return torch.get_autocast_dtype(device.type) if on else usual


def _normalised(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float | None,
    *,
    causal: bool = False,
) -> tuple[Tensor, Tensor]:
    """Attention [B, heads, T, D], and the logarithm [B, heads, T] of what normalised it.

    Of keys and values [B, kv, S, D] each is for as many neighbouring heads.
    """
    if query.device.type == "cpu":
        # What torch's own attention calls on a processor, which returns the first part only.
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=mask, scale=scaling
        )
    return _written_out(query, key, value, mask, scaling, causal=causal)


def _written_out(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float | None,
    *,
    causal: bool = False,
) -> tuple[Tensor, Tensor]:
    """The same in operations that every device has, some queries at a time."""
    rows, heads, width, size = query.shape
    key, value = (each.repeat_interleave(heads // each.shape[1], 1) for each in (key, value))
    scale = size**-0.5 if scaling is None else scaling
    step = max(1, SCORES // (rows * heads * key.shape[2]))
    columns = torch.arange(key.shape[2], device=key.device)
    found, weights = [], []
    for first in range(0, width, step):
        part = slice(first, first + step)
        scores = (query[:, :, part] @ key.mT).float() * scale
        if causal:
            scores = scores.masked_fill(columns[None] > columns[part, None], -torch.inf)
        if mask is not None:
            scores = scores + mask[:, :, part]
        weights.append(scores.logsumexp(-1))
        found.append((scores - weights[-1][..., None]).exp().to(value.dtype) @ value)
    return torch.cat(found, 2), torch.cat(weights, 2)
