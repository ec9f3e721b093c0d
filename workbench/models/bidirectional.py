"""A decoder as encoder: without its vocabulary head, its tokens see those after them as well.

Source: BehnamGhader et al. 2024, "LLM2Vec", section 2.1; here what trains the classifier is all
that teaches it to look ahead.
"""

from typing import Any

import torch
from torch import nn

from workbench.core.sources import Source
from workbench.models.causal_lm import CausalLM


def load(source: Source) -> tuple[Any, Any]:
    """Its tokenizer and its network; ValueError, with the reason, where that can't be."""
    # In float32 on one device, for it is trained.
    decoder = CausalLM(source, "float32", several=False)
    tokenizer: Any = decoder.tokenizer
    network: Any = decoder.body
    end = tokenizer.eos_token
    tokenizer.cls_token = tokenizer.cls_token or tokenizer.bos_token or end
    tokenizer.sep_token = tokenizer.sep_token or end
    tokenizer.unk_token = tokenizer.unk_token or end
    if not tokenizer.is_fast or end is None:
        raise ValueError("its tokenizer is a slow one, or lacks an end token")
    network.config.is_causal = False
    for module in network.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = False
        for name, value in list(vars(module).items()):
            if "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    if not _looks_ahead(network, decoder.device):
        raise ValueError("its tokens can't be made to see those after them")
    return tokenizer, network


def _looks_ahead(network: nn.Module, place: torch.device) -> bool:
    """Whether the state of a first token depends on the last."""
    rows = torch.tensor([[1, 2, 3], [1, 2, 4]], device=place)
    with torch.inference_mode():
        mask = torch.ones_like(rows)
        found = network(input_ids=rows, attention_mask=mask, use_cache=False).last_hidden_state
    return not torch.allclose(found[0, 0], found[1, 0], atol=1e-6)
