"""The noisy channel: how likely a decoder finds each item's text after each label's word.

A text is read once a label, but what comes before it only once: as the beginning of all items
where it is the same for all, else as the stem that an item's labels branch off.
"""

from collections.abc import Sequence

import numpy as np
import torch

from workbench.decoding import score as scoring
from workbench.methods.calibration import Scores
from workbench.methods.templates import Fields, Shots, Template
from workbench.models.causal_lm import CausalLM

Turned = Sequence[Sequence[tuple[str, str, str]]]
"""Each item's parts of the channel form, label by label."""


def score(
    model: CausalLM,
    template: Template,
    shots: Shots,
    items: Sequence[Fields],
    words: Sequence[str],
    *,
    dtype: torch.dtype,
    progress: str,
) -> tuple[Scores, int]:
    """Log-likelihood of each item's last field after each label [N, L], by the channel form.

    Also how many items have it joined to the last token before it (see
    `decoding.score.encode`). Raises ParameterError for an item that doesn't fit the model.
    """
    turned = [[template.turn(shots, fields, word) for word in words] for fields in items]
    if all(before == turned[0][0][0] for (before, _, _), *_ in turned):
        return _by_label(model, turned, dtype, progress)
    return _by_item(model, turned, dtype, progress)


def _by_label(
    model: CausalLM, turned: Turned, dtype: torch.dtype, progress: str
) -> tuple[Scores, int]:
    """Label by label: what all items have before them, mostly everything, is read once a label."""
    found = [
        scoring.log_likelihoods(
            model,
            [before + middle for before, middle, _ in column],
            [[end] for _, _, end in column],
            dtype=dtype,
            progress=f"{progress}, label {number} of {len(turned[0])}",
        )
        for number, column in enumerate(zip(*turned, strict=True), 1)
    ]
    return np.hstack([scored.sums for scored in found]), max(scored.merged for scored in found)


def _by_item(
    model: CausalLM, turned: Turned, dtype: torch.dtype, progress: str
) -> tuple[Scores, int]:
    """Item by item: log p(label, field | rest) - log p(label | rest), the rest read once."""
    scored = scoring.log_likelihoods(
        model,
        [row[0][0] for row in turned],
        [
            [middle + end for _, middle, end in row] + [middle for _, middle, _ in row]
            for row in turned
        ],
        dtype=dtype,
        progress=progress,
    )
    both, label = np.hsplit(scored.sums, 2)
    return both - label, scored.merged
