"""Looks inside a decoder: what each layer would predict, and what each head attends to."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from workbench.core.errors import ParameterError
from workbench.models.causal_lm import CausalLM

FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
"""What decoders call the norm before the vocabulary head."""
MAX_DIFFERENCE = 1e-4
"""Most that the last layer may differ from the model's own logits, in float32."""
ROUGH = 2**-5
"""The same where weights are held in fewer bits, as a fraction of the largest logit: the model's
own head rounds its logits to 2**-8 of each."""


def final_norm(model: CausalLM) -> nn.Module:
    """The norm before the vocabulary head; ParameterError where none is found."""
    for owner in (model.body, getattr(model.body, "decoder", None)):
        for name in FINAL_NORMS:
            norm = getattr(owner, name, None)
            if isinstance(norm, nn.Module):
                return norm
    raise _unreadable(model, "it has no norm before its vocabulary head")


def residuals(model: CausalLM, input_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Residual stream [L + 1, B, T, H] of token ids [B, T], and the model's logits [B, T, V].

    Layer 0 is the embedding, layer k what block k leaves. The last is caught before the final
    norm, which transformers has already applied to the last of its hidden states.
    """
    caught: list[Tensor] = []
    norm = final_norm(model)
    hook = norm.register_forward_pre_hook(lambda _module, inputs: caught.append(inputs[0]))
    try:
        output = model.network(input_ids=input_ids, output_hidden_states=True, use_cache=False)
    finally:
        hook.remove()
    states = [each.to(model.device) for each in (*output.hidden_states[:-1], *caught)]
    return torch.stack(states), output.logits.to(model.device)


def read(model: CausalLM, stream: Tensor) -> Tensor:
    """Logits [..., V] of a residual stream [..., H]: the final norm, then the head.

    Source: nostalgebraist 2020, "interpreting GPT: the logit lens".
    """
    return model.logits(final_norm(model)(stream))


def check(model: CausalLM, stream: Tensor, logits: Tensor) -> float:
    """Largest difference of the last layer's reading of `stream` [L + 1, ...] from `logits`.

    Raises ParameterError above 1e-4, or where weights are held in fewer bits than 32 above 1/32 of
    the largest logit: the model then does more than norm and head at its end, and the readings of
    its layers would be wrong.
    """
    difference = float((read(model, stream[-1]) - logits).abs().max())
    exact = logits.dtype == torch.float32
    if not difference <= (MAX_DIFFERENCE if exact else ROUGH * float(logits.abs().max())):
        raise _unreadable(
            model, f"its last layer read so is off its own logits by up to {difference:.2g}"
        )
    return difference


def attention(model: CausalLM, input_ids: Tensor, layer: int) -> Tensor:
    """Attention weights [heads, T, T] of layer 1.. over token ids [1, T]; rows sum to 1."""
    with _eager(model):
        output = model.network(input_ids=input_ids, output_attentions=True, use_cache=False)
    weights: Tensor = output.attentions[layer - 1][0]
    return weights


def last_attention(model: CausalLM, input_ids: Tensor) -> Tensor:
    """Attention weights [layers, heads, T] of the last of T > 1 token ids [1, T]; sums are 1.

    What stands before it is read by the fast kernels, so a long prompt takes no more memory. A
    layer that sees a window only has 0 before it.
    """
    cache = model.body(input_ids=input_ids[:, :-1], use_cache=True).past_key_values
    with _eager(model):
        output = model.body(
            input_ids=input_ids[:, -1:], past_key_values=cache, output_attentions=True
        )
    length = input_ids.shape[1]
    rows = [weights[0, :, -1].to(model.device) for weights in output.attentions]
    return torch.stack([pad(row, (length - row.shape[-1], 0)) for row in rows])


@contextlib.contextmanager
def _eager(model: CausalLM) -> Iterator[None]:
    """Attention that keeps its weights, which the faster kernels don't."""
    before = model.network.config._attn_implementation
    model.network.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.network.set_attn_implementation(before)


def _unreadable(model: CausalLM, reason: str) -> ParameterError:
    return ParameterError(
        f"model {model.source.name!r} can't be read by the logit lens: {reason}",
        expected="a decoder whose logits are its vocabulary head on its last norm",
        do="use smollm2, or another decoder of the Llama, GPT-2 or GPT-NeoX kind",
    )
