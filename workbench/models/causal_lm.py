"""Pretrained decoders that predict the next token, from a folder or a GGUF file."""

import struct
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.core import machine
from workbench.core.described import Described
from workbench.core.errors import IntegrityError
from workbench.core.sources import Source
from workbench.models import checkpoint, float_copy
from workbench.models.loading import (
    UNREADABLE,
    check_vocabulary,
    first_line,
    placement,
    read_network,
    read_tokenizer,
    silence,
)

HEAD_ROWS = 1 << 14
"""Rows of a vocabulary head that are turned into float32 at once, where it is held in less."""


class CausalLM(Described, nn.Module):
    """A decoder and its tokenizer. V is the size of its vocabulary, H of a hidden state."""

    def __init__(self, source: Source, precision: str = "auto", *, several: bool = True) -> None:
        """Load from `source.path`: a folder with config.json and safetensors, or one GGUF file.

        The weights are held as `precision` says (`machine.held_in`) and read onto the run's device,
        or, with `several`, over all GPUs where one has too little memory. ParameterError where the
        path holds neither or an encoder, IntegrityError where it can't be read, MachineError where
        the memory is too small.
        """
        super().__init__()
        self.source = source
        self.tokenizer, self.network = _load(source, precision, several=several)

    @property
    def device(self) -> torch.device:
        """Where the first weights are: token ids go there, states and logits come back there."""
        return next(self.parameters()).device

    @property
    def capacity(self) -> int:
        """Maximum number of tokens in a row.

        With LongRoPE (Phi-3.5) up to where all positions change their code, for what was read of a
        row before would not fit what comes after.
        """
        config = self.network.config
        rope = getattr(config, "rope_parameters", None) or {}
        most = config.max_position_embeddings
        if rope.get("rope_type") == "longrope":
            return min(most, rope.get("original_max_position_embeddings") or most)
        return most

    @property
    def window(self) -> int | None:
        """Tokens that some layer sees at most; None where all layers see all. GPT-Neo's is local.

        1, so that nothing is taken for granted, where layers have configurations of their own.
        """
        config = self.network.config
        try:
            found = [getattr(config, name, None) for name in ("sliding_window", "window_size")]
        except RuntimeError:  # transformers' for an attribute that differs from layer to layer
            return 1
        return min((size for size in found if size), default=None)

    @property
    def attention_window(self) -> int:
        """Maximum number of tokens of a row that all its layers see whole."""
        return min(self.window or self.capacity, self.capacity)

    @property
    def vocabulary(self) -> int:
        """V; padded, where it is more than the tokenizer's tokens."""
        return self.network.config.vocab_size

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end a text: the tokenizer's, and those that the network's files name."""
        of_network = getattr(self.network.generation_config, "eos_token_id", None)
        several = of_network if isinstance(of_network, list) else [of_network]
        return frozenset({self.tokenizer.eos_token_id, *several} - {None})

    @property
    def body(self) -> nn.Module:
        """The network without its vocabulary head: token ids to hidden states."""
        return self.network.base_model

    @property
    def head(self) -> nn.Module:
        """The vocabulary head: hidden states [..., H] to scores [..., V]; see `logits`."""
        return self.network.get_output_embeddings()

    def logits(self, states: Tensor) -> Tensor:
        """Logits [..., V] in float32 of last hidden states [..., H], as the network scales them.

        Cohere's and Granite's multiply or divide what the head gives, Gemma's cap it.
        """
        config = self.network.config
        found = self._scores(states).to(self.device)
        if factor := getattr(config, "logit_scale", None):
            found = found * factor
        if divisor := getattr(config, "logits_scaling", None):
            found = found / divisor
        cap = getattr(config, "final_logit_softcapping", None)
        return torch.tanh(found / cap) * cap if cap else found

    def _scores(self, states: Tensor) -> Tensor:
        """What the head gives in float32; also where it is held in less, a part at a time."""
        head = self.head
        weight: Tensor = head.weight  # type: ignore[assignment]
        if weight.dtype == torch.float32 or not isinstance(head, nn.Linear):
            return head(states.to(weight.dtype)).float()
        states = states.to(weight.device, torch.float32)
        with torch.autocast(weight.device.type, enabled=False):
            rows = torch.split(weight, HEAD_ROWS)
            parts = [linear(states, part.float()) for part in rows]
        found = torch.cat(parts, dim=-1)
        return found if head.bias is None else found + head.bias.float()

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def hidden(self, input_ids: Tensor, **options: Any) -> Tensor:
        """Last hidden states [B, T, H] of token ids [B, T], after the final norm."""
        found = self.body(input_ids=input_ids, use_cache=False, **options).last_hidden_state
        return found.to(self.device)

    def describe(self) -> str:
        """Size, kind, and where and in which dtype the weights are held."""
        config = self.network.config
        dtype, devices = machine.held(self.network)
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        return (
            f"{self.source.name}: {self.source.about}\n"
            f"{config.model_type}, {config.num_hidden_layers} layers of {config.hidden_size}, "
            f"{weights / 1e6:.1f} M parameters, held in {dtype} on {devices}\n"
            f"up to {self.capacity:,} tokens, vocabulary of {config.vocab_size:,}"
        )


def file_of(source: Source) -> Path | None:
    """The one GGUF file that a source is or holds; None where it is something else.

    ParameterError where a folder holds several.
    """
    return float_copy.file_of(source, ".gguf")


def is_causal(source: Source) -> bool:
    """Whether a model's files are those of a decoder: a GGUF file, or a causal architecture."""
    if file_of(source):
        return True
    try:
        config = checkpoint.Folder(source, "decoder", source.path).json(checkpoint.CONFIG)
    except IntegrityError:
        return False
    return checkpoint.is_causal(config)


def _load(source: Source, precision: str, *, several: bool) -> tuple[Any, Any]:
    file = file_of(source)
    path = float_copy.folder_of(source, file, _convert) if file else source.path
    repair = float_copy.repair(file, path) if file else ""
    found = checkpoint.check(checkpoint.Folder(source, "decoder", path, repair))
    tokenizer = read_tokenizer(found)
    network = read_network(AutoModelForCausalLM, found, precision, several=several)
    check_vocabulary(found, tokenizer, network)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, network


def _convert(source: Source, file: Path, folder: Path) -> None:
    from gguf import GGUFReader

    try:
        where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
        sizes = {"F32": sum(int(part.n_elements) for part in GGUFReader(file).tensors)}
        whole = checkpoint.Checkpoint(checkpoint.Folder(source, "decoder", folder), sizes)
        placement(whole, torch.float32, torch.device("cpu"), several=False)
        with silence():
            tokenizer = AutoTokenizer.from_pretrained(file.parent, trust_remote_code=False, **where)
            network = AutoModelForCausalLM.from_pretrained(
                file.parent, dtype=torch.float32, trust_remote_code=False, **where
            )
    except (*UNREADABLE, struct.error) as error:
        raise checkpoint.Folder(source, "decoder", file).refused(first_line(error)) from error
    # save_pretrained refuses a network that was read from GGUF, so its parts are written.
    tokenizer.save_pretrained(folder)
    network.config.save_pretrained(folder)
    tied = set(getattr(network, "all_tied_weights_keys", None) or ())
    weights = {name: value for name, value in network.state_dict().items() if name not in tied}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
