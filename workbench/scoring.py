"""How likely a decoder finds given continuations, and what it writes itself, in batches.

What all contexts of a call begin with, such as the examples in a prompt, is read once and kept as
keys and values; each context then costs its own tokens only.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from workbench.errors import ParameterError
from workbench.machine import autocast
from workbench.models.causal_lm import CausalLM
from workbench.models.windows import group_by_length, pad

BATCH_TOKENS = 4096
"""Most tokens of a padded batch, those of the shared beginning counted for each row."""
Ids = tuple[int, ...]


@dataclass(frozen=True)
class Scores:
    """Log-likelihoods of K continuations after each of N contexts."""

    sums: NDArray[np.float64]  # [N, K]
    """Log-probability of all of a continuation's tokens, in nats."""
    tokens: NDArray[np.int64]  # [N, K]
    """Number of those tokens."""
    merged: int
    """Contexts whose last token is another one before some continuation (see `encode`)."""
    read: int
    """Tokens that went through the network, padding not counted."""


@dataclass(frozen=True)
class Request:
    """One context with one continuation, whose tokens begin at `start` > 0."""

    ids: Ids
    start: int

    @property
    def inputs(self) -> Ids:
        """What the network reads: the last token is only predicted."""
        return self.ids[:-1]


def encode(model: CausalLM, context: str, continuations: Sequence[str]) -> list[Request]:
    """Token ids of a context with each of its continuations, as the joint texts are tokenised.

    Where a continuation changes the context's last tokens, as after a trailing space, the scored
    part begins at the first token that changes: with the same token for all continuations of a
    context, so that their likelihoods can be compared. Raises ValueError for an empty continuation.
    """
    if "" in continuations:
        raise ValueError("an empty continuation has no likelihood")
    texts = [context, *(context + text for text in continuations)]
    alone, *joint = map(tuple, model.tokenizer(texts, add_special_tokens=False)["input_ids"])
    start = min(_common([alone, ids]) for ids in joint)
    first = _first_token(model, needed=start == 0)
    return [Request((*first, *ids), len(first) + start) for ids in joint]


def _first_token(model: CausalLM, *, needed: bool) -> list[int]:
    """The token that this model's texts start with; where there is none and one is needed, any."""
    start, end = model.tokenizer.bos_token_id, model.tokenizer.eos_token_id
    if start is not None and start in model.tokenizer("")["input_ids"]:
        return [start]
    return [end if start is None else start] if needed else []


def log_likelihoods(
    model: CausalLM,
    contexts: Sequence[str],
    continuations: Sequence[str],
    *,
    dtype: torch.dtype = torch.float32,
    batch_tokens: int = BATCH_TOKENS,
    progress: str = "scoring",
) -> Scores:
    """Log-likelihood of each continuation after each context; matrix products in `dtype`.

    Probabilities are computed in float32, at the answers' positions only. Raises ParameterError
    for a context that doesn't fit the model.
    """
    encoded = [encode(model, context, continuations) for context in contexts]
    requests = [request for group in encoded for request in group]
    rows, row_of = _fewest_rows([request.inputs for request in requests])
    _check_capacity(model, max(map(len, rows)))
    kept = min(request.start for request in requests) - 1
    beginning = Beginning(model, rows[0][: min(_common(rows), kept)], dtype)
    asked: list[list[int]] = [[] for _ in rows]
    for number, row in enumerate(row_of):
        asked[row].append(number)
    sums = np.zeros(len(requests))
    groups = group_by_length(list(map(len, rows)), batch_tokens)
    for number, group in enumerate(groups, 1):
        _say(f"{progress}: batch {number} of {len(groups)}")
        hidden = beginning.hidden([rows[row] for row in group])
        of_group = [[(number, requests[number]) for number in asked[row]] for row in group]
        _add(sums, model, hidden, of_group, beginning.length)
    _say("")
    shape = (len(contexts), len(continuations))
    return Scores(
        sums=sums.reshape(shape),
        tokens=np.array([len(r.ids) - r.start for r in requests]).reshape(shape),
        merged=sum(
            group[0].start < len(model.encode(context))
            for context, group in zip(contexts, encoded, strict=True)
        ),
        read=beginning.length + sum(len(row) - beginning.length for row in rows),
    )


def _common(rows: Sequence[Ids]) -> int:
    """How many tokens all rows begin with alike.

    >>> _common([(1, 2, 3), (1, 2), (1, 4)])
    1
    """
    # In order, the first and the last differ before any others do.
    first, last = min(rows), max(rows)
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return sum(1 for _ in shared)


def _fewest_rows(inputs: Sequence[Ids]) -> tuple[list[Ids], list[int]]:
    """The fewest rows that begin with each of `inputs`, and each one's row.

    >>> _fewest_rows([(1, 2), (1, 2, 3), (1, 2), (4,)])
    ([(4,), (1, 2, 3)], [1, 1, 1, 0])
    """
    rows: list[Ids] = []
    place = {}
    # In reversed order what extends a row comes right before it.
    for ids in sorted(set(inputs), reverse=True):
        if not rows or rows[-1][: len(ids)] != ids:
            rows.append(ids)
        place[ids] = len(rows) - 1
    return rows, [place[ids] for ids in inputs]


class Beginning:
    """What rows of tokens begin with, read once; P is its length."""

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

    def hidden(self, rows: Sequence[Ids]) -> Tensor:
        """Last hidden states [B, T, H] of rows [B, P + T], without those of the beginning."""
        rest = [list(row[self.length :]) for row in rows]
        # Padding on the right needs no mask: what comes later is never looked at.
        ids = pad(rest, max(map(len, rest)), self.model.tokenizer.pad_token_id)
        with torch.inference_mode(), autocast(self.dtype, self.model.device):
            cache = copy.deepcopy(self.cache)
            if cache is not None:
                cache.batch_repeat_interleave(len(rows))
            options = {"past_key_values": cache, "use_cache": cache is not None}
            return self.model.body(ids.to(self.model.device), **options).last_hidden_state


def _add(
    sums: NDArray[np.float64],
    model: CausalLM,
    hidden: Tensor,
    asked: Sequence[Sequence[tuple[int, Request]]],
    skipped: int,
) -> None:
    """Add each token's log-probability to the sum of its request.

    `hidden` [B, T, H] begins after `skipped` tokens; `asked` are the requests of each of its rows.
    """
    spots: dict[tuple[int, int], int] = {}
    owners, places, targets = [], [], []
    for row, group in enumerate(asked):
        for number, request in group:
            for position in range(request.start, len(request.ids)):
                spot = (row, position - 1 - skipped)
                owners.append(number)
                places.append(spots.setdefault(spot, len(spots)))
                targets.append(request.ids[position])
    rows, columns = zip(*spots, strict=True)
    with torch.inference_mode():
        logits = model.head(hidden[list(rows), list(columns)].float())
        found = logits.float().log_softmax(-1)[places, targets]
    np.add.at(sums, owners, found.double().cpu().numpy())


def generate(
    model: CausalLM,
    contexts: Sequence[str],
    *,
    max_new_tokens: int,
    dtype: torch.dtype = torch.float32,
    batch_tokens: int = BATCH_TOKENS,
    progress: str = "answering",
) -> list[str]:
    """What the model writes after each context, always taking the most likely token.

    Always `max_new_tokens` tokens, cut at the end-of-text token: no answer hangs on its batch.
    """
    rows = [[*_first_token(model, needed=not text), *model.encode(text)] for text in contexts]
    _check_capacity(model, max(map(len, rows)) + max_new_tokens - 1)
    answers = [""] * len(rows)
    groups = group_by_length([len(row) + max_new_tokens for row in rows], batch_tokens)
    for number, group in enumerate(groups, 1):
        _say(f"{progress}: batch {number} of {len(groups)}")
        with torch.inference_mode(), autocast(dtype, model.device):
            found = _continue(model, [rows[row] for row in group], max_new_tokens)
        for row, answer in zip(group, found, strict=True):
            answers[row] = answer
    _say("")
    return answers


def _continue(model: CausalLM, rows: list[list[int]], count: int) -> list[str]:
    """`count` tokens after each row, as text."""
    width = max(map(len, rows))
    # Padding on the left, so that all rows go on at the same place; it is masked.
    backwards = [row[::-1] for row in rows]
    ids = pad(backwards, width, model.tokenizer.pad_token_id).flip(1).to(model.device)
    mask = pad([[1] * len(row) for row in rows], width, 0).flip(1).to(model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = None
    written: list[Tensor] = []
    for _ in range(count):
        output = model.body(
            ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        with torch.autocast(model.device.type, enabled=False):
            ids = model.head(output.last_hidden_state[:, -1:].float()).argmax(-1)
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
        written.append(ids)
    return [_decoded(model, row) for row in torch.cat(written, dim=1).tolist()]


def _decoded(model: CausalLM, ids: list[int]) -> str:
    end = model.tokenizer.eos_token_id
    kept = ids[: ids.index(end)] if end in ids else ids
    return model.tokenizer.decode(kept)


def _check_capacity(model: CausalLM, longest: int) -> None:
    if longest > model.capacity:
        raise ParameterError(
            f"a prompt of {longest:,} tokens doesn't fit the model {model.source.name!r}",
            expected=f"at most {model.capacity:,} tokens",
            do="lower shots or max_tokens",
        )


def _say(text: str) -> None:
    """Show a passing line in the place of the one before; an empty one leaves nothing."""
    print(f"\r{text}".ljust(81) + ("" if text else "\r"), end="", flush=True)
