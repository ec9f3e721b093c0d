"""Where a decoder looks when it is about to answer: attention of a prompt's last token by part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.decoding.score import first_token
from workbench.methods.templates import MARK, Fields, Shots, Template
from workbench.models import lens
from workbench.models.causal_lm import CausalLM

ITEMS = 8
"""Items that are looked at, one by one."""
START, INSTRUCTION, QUESTION = "first token", "instruction", "question"
SEPARATOR = "between"
"""Line breaks and marks between the parts; they draw attention whatever they say, so they are one
of their own."""


@dataclass(frozen=True)
class _Part:
    name: str
    text: str


def look(
    model: CausalLM,
    template: Template,
    shots: Shots,
    items: Sequence[Fields],
    answers: Sequence[str],
) -> dict[str, Any]:
    """Mean fraction of the last token's attention that goes to each part, by layer.

    `answers` are the words that the model finds likeliest for the items. The result holds the
    names of the parts, `weights` [layers, parts] (mean over heads and items; rows sum to one), the
    words of the shots, and the mean attention [layers] to the word of a shot, where it is the one
    that is answered (`same`, empty where it never is) and where it is another (`other`).
    """
    words = [word for _, word in shots]
    rows: list[NDArray[np.float64]] = []
    same: list[NDArray[np.float64]] = []
    other: list[NDArray[np.float64]] = []
    for fields, answer in zip(items, answers, strict=True):
        names, fractions = _fractions(model, _parts(template, shots, fields))
        rows.append(fractions)
        for number, word in enumerate(words, 1):
            to_word = fractions[:, names.index(f"label {number}")]
            (same if word == answer else other).append(to_word)
    return {
        "template": template.name,
        "items": len(items),
        "words": words,
        "parts": names,
        "weights": np.mean(rows, axis=0).round(4).tolist(),
        "same": np.mean(same, axis=0).round(4).tolist() if same else [],
        "other": np.mean(other, axis=0).round(4).tolist() if other else [],
    }


def _parts(template: Template, shots: Shots, fields: Fields) -> list[_Part]:
    """The parts of a prompt in order; together they are the prompt.

    Marks in the place of all texts show what stands between them.
    """
    wanted = [_Part(INSTRUCTION, template.instruction)] if template.instruction else []
    for number, (shown, word) in enumerate(shots, 1):
        wanted += [
            _Part(f"text {number}", template.question.format(**shown)),
            _Part(f"label {number}", word),
        ]
    wanted.append(_Part(QUESTION, template.question.format(**fields)))
    frame = template.join(
        MARK if template.instruction else "", [(MARK, MARK)] * len(shots), MARK
    ).split(MARK)
    parts = [_Part(SEPARATOR, frame[0])]
    for part, between in zip(wanted, frame[1:], strict=True):
        parts += [part, _Part(SEPARATOR, between)]
    return [part for part in parts if part.text or part.name != SEPARATOR]


def _fractions(model: CausalLM, parts: Sequence[_Part]) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the parts, and the attention [layers, parts] of the last token to each."""
    prompt = "".join(part.text for part in parts)
    encoded = model.tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    begins = np.cumsum([0, *(len(part.text) for part in parts)])
    # A token belongs where it ends: " positive" is the word, not the space before.
    ends = [end - 1 for _, end in encoded["offset_mapping"]]
    owners = np.searchsorted(begins, ends, side="right")
    start = first_token(model, needed=False)
    owners = np.array([*[0] * len(start), *owners]) if start else owners
    ids = torch.tensor([[*start, *encoded["input_ids"]]], device=model.device)
    with torch.inference_mode():
        last = lens.last_attention(model, ids).mean(1).double().cpu().numpy()
    # What stands first draws attention whatever it says, so it is a part of its own.
    owners[0] = 0
    names = [START, *(part.name for part in parts)]
    kept = list(dict.fromkeys(names))
    owned = np.array([kept.index(name) for name in names])[owners]
    return kept, np.stack([last[:, owned == part].sum(1) for part in range(len(kept))], axis=1)
