"""An encoder with a linear head on the mean of a text's pieces: one label for each text."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from workbench.models.encoder import Encoder
from workbench.models.windows import pad

LORA_ALPHA = 2.0
"""Scale of the low-rank update, as a multiple of its rank."""


@dataclass(frozen=True)
class TextBatch:
    """Padded texts: B texts of at most T pieces."""

    input_ids: Tensor  # [B, T]
    attention_mask: Tensor  # [B, T]
    rows: list[int]  # [B], index of each text in the data
    pieces: int
    """Pieces without padding."""

    @property
    def items(self) -> list[int]:
        """The index of each text among the different texts of the data."""
        return self.rows

    def part(self, index: int, count: int) -> "TextBatch | None":
        """The texts `index`, `index + count`, ...; None where there are none."""
        rows, mask = self.rows[index::count], self.attention_mask[index::count]
        ids = self.input_ids[index::count]
        return TextBatch(ids, mask, rows, int(mask.sum())) if rows else None


class TextClassifier(nn.Module):
    """A copy of an encoder with a linear head: one of L `labels` for each text."""

    def __init__(self, encoder: Encoder, labels: Sequence[str], *, lora_rank: int = 0) -> None:
        """`lora_rank` above 0 freezes the encoder and adds that many ranks to each linear layer.

        Source: Hu et al. 2022, "LoRA", section 4.1; on all linear layers as in Dettmers et al.
        2023, "QLoRA", section 4.
        """
        super().__init__()
        self.labels = list(labels)
        self.encoder = copy.deepcopy(encoder)
        if lora_rank:
            self.encoder.requires_grad_(False)
            rule = LoraConfig(
                r=lora_rank, lora_alpha=LORA_ALPHA * lora_rank, target_modules=_linear(encoder)
            )
            inject_adapter_in_model(rule, self.encoder.network)
        self.head = nn.Linear(encoder.width, len(labels)).to(encoder.device)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    @property
    def trainable(self) -> int:
        """Number of weights that training changes."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def collate(self, encoded: Sequence[Sequence[int]], rows: Sequence[int]) -> TextBatch:
        """The batch of some of the `encoded` texts, on the model's device."""
        return collate(self.encoder, encoded, rows)

    def forward(self, batch: TextBatch) -> Tensor:
        """Logits [B, L]."""
        return self.head(self.encoder.pooled(batch.input_ids, batch.attention_mask))


def collate(encoder: Encoder, encoded: Sequence[Sequence[int]], rows: Sequence[int]) -> TextBatch:
    """The batch of the texts `rows` among `encoded`, on the encoder's device."""
    ids = [list(encoded[row]) for row in rows]
    width = max(map(len, ids))
    mask = pad([[1] * len(row) for row in ids], width, 0)
    padded = pad(ids, width, encoder.tokenizer.pad_token_id)
    return TextBatch(
        input_ids=padded.to(encoder.device, non_blocking=True),
        attention_mask=mask.to(encoder.device, non_blocking=True),
        rows=list(rows),
        pieces=sum(map(len, ids)),
    )


def _linear(encoder: Encoder) -> list[str]:
    """Full names of the encoder's linear layers, its unused pooler left out."""
    return [
        name
        for name, module in encoder.network.named_modules()
        if isinstance(module, nn.Linear) and "pooler" not in name
    ]


def merged(network: nn.Module) -> nn.Module:
    """A copy of a network on the processor, with the updates of its adapters added to its weights.

    Source: Hu et al. 2022, "LoRA", section 4.1: no cost is left at inference.
    """
    network = copy.deepcopy(network).cpu()
    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            network.set_submodule(name, module.get_base_layer())
    return network


def features(encoder: Encoder, batch: TextBatch) -> Tensor:
    """Mean-pooled hidden states [B, H] in float32, without gradients."""
    with torch.inference_mode():
        return encoder.pooled(batch.input_ids, batch.attention_mask).float()
