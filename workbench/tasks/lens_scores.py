"""What each layer of a decoder would predict, over documents and in one sentence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from workbench.models import lens
from workbench.models.causal_lm import CausalLM
from workbench.result import Metric
from workbench.statistics import Counts, measure
from workbench.tasks.corpus_scores import ratio
from workbench.tasks.surprisal import Document, start_token

DOCUMENTS, TOKENS = 10, 24
"""Documents of each corpus that the lens reads, and the most tokens of each."""
SENTENCE_TOKENS = 16
"""Most tokens of the sentence that is drawn."""
DIFFERENCE = "lens/last_layer_difference"
NATS, AGREEMENT, SEEN = range(3)


def metrics(model: CausalLM, documents: Sequence[Document]) -> dict[str, Metric]:
    """Nats a token and share of the final layer's choices, by layer; and the lens's self-check.

    In float32, whatever the run's precision. Raises ParameterError where the check fails.
    """
    counts, differences = [], []
    for number, document in enumerate(documents, 1):
        print(f"\rlens: {number} of {len(documents)} texts".ljust(80), end="", flush=True)
        row, difference = _read(model, document.ids[:TOKENS])
        counts.append(row)
        differences.append(difference)
    print("\r".ljust(81) + "\r", end="", flush=True)
    stacked = np.stack(counts)
    seen = int(stacked[:, 0, SEEN].sum())
    found = {
        DIFFERENCE: Metric(
            value=max(differences),
            n=seen,
            unit="logits",
            how=f"no interval: the largest of all; above {lens.MAX_DIFFERENCE} the run stops",
        )
    }
    for layer in range(stacked.shape[1]):
        for name, column, unit in (
            ("nats", NATS, "nats per token"),
            ("agreement", AGREEMENT, "share"),
        ):
            columns = stacked[:, layer, [column, SEEN]]
            metric = measure(columns, ratio, n=seen, clusters="documents", unit=unit)
            if metric:
                found[f"lens/{name}/layer_{layer}"] = metric
    return found


def _read(model: CausalLM, ids: list[int]) -> tuple[Counts, float]:
    """Nats, choices shared with the last layer and tokens, [L + 1, 3]; and the self-check."""
    tokens = torch.tensor([[start_token(model), *ids]], device=model.device)
    with torch.inference_mode():
        stream, logits = lens.residuals(model, tokens[:, :-1])
        difference = lens.check(model, stream, logits)
        final = logits[0].argmax(-1)
        rows = []
        for states in stream[:, 0]:
            guessed = lens.read(model, states).float()
            nats = torch.nn.functional.cross_entropy(guessed, tokens[0, 1:], reduction="sum")
            shared = (guessed.argmax(-1) == final).sum()
            rows.append([float(nats), int(shared), len(ids)])
    return np.array(rows, np.float64), difference


def sentence(model: CausalLM, text: str, layer: int) -> dict[str, Any]:
    """A sentence's tokens, each layer's best next token in each place, and one layer's attention.

    Attention [heads, T, T] has four decimals; T counts the token that stands before the text.
    """
    ids = model.encode(text)
    shown = [start_token(model), *ids[:SENTENCE_TOKENS]]
    tokens = torch.tensor([shown], device=model.device)
    with torch.inference_mode():
        stream, _ = lens.residuals(model, tokens)
        best = [lens.read(model, states).argmax(-1).tolist() for states in stream[:, 0]]
        weights = lens.attention(model, tokens, layer)

    def words(row: Sequence[int]) -> list[str]:
        return [model.tokenizer.decode([token]) for token in row]

    return {
        "tokens": words(shown),
        "best": [words(row) for row in best],
        "layer": layer,
        "attention": np.round(weights.double().cpu().numpy(), 4).tolist(),
        "cut": max(0, len(ids) - SENTENCE_TOKENS),
    }
