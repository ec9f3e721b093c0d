"""What a network is made of: parameters, memory and arithmetic of each part, from its modules."""

from dataclasses import dataclass
from typing import Any

from torch import nn

EMBEDDINGS, ATTENTION, MLP, NORMS = "embeddings", "attention", "MLP", "norms"
HEAD, OTHER = "head", "other"
PARTS = (EMBEDDINGS, ATTENTION, MLP, NORMS, HEAD, OTHER)


@dataclass
class Part:
    """Weights and arithmetic of all modules of one kind."""

    parameters: int = 0
    """Weights, tied ones counted once, where they are met first."""
    bytes: int = 0
    flops: int = 0
    """Floating-point operations a token in a forward pass: 2 for each multiply-add."""


def parts(network: nn.Module, *, context: int, causal: bool) -> dict[str, Part]:
    """Parts of a transformer that have weights, in order of the forward pass.

    Arithmetic is that of matrix products; norms, activations and the softmax are left out, as in
    Kaplan et al. 2020, "Scaling Laws for Neural Language Models", table 1. Attention over
    `context` tokens adds 4 times the heads' total width for each token that one attends to: all
    of them, or the half that stands before it where the model is `causal`. A pooler is not used
    here and costs nothing; layers that share weights are counted once.
    """
    found = {name: Part() for name in PARTS}
    counted: set[int] = set()
    head = _head(network)
    for path, module in network.named_modules():
        kind = HEAD if module is head else kind_of(path, module)
        for weight in module.parameters(recurse=False):
            part = found[kind]
            if id(weight) not in counted:
                counted.add(id(weight))
                part.parameters += weight.numel()
                part.bytes += weight.numel() * weight.element_size()
            if weight.ndim == 2 and kind != EMBEDDINGS and "pooler" not in path:
                part.flops += 2 * weight.numel()
    seen = (context + 1) / 2 if causal else context
    found[ATTENTION].flops += round(4 * _heads_width(network) * seen)
    return {name: part for name, part in found.items() if part.bytes or part.flops}


def kind_of(path: str, module: nn.Module) -> str:
    """The part that a module belongs to, from its class and its place in the network.

    >>> kind_of("encoder.layer.0.attention.output.LayerNorm", nn.LayerNorm(2))
    'norms'
    """
    if isinstance(module, nn.Embedding):
        return EMBEDDINGS
    if "norm" in type(module).__name__.lower():
        return NORMS
    if "attn" in path or "attention" in path:
        return ATTENTION
    return MLP if any(step.isdecimal() for step in path.split(".")) else OTHER


def _head(network: nn.Module) -> nn.Module | None:
    """The vocabulary head; None for an encoder without."""
    find = getattr(network, "get_output_embeddings", None)
    return find() if find else None


def _heads_width(network: nn.Module) -> int:
    """Total width of all query heads in all layers."""
    config: Any = network.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(config.num_hidden_layers * config.num_attention_heads * width)
