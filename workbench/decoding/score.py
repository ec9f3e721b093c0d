"""How likely a decoder finds given continuations, in batches.

What all contexts of a call begin with, such as the examples in a prompt, is read once and kept as
keys and values; each context then costs its own tokens only, however many continuations it has.
Where the network allows it, all contexts of a batch are read as one row without padding.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.core.errors import ParameterError
from workbench.core.machine import autocast
from workbench.decoding.prefix import SharedPrefix, Way, fastest
from workbench.decoding.trees import Ids, Tree, common, grow
from workbench.models.causal_lm import CausalLM
from workbench.models.windows import group_by_length

BATCH_TOKENS = 4096
"""Maximum number of tokens of a padded batch, those of the prefix too where each row copies it."""
HEAD_STATES = 256
"""States that the vocabulary head reads at once: their logits are what takes most memory."""
WORTH = 0.9
"""Tokens of a tree as a fraction of those of its rows, up to which the tree pays for its mask."""


@dataclass(frozen=True)
class Scores:
    """Log-likelihoods of K continuations after each of N contexts."""

    sums: NDArray[np.float64]  # [N, K]
    """Log-probability of all of a continuation's tokens, in nats."""
    tokens: NDArray[np.int64]  # [N, K]
    """Number of those tokens, 1 or more."""
    bytes: NDArray[np.int64]  # [N, K]
    """UTF-8 bytes of a continuation's text, 1 or more; space before it is not counted."""
    merged: int
    """Contexts whose last token is another one before some continuation (see `encode`)."""
    read: int
    """Tokens that went through the network, padding not counted."""

    @property
    def per_token(self) -> NDArray[np.float64]:
        """Mean log-probability of a continuation's tokens [N, K], in nats; depends on tokenizer."""
        return self.sums / self.tokens

    @property
    def per_byte(self) -> NDArray[np.float64]:
        """Log-probability of a continuation over its bytes [N, K], in nats.

        lm-evaluation-harness calls what follows from it `acc_bytes`; its `acc_norm` divides by
        characters, which in ASCII are the same. Both leave out the space before the continuation.
        """
        return self.sums / self.bytes


@dataclass(frozen=True)
class Request:
    """One context with one continuation, whose tokens begin at `start` > 0."""

    ids: Ids
    start: int

    @property
    def inputs(self) -> Ids:
        """What the network reads: the last token is only predicted."""
        return self.ids[:-1]


Encoded = Sequence[Sequence[Request]]
"""The requests of each context, one a continuation."""
Asked = dict[Tree, list[tuple[int, int, Request]]]
"""What is read, and what is scored on each: context and continuation by number, and tokens."""


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
    start = min(common([alone, ids]) for ids in joint)
    first = first_token(model, needed=start == 0)
    return [Request((*first, *ids), len(first) + start) for ids in joint]


def first_token(model: CausalLM, *, needed: bool) -> list[int]:
    """The token that this model's texts start with; where there is none and one is needed, any."""
    start, end = model.tokenizer.bos_token_id, model.tokenizer.eos_token_id
    if start is not None and start in model.tokenizer("")["input_ids"]:
        return [start]
    return [end if start is None else start] if needed else []


def log_likelihoods(
    model: CausalLM,
    contexts: Sequence[str],
    continuations: Sequence[str] | Sequence[Sequence[str]],
    *,
    dtype: torch.dtype = torch.float32,
    batch_tokens: int = BATCH_TOKENS,
    sharing: bool = True,
    progress: str = "scoring",
) -> Scores:
    """Log-likelihood of each continuation after each context; matrix products in `dtype`.

    The continuations are the same for all contexts, or lists of each one's own, equally many.
    Probabilities are computed in float32, at the answers' positions only. Without `sharing` each
    continuation has its context read anew. Raises ParameterError for a context that doesn't fit
    the model, ValueError for lists of different lengths.
    """
    own = [[text] if isinstance(text, str) else list(text) for text in continuations]
    if isinstance(continuations[0], str):
        own = [[text for (text,) in own]] * len(contexts)
    if len(own) != len(contexts) or len({len(texts) for texts in own}) > 1:
        raise ValueError("continuations: one list for all contexts, or equally many for each")
    encoded = [encode(model, text, texts) for text, texts in zip(contexts, own, strict=True)]
    check_capacity(model, _longest(encoded))
    sums, read = np.zeros((len(encoded), len(own[0]))), 0
    # A context longer than some layer sees whole is read in a slower way, but alone.
    for whole in (True, False):
        longest = [_longest([group]) for group in encoded]
        part = [n for n, each in enumerate(longest) if (each <= model.attention_window) is whole]
        if part:
            way = fastest(model) if sharing and whole else Way.ROWS
            asked = [encoded[n] for n in part]
            sums[part], tokens = _read(
                model, asked, way, dtype, batch_tokens, sharing=sharing, progress=progress
            )
            read += tokens
    return Scores(
        sums=sums,
        tokens=np.array([[len(r.ids) - r.start for r in group] for group in encoded]),
        bytes=np.array([[_size(text) for text in texts] for texts in own]),
        merged=sum(
            group[0].start < len(model.encode(context))
            for context, group in zip(contexts, encoded, strict=True)
        ),
        read=read,
    )


def _read(
    model: CausalLM,
    encoded: Encoded,
    way: Way,
    dtype: torch.dtype,
    batch_tokens: int,
    *,
    sharing: bool,
    progress: str,
) -> tuple[NDArray[np.float64], int]:
    """Log-likelihoods [N, K], and how many tokens were read for them."""
    asked = _as_trees(model, encoded, way) if sharing else _as_rows(encoded)
    rows = list(asked)
    kept = min(request.start for group in encoded for request in group) - 1 if sharing else 0
    shared = min(common([tree.prefix for tree in rows]), kept)
    sums = np.zeros((len(encoded), len(encoded[0])))
    # Around all batches, so that weights are rounded to the dtype once.
    with torch.inference_mode(), autocast(dtype, model.device):
        prefix = SharedPrefix(model, rows[0].prefix[:shared], dtype, way)
        skipped = prefix.length
        sizes = [tree.size - (skipped if way is Way.PACKED else 0) for tree in rows]
        groups = group_by_length(sizes, batch_tokens)
        for number, group in enumerate(groups, 1):
            say(f"{progress}: batch {number} of {len(groups)}")
            states, starts = prefix.hidden([rows[row] for row in group])
            of_group = [
                (start - skipped, rows[row], asked[rows[row]])
                for start, row in zip(starts, group, strict=True)
            ]
            _add(sums, model, states, of_group)
    say("")
    return sums, skipped + sum(tree.size - skipped for tree in rows)


def _longest(encoded: Encoded) -> int:
    """Maximum number of tokens that are read from a context's first to a continuation's last."""
    return max(len(request.inputs) for group in encoded for request in group)


def _size(text: str) -> int:
    """Bytes of a continuation without the space before it; all of them where it is space only."""
    return len((text.lstrip() or text).encode())


def _as_rows(encoded: Encoded) -> Asked:
    """A row for each different input."""
    asked: Asked = {}
    for context, group in enumerate(encoded):
        for place, request in enumerate(group):
            asked.setdefault(Tree(request.inputs), []).append((context, place, request))
    return asked


def _as_trees(model: CausalLM, encoded: Encoded, way: Way) -> Asked:
    """A tree for each context, or rows where that is little more to read, or all that can be."""
    asked: Asked = {}
    seen = min(model.attention_window, BATCH_TOKENS)
    limit = {Way.PACKED: BATCH_TOKENS, Way.TREES: seen}.get(way, 0)
    for context, group in enumerate(encoded):
        tree = grow([request.inputs for request in group])
        rows = [Tree(tree.prefix + continuation) for continuation in tree.continuations]
        if tree.size <= min(limit, WORTH * sum(row.size for row in rows)):
            rows = []
        for place, request in enumerate(group):
            holds = lambda row, ids=request.inputs: row.prefix[: len(ids)] == ids  # noqa: E731
            held = next(filter(holds, rows), tree)
            asked.setdefault(held, []).append((context, place, request))
    return asked


def _add(
    sums: NDArray[np.float64],
    model: CausalLM,
    states: Tensor,
    asked: Sequence[tuple[int, Tree, Sequence[tuple[int, int, Request]]]],
) -> None:
    """Add each token's log-probability to the sum [N, K] of its context and continuation.

    `states` [M, H] are last hidden states; `asked` says for each row where its first token's would
    lie, which tree it is, and what is asked of it. The vocabulary head reads each state once.
    """
    spots: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for start, tree, requests in asked:
        for context, continuation, request in requests:
            columns = tree.spots(request.inputs)
            for position in range(request.start, len(request.ids)):
                spot = start + columns[position - 1]
                spots[spot].append((context, continuation, request.ids[position]))
    states_read = list(spots)
    for first in range(0, len(spots), HEAD_STATES):
        places = states_read[first : first + HEAD_STATES]
        wanted = [(place, *of) for place, spot in enumerate(places) for of in spots[spot]]
        at, contexts, continuations, tokens = map(list, zip(*wanted, strict=True))
        with torch.autocast(model.device.type, enabled=False):
            logits = model.logits(states[places].float())
        found = logits.log_softmax(-1)[at, tokens]
        np.add.at(sums, (contexts, continuations), found.double().cpu().numpy())


def check_capacity(model: CausalLM, longest: int) -> None:
    """ParameterError where a row of `longest` tokens doesn't fit the model."""
    if longest > model.capacity:
        raise ParameterError(
            f"a prompt of {longest:,} tokens doesn't fit the model {model.source.name!r}",
            expected=f"at most {model.capacity:,} tokens",
            do="lower shots or max_tokens",
        )


def say(text: str) -> None:
    """Show a passing line in the place of the one before; an empty one leaves nothing."""
    print(f"\r{text}".ljust(81) + ("" if text else "\r"), end="", flush=True)
