"""An encoder with a head on the mean of a text's tokens: one label for each text."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from workbench.models.encoder import Encoder
from workbench.models.head import Head
from workbench.models.windows import pad

LORA_ALPHA = 2.0
"""Scale of the low-rank update, as a multiple of its rank."""


@dataclass(frozen=True)
class TextBatch:
    """Padded texts: B windows of texts, of at most T tokens."""

    input_ids: Tensor  # [B, T]
    attention_mask: Tensor  # [B, T]
    rows: list[int]  # [B], index of each window among those of the data
    texts: list[int]  # [B], index of the text that each is of, among the different texts
    tokens: int
    """Tokens without padding."""

    @property
    def items(self) -> list[int]:
        """The index of each window's text among the different texts of the data."""
        return self.texts

    def part(self, index: int, count: int) -> "TextBatch | None":
        """The windows `index`, `index + count`, ...; None where there are none."""
        rows, mask = self.rows[index::count], self.attention_mask[index::count]
        ids, texts = self.input_ids[index::count], self.texts[index::count]
        return TextBatch(ids, mask, rows, texts, int(mask.sum())) if rows else None


class TextClassifier(nn.Module):
    """A copy of an encoder with a head: one of L `labels` for each text."""

    def __init__(
        self,
        encoder: Encoder,
        labels: Sequence[str],
        *,
        lora_rank: int = 0,
        biases_only: bool = False,
        attention: bool = False,
    ) -> None:
        """Which weights of the encoder are trained, and what reads its states.

        `lora_rank` above 0 freezes it and adds that many ranks to each linear layer (Hu et al.
        2022, "LoRA", section 4.1; on all linear layers as in Dettmers et al. 2023, "QLoRA",
        section 4). `biases_only` freezes all but its biases (Ben Zaken et al. 2022, "BitFit",
        section 3). The head is linear; with `attention` it reads a mean weighted by what it looks
        for.
        """
        super().__init__()
        self.labels = list(labels)
        self.encoder = copy.deepcopy(encoder)
        if lora_rank or biases_only:
            self.encoder.requires_grad_(False)
        if biases_only:
            for bias in biases(self.encoder):
                bias.requires_grad_(True)
        if lora_rank:
            rule = LoraConfig(
                r=lora_rank, lora_alpha=LORA_ALPHA * lora_rank, target_modules=_linear(encoder)
            )
            inject_adapter_in_model(rule, self.encoder.network)
        self.attention = nn.Linear(encoder.width, 1, bias=False) if attention else None
        if self.attention:
            nn.init.zeros_(self.attention.to(encoder.device).weight)  # at first the plain mean
        self.head = Head(encoder.width, len(labels)).to(encoder.device)

    @property
    def trainable(self) -> int:
        """Number of weights that training changes."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def collate(
        self,
        encoded: Sequence[Sequence[int]],
        rows: Sequence[int],
        texts: Sequence[int] | NDArray[np.intp] = (),
    ) -> TextBatch:
        """The batch of some of the `encoded` windows, on the model's device (see `collate`)."""
        return collate(self.encoder, encoded, rows, texts)

    def forward(self, batch: TextBatch) -> Tensor:
        """Logits [B, L]."""
        return self.head(self.encoder.pooled(batch.input_ids, batch.attention_mask, self.attention))


def collate(
    encoder: Encoder,
    encoded: Sequence[Sequence[int]],
    rows: Sequence[int],
    texts: Sequence[int] | NDArray[np.intp] = (),
) -> TextBatch:
    """The batch of the windows `rows` among `encoded`, on the encoder's device.

    `texts` has the text of each `encoded` window; without it each is a text of its own.
    """
    ids = [list(encoded[row]) for row in rows]
    width = max(map(len, ids))
    mask = pad([[1] * len(row) for row in ids], width, 0)
    padded = pad(ids, width, encoder.tokenizer.pad_token_id)
    return TextBatch(
        input_ids=padded.to(encoder.device, non_blocking=True),
        attention_mask=mask.to(encoder.device, non_blocking=True),
        rows=list(rows),
        texts=[int(texts[row]) if len(texts) else row for row in rows],
        tokens=sum(map(len, ids)),
    )


def biases(encoder: Encoder) -> list[nn.Parameter]:
    """The encoder's biases, its unused pooler's left out; some architectures have none."""
    return [
        weight
        for name, weight in encoder.network.named_parameters()
        if name.endswith(".bias") and "pooler" not in name
    ]


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
