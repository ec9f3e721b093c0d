"""How well a decoder predicts running text: nats of every token of passages of equal size."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.core import machine
from workbench.core.errors import ParameterError
from workbench.data.near import NOISE
from workbench.models.causal_lm import CausalLM
from workbench.models.windows import group_by_length, pad
from workbench.tasks.pretraining.passages import Passage

SEPARATOR = "<|endoftext|>"
"""What GPT-2, SmolLM2, Qwen and others put between documents in pretraining."""
BATCH_TOKENS = 2048
HEAD_TOKENS = 256
"""Tokens whose logits over the whole vocabulary are held at once."""
SPAN_WORDS = 4
CONTEXT_WORDS = 10


@dataclass(frozen=True)
class Document:
    """A passage of text and the N tokens that a decoder's tokenizer makes of it."""

    key: str
    """Hash of the text, 12 hex digits."""
    text: str
    starts: list[int]
    """Place of the first character of each document that is joined in `text`."""
    ids: list[int]
    ends: list[int]
    """End of each token in `text`, in characters [N]."""


@dataclass(frozen=True)
class Scored:
    """What a decoder makes of a passage of N tokens."""

    nats: NDArray[np.float64]
    """-ln p of each token, given those before it [N]."""
    best: list[int]
    """The most probable token in each place [N]."""


def start_token(model: CausalLM) -> int:
    """The token that stands before a document, so that its first one is predicted too.

    What parted documents in pretraining, where the vocabulary has it: before an instruction-tuned
    model's own opening, `<|im_start|>`, plain text is less expected (docs/log.md).
    """
    tokenizer = model.tokenizer
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    choices = (vocabulary.get(SEPARATOR), tokenizer.bos_token_id, tokenizer.eos_token_id)
    return next(int(choice) for choice in choices if choice is not None)


def tokenize(model: CausalLM, passage: Passage) -> Document:
    """Split a passage; ParameterError where it has more tokens than the decoder can read."""
    encoded = model.tokenizer(
        passage.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    ids = encoded["input_ids"]
    if len(ids) >= model.capacity:
        raise ParameterError(
            f"a passage has {len(ids):,} tokens, and {model.source.name} reads {model.capacity:,}",
            expected=f"{model.capacity - 1:,} tokens at most, as one stands before the text",
            do="give passage_bytes a lower value",
        )
    return Document(
        key=hashlib.sha256(passage.text.encode()).hexdigest()[:12],
        text=passage.text,
        starts=passage.starts,
        ids=ids,
        ends=[end for _, end in encoded["offset_mapping"]],
    )


def is_exact(model: CausalLM, document: Document) -> bool:
    """Whether the tokens decode to the text and nothing else: its bytes are what is counted."""
    decoded: str = model.tokenizer.decode(document.ids, clean_up_tokenization_spaces=False)
    return decoded == document.text


def score(
    model: CausalLM, documents: Sequence[Document], dtype: torch.dtype, *, name: str
) -> list[Scored]:
    """Nats of every token of every passage; `name` is shown with the progress."""
    found: list[Scored | None] = [None] * len(documents)
    start = start_token(model)
    groups = group_by_length([len(document.ids) for document in documents], BATCH_TOKENS)
    for number, rows in enumerate(groups, 1):
        print(f"\rscoring {name}: {number} of {len(groups)} batches".ljust(80), end="", flush=True)
        ids = [[start, *documents[row].ids] for row in rows]
        # Padding stands behind the text, where a causal model can't see it.
        padded = pad(ids, max(map(len, ids)), start).to(model.device)
        with torch.inference_mode(), machine.autocast(dtype, model.device):
            hidden = model.hidden(padded[:, :-1])
            for place, row in enumerate(rows):
                count = len(documents[row].ids)
                states, targets = hidden[place, :count], padded[place, 1 : count + 1]
                values, best = nats(model, states, targets)
                found[row] = Scored(values, best.tolist())
    print("\r".ljust(81) + "\r", end="", flush=True)
    return [scored for scored in found if scored]


@torch.inference_mode()
def nats(
    model: CausalLM, hidden: torch.Tensor, targets: torch.Tensor
) -> tuple[NDArray[np.float64], torch.Tensor]:
    """-ln p of tokens [N] given normed hidden states [N, H], and the most probable tokens [N]."""
    found, best = [], []
    for first in range(0, len(targets), HEAD_TOKENS):
        part = slice(first, first + HEAD_TOKENS)
        logits = model.logits(hidden[part])
        found.append(torch.nn.functional.cross_entropy(logits, targets[part], reduction="none"))
        best.append(logits.argmax(-1))
    return torch.cat(found).double().cpu().numpy(), torch.cat(best)


def word_bits(document: Document, scored: Scored) -> list[tuple[str, float]]:
    """Words between white space and the bits of each: those of the tokens that end within it."""
    words = list(re.finditer(r"\S+", document.text))
    bits = np.zeros(len(words))
    starts = [word.start() for word in words]
    for end, nats in zip(document.ends, scored.nats, strict=True):
        # A token's last character says where it belongs; white space goes to the word before it.
        place = int(np.searchsorted(starts, end - 1, side="right")) - 1
        if words:
            bits[max(place, 0)] += nats / np.log(2)
    return [(word[0], float(value)) for word, value in zip(words, bits, strict=True)]


def by_document(
    document: Document, words: Sequence[tuple[str, float]]
) -> list[list[tuple[str, float]]]:
    """Divide a passage's words into those of each document that is joined in it."""
    bounds = [*document.starts[1:], len(document.text)]
    found, first = [], 0
    for low, high in zip(document.starts, bounds, strict=True):
        count = len(re.findall(r"\S+", document.text[low:high]))
        found.append(list(words[first : first + count]))
        first += count
    return found


def surprising_span(words: Sequence[tuple[str, float]]) -> dict[str, Any] | None:
    """The four words in a row with the most bits, and those around them.

    None for a document of fewer words. Words with links and @names are passed over: nobody can
    predict them. So are a document's first four, which have no context.
    """
    starts = range(SPAN_WORDS, len(words) - SPAN_WORDS + 1)
    spans = {start: words[start : start + SPAN_WORDS] for start in starts}
    totals = {
        start: sum(bits for _, bits in span)
        for start, span in spans.items()
        if not any(NOISE.search(word) for word, _ in span)
    }
    if not totals:
        return None
    start = max(totals, key=lambda place: totals[place])
    end = start + SPAN_WORDS

    def joined(low: int, high: int) -> str:
        return " ".join(word for word, _ in words[low:high])

    return {
        "before": joined(max(0, start - CONTEXT_WORDS), start),
        "span": joined(start, end),
        "after": joined(end, end + CONTEXT_WORDS),
        "bits": round(totals[start], 2),
    }
