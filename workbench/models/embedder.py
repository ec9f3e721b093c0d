"""An encoder whose embeddings of texts are drawn together and apart, pair by pair."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from workbench.models.encoder import Encoder
from workbench.models.text_classifier import TextBatch, collate

Pair = tuple[int, int, bool]
"""Places of two texts, and whether they have the same label."""


@dataclass(frozen=True)
class PairBatch:
    """P pairs of texts, each different text of them once."""

    texts: TextBatch
    left: Tensor  # [P], places in the batch's texts
    right: Tensor  # [P]
    same: Tensor  # [P], 1 for equal labels, 0 for different ones

    @property
    def tokens(self) -> int:
        """Tokens without padding."""
        return self.texts.tokens

    @property
    def attention_mask(self) -> Tensor:
        """That of the texts [B, T]."""
        return self.texts.attention_mask

    @property
    def items(self) -> list[int]:
        """The index of each different text."""
        return self.texts.items

    def part(self, index: int, count: int) -> "PairBatch | None":
        """The pairs `index`, `index + count`, ... of the same texts; None where there are none."""
        own = slice(index, None, count)
        part = replace(self, left=self.left[own], right=self.right[own], same=self.same[own])
        return part if len(part.left) else None


class Embedder(nn.Module):
    """A copy of an encoder, trained so that the cosine of two texts says whether they are alike."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)

    @property
    def trainable(self) -> int:
        """Number of weights that training changes."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def collate(self, encoded: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> PairBatch:
        """The batch of some pairs of the `encoded` texts, on the model's device."""
        rows = list(dict.fromkeys(place for left, right, _ in pairs for place in (left, right)))
        places = {row: place for place, row in enumerate(rows)}
        columns = [(places[left], places[right], float(same)) for left, right, same in pairs]
        left, right, same = zip(*columns, strict=True)
        device = self.encoder.device
        return PairBatch(
            texts=collate(self.encoder, encoded, rows),
            left=torch.tensor(left, device=device),
            right=torch.tensor(right, device=device),
            same=torch.tensor(same, device=device),
        )

    def pairs(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Mean-pooled embeddings of length 1 of each pair's two texts, [P, H] each."""
        pooled = self.encoder.pooled(batch.texts.input_ids, batch.texts.attention_mask).float()
        unit = nn.functional.normalize(pooled, dim=-1)
        return unit[batch.left], unit[batch.right]

    def forward(self, batch: PairBatch) -> Tensor:
        """Cosine [P] of the embeddings of each pair, -1..1."""
        left, right = self.pairs(batch)
        return (left * right).sum(-1)
