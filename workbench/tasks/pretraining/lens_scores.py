"""What each layer of a decoder would predict, over documents and in one sentence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from workbench.core.errors import ParameterError
from workbench.models import lens
from workbench.models.causal_lm import CausalLM
from workbench.models.windows import pad
from workbench.record.draws import Counts
from workbench.record.result import Metric
from workbench.record.statistics import measure
from workbench.tasks.pretraining import surprisal
from workbench.tasks.pretraining.corpus_scores import ratio
from workbench.tasks.pretraining.surprisal import Document, start_token

DOCUMENTS, TOKENS = 10, 24
"""Passages of each corpus that the lens reads, and the first tokens of each."""
BATCH = 10
SENTENCE_TOKENS = 16
"""Maximum number of tokens of the sentence that is drawn."""
DIFFERENCE = "lens/last_layer_difference"
NATS, AGREEMENT, SEEN = range(3)


def metrics(model: CausalLM, documents: Sequence[Document]) -> dict[str, Metric]:
    """Nats a token and fraction of the final layer's choices, by layer; and the lens's self-check.

    In float32, whatever the run's precision. Raises ParameterError where the check fails.
    """
    counts, difference = _counts(model, [document.ids[:TOKENS] for document in documents])
    seen = int(counts[:, 0, SEEN].sum())
    found = {
        DIFFERENCE: Metric(
            value=difference,
            n=seen,
            unit="logits",
            how=f"no interval: the largest of all; above {lens.MAX_DIFFERENCE} the run stops",
        )
    }
    for layer in range(counts.shape[1]):
        for name, column, unit in (
            ("nats", NATS, "nats per token"),
            ("agreement", AGREEMENT, "fraction"),
        ):
            columns = counts[:, layer, [column, SEEN]]
            metric = measure(columns, ratio, n=seen, clusters="passages", unit=unit)
            if metric:
                found[f"lens/{name}/layer_{layer}"] = metric
    return found


@torch.inference_mode()
def _counts(model: CausalLM, documents: Sequence[list[int]]) -> tuple[Counts, float]:
    """Nats, choices shared with the last layer and tokens [D, L + 1, 3]; and the self-check."""
    streams, finals, differences = [], [], []
    for first in range(0, len(documents), BATCH):
        print(f"\rlens: text {first} of {len(documents)}".ljust(80), end="", flush=True)
        rows = [[start_token(model), *ids[:-1]] for ids in documents[first : first + BATCH]]
        # Padding stands behind the text, where a causal model can't see it.
        tokens = pad(rows, max(map(len, rows)), start_token(model)).to(model.device)
        real = pad([[1] * len(row) for row in rows], tokens.shape[1], 0).bool().to(model.device)
        stream, logits = lens.residuals(model, tokens)
        streams.append(stream[:, real])
        differences.append(lens.check(model, streams[-1], logits[real]))
        finals.append(logits[real].argmax(-1))
    whole, final = torch.cat(streams, dim=1), torch.cat(finals)
    targets = torch.tensor([token for ids in documents for token in ids], device=model.device)
    lengths = np.array([len(ids) for ids in documents])
    places = np.repeat(np.arange(len(documents)), lengths)
    counts = []
    for layer, states in enumerate(whole):
        print(f"\rlens: layer {layer} of {len(whole) - 1}".ljust(80), end="", flush=True)
        nats, best = surprisal.nats(model, lens.final_norm(model)(states), targets)
        shared = (best == final).cpu().numpy()
        sums = [np.bincount(places, weights) for weights in (nats, shared)]
        counts.append(np.stack([*sums, lengths], axis=1))
    print("\r".ljust(81) + "\r", end="", flush=True)
    return np.stack(counts, axis=1), max(differences)


def sentence(model: CausalLM, text: str, layer: int) -> dict[str, Any]:
    """A sentence's tokens, each layer's best next token in each place, and one layer's attention.

    Attention [heads, T, T] has four decimals; T counts the token that stands before the text.
    Raises ParameterError for a text without tokens.
    """
    ids = model.encode(text)
    if not ids:
        raise ParameterError(
            f"sentence={text!r} has no tokens", expected="a sentence of one token at least"
        )
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
