"""What a decoder writes after given contexts: any text, one of some labels, or JSON of a schema.

A grammar takes all probability from the tokens that can't go on with an allowed answer, at each
step. Greedy decoding under a grammar is not scoring: it commits itself token by token, so it may
begin as the likeliest first token does and end with a label that is less likely as a whole than
another, and a label may be split into other tokens than usual. `score.log_likelihoods` compares
whole labels, in their usual tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from workbench.core.errors import ParameterError
from workbench.core.machine import autocast
from workbench.decoding.grammar import Grammar, automaton
from workbench.decoding.prefix import SharedPrefix, for_rows
from workbench.decoding.score import BATCH_TOKENS, check_capacity, first_token, say
from workbench.decoding.trees import common
from workbench.models.causal_lm import CausalLM
from workbench.models.windows import group_by_length, pad

SHARED = 16
"""Fewest tokens that all contexts begin with to be read once: fewer save no time."""


@dataclass(frozen=True)
class Written:
    """What a model wrote after a context."""

    text: str
    """Without what ended it."""
    ended: bool
    """Whether it came to its end: false where it was cut at the most tokens allowed."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn where not the likeliest is taken.

    Probabilities are of logits divided by `temperature` > 0; `top_p` in (0, 1] keeps the smallest
    set of tokens that holds as much of them (Holtzman et al. 2020, section 3.1). An item's answer
    depends on the seed and on its place among the contexts, not on its batch.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 < self.top_p <= 1 and self.seed >= 0):
            raise ParameterError(
                f"to sample by {self}",
                expected="temperature > 0, top_p above 0 and at most 1, a seed from 0 on",
                do="leave sampling out to take the likeliest token each time",
            )


def generate(
    model: CausalLM,
    contexts: Sequence[str],
    *,
    max_new_tokens: int,
    grammar: Grammar | None = None,
    sampling: Sampling | None = None,
    stop: str = "",
    dtype: torch.dtype = torch.float32,
    batch_tokens: int = BATCH_TOKENS,
    progress: str = "answering",
) -> list[Written]:
    """What the model writes after each context, the likeliest token each time or drawn.

    An answer ends with the model's end of text, before `stop` where that is given, where its
    grammar ends, or else is cut at `max_new_tokens`. Labels are written whole, whatever
    `max_new_tokens`, where the model has room; JSON has its own end, which is no `stop`. Batches
    end with their last answer, and no answer depends on its batch but for rounding, which in
    bfloat16 can tip the scale between two tokens that are almost equally likely. ParameterError for
    a context without room in the model, and for a grammar that its tokenizer can't write.
    """
    if not contexts:
        return []
    rows = [[*first_token(model, needed=not text), *model.encode(text)] for text in contexts]
    longest = max(map(len, rows))
    check_capacity(model, longest + max_new_tokens - 1)
    wanted = max(max_new_tokens, grammar.most_tokens if grammar else 0)
    steps = min(wanted, model.capacity - longest + 1)
    way = _Way(model, grammar, sampling, stop)
    answers = [_Answer(way, number) for number in range(len(rows))]
    prefix = _shared(model, rows, dtype)
    groups = group_by_length([len(row) + steps for row in rows], batch_tokens)
    # Around all batches, so that weights are rounded to the dtype once.
    with torch.inference_mode(), autocast(dtype, model.device):
        for number, group in enumerate(groups, 1):
            say(f"{progress}: batch {number} of {len(groups)}")
            rest = [rows[row][prefix.length :] for row in group]
            _write(way, [answers[row] for row in group], rest, prefix, steps)
    say("")
    return [answer.written() for answer in answers]


@dataclass(frozen=True)
class _Way:
    """How the answers of a call are written. V tokens are known to tokenizer and network alike."""

    model: CausalLM
    grammar: Grammar | None
    sampling: Sampling | None
    stop: str

    @cached_property
    def size(self) -> int:
        """V: a network's vocabulary may be padded, a tokenizer's may be longer."""
        return min(self.known, self.model.vocabulary)

    @cached_property
    def known(self) -> int:
        """Tokens of the tokenizer, up to its last one."""
        return max(self.model.tokenizer.get_vocab().values()) + 1

    @cached_property
    def ends(self) -> frozenset[int]:
        """Tokens that end a text."""
        return frozenset(end for end in self.model.ends if end < self.size)

    @cached_property
    def automaton(self) -> LLTokenizer:
        """The tokenizer as grammars read it."""
        whole = max(self.known, self.model.vocabulary)
        return automaton(self.model.tokenizer, whole, self.ends)

    def choose(self, logits: Tensor, answers: Sequence["_Answer"]) -> Tensor:
        """The next token [B] of each answer, by logits [B, V]."""
        if self.grammar:
            logits = logits.masked_fill(~self._allowed(answers), -torch.inf)
        if self.sampling:
            logits = nucleus(logits / self.sampling.temperature, self.sampling.top_p)
            # The largest sum of a logit and Gumbel noise is a draw by the softmax of the logits.
            noise = np.stack([answer.chance.gumbel(size=self.size) for answer in answers])
            logits = logits + torch.from_numpy(noise.astype(np.float32)).to(logits.device)
        return logits.argmax(-1)

    def _allowed(self, answers: Sequence["_Answer"]) -> Tensor:
        """Which tokens [B, V] the grammar has next; all of them where an answer has ended."""
        words = np.full((len(answers), -(-self.automaton.vocab_size // 32)), -1, dtype=np.int32)
        for answer, own in zip(answers, words, strict=True):
            answer.mark_allowed(own)
        place = self.model.device
        bits = torch.from_numpy(words).to(place)[:, :, None] >> torch.arange(32, device=place)
        return (bits & 1).bool().flatten(1)[:, : self.size]


class _Answer:
    """An answer as it grows."""

    def __init__(self, way: _Way, number: int) -> None:
        self.way = way
        self.ids: list[int] = []
        self.text = ""
        self.ended = False
        # Of the answer's own, so that others in the batch change nothing.
        self.chance = np.random.default_rng([way.sampling.seed if way.sampling else 0, number])
        self.matcher = (
            LLMatcher(way.automaton, way.grammar.notation, log_level=0) if way.grammar else None
        )

    def mark_allowed(self, words: NDArray[np.int32]) -> None:
        """Set the bits of the tokens that may come next, in 32-bit words."""
        if self.matcher and not self.ended:
            self.matcher.unsafe_compute_mask_ptr(words.ctypes.data, words.nbytes)

    def take(self, token: int) -> None:
        """Go on with a token, or end."""
        if self.ended:
            return
        if self.matcher:
            self._keep_grammar(self.matcher, token)
        self.ended |= token in self.way.ends
        if token not in self.way.ends:
            self.ids.append(token)
        if self.matcher:
            raw = self.way.automaton.decode_bytes(self.ids)
            self.text = raw.decode(errors="replace")
            self._name_label(raw)
        else:
            self.text = self.way.model.tokenizer.decode(self.ids)
            if self.way.stop and self.way.stop in self.text:
                self.text, self.ended = self.text.partition(self.way.stop)[0], True

    def written(self) -> Written:
        """The answer as it is now."""
        return Written(self.text, self.ended)

    def _keep_grammar(self, matcher: LLMatcher, token: int) -> None:
        if not matcher.consume_token(token):
            name = self.way.model.source.name
            raise ParameterError(
                f"the model {name!r} can't go on by the grammar after {self.text!r}: "
                f"{matcher.get_error() or 'no token is allowed'}",
                expected="a grammar whose texts its tokenizer can write",
            )
        self.ended = matcher.is_stopped()

    def _name_label(self, raw: bytes) -> None:
        """End with a label as soon as it is the only one left, without writing all of it."""
        labels = self.way.grammar.labels if self.way.grammar else ()
        left = [label for label in labels if label.encode().startswith(raw)]
        if len(left) == 1:
            self.text, self.ended = left[0], True
        elif labels and (self.ended or not left):
            # The end of text, or what ends a label that begins another, came after a whole one.
            whole = [label for label in labels if raw.startswith(label.encode())]
            self.text, self.ended = max(whole, key=len), True


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Logits [B, V] with -inf for tokens outside the smallest set whose share reaches `top_p`.

    >>> nucleus(torch.tensor([[0.2, 0.5, 0.3]]).log(), 0.6).isfinite().tolist()
    [[False, True, True]]
    """
    if top_p == 1:
        return logits
    ranked, places = logits.sort(descending=True, stable=True)
    fractions = ranked.softmax(-1)
    outside = fractions.cumsum(-1) - fractions >= top_p
    return logits.masked_fill(outside.scatter(-1, places, outside), -torch.inf)


def _write(
    way: _Way,
    answers: Sequence[_Answer],
    rows: Sequence[list[int]],
    prefix: SharedPrefix,
    steps: int,
) -> None:
    """Let each answer grow after its row of tokens, itself after `prefix`."""
    model, start = way.model, prefix.length
    width = max(map(len, rows))
    # Padding on the left, so that all rows go on at the same place; it is masked.
    backwards = [row[::-1] for row in rows]
    ids = pad(backwards, width, model.tokenizer.pad_token_id).flip(1).to(model.device)
    mask = pad([[1] * len(row) for row in rows], width, 0).flip(1).to(model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0) + start
    mask = torch.cat([mask.new_ones(len(rows), start), mask], dim=1)
    cache = for_rows(prefix.cache, len(rows)) if prefix.cache else None
    for _ in range(steps):
        output = model.body(
            ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        with torch.autocast(model.device.type, enabled=False):
            logits = model.logits(output.last_hidden_state[:, -1].float())[:, : way.size]
        chosen = way.choose(logits, answers)
        # Ends and grammars are read on the host, so each step waits for the device here.
        for answer, token in zip(answers, chosen.tolist(), strict=True):
            answer.take(token)
        if all(answer.ended for answer in answers):
            break
        ids = chosen[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1


def _shared(model: CausalLM, rows: Sequence[list[int]], dtype: torch.dtype) -> SharedPrefix:
    """What all rows begin with, read once, where that saves time and changes nothing.

    Padding lies between it and the rest of a row, so no layer may count back a number of places, as
    those with a sliding window do.
    """
    several = [tuple(row) for row in rows]
    shared = min(common(several), min(map(len, several)) - 1)
    worth = shared >= SHARED and model.window is None
    prefix = SharedPrefix(model, several[0][:shared] if worth else (), dtype)
    plain = prefix.cache and all(type(layer) is DynamicLayer for layer in prefix.cache.layers)
    return prefix if plain else SharedPrefix(model, (), dtype)
