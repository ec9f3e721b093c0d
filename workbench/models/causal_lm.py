"""Pretrained decoders that predict the next token, from a folder or a GGUF file."""

import fcntl
import struct
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from workbench import paths
from workbench.errors import IntegrityError, ParameterError
from workbench.sources import Source

UNREADABLE = (OSError, ValueError, KeyError, IndexError, OverflowError, NotImplementedError)
"""What reading a damaged file may raise; of a GGUF file also struct.error."""


class CausalLM(nn.Module):
    """A decoder and its tokenizer. V is the size of its vocabulary, H of a hidden state."""

    def __init__(self, source: Source) -> None:
        """Load from `source.path`: a folder with config.json and safetensors, or one GGUF file.

        ParameterError where it holds neither or an encoder, IntegrityError where it can't be read.
        """
        super().__init__()
        self.source = source
        self.tokenizer, self.network = _load(source)
        self.network.eval()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def capacity(self) -> int:
        """Most tokens in a row.

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
        """Most tokens that some layer sees at once; None where all see all. GPT-Neo's is local.

        1, so that nothing is taken for granted, where layers have configurations of their own.
        """
        config = self.network.config
        try:
            found = [getattr(config, name, None) for name in ("sliding_window", "window_size")]
        except RuntimeError:  # transformers' for an attribute that differs from layer to layer
            return 1
        return min((size for size in found if size), default=None)

    @property
    def sight(self) -> int:
        """Most tokens of a row that all its layers see whole."""
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
        found = self.head(states).float()
        if factor := getattr(config, "logit_scale", None):
            found = found * factor
        if divisor := getattr(config, "logits_scaling", None):
            found = found / divisor
        cap = getattr(config, "final_logit_softcapping", None)
        return torch.tanh(found / cap) * cap if cap else found

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def hidden(self, input_ids: Tensor, **options: Any) -> Tensor:
        """Last hidden states [B, T, H] of token ids [B, T], after the final norm."""
        return self.body(input_ids=input_ids, use_cache=False, **options).last_hidden_state

    def describe(self) -> str:
        """Size, kind and device."""
        config = self.network.config
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        return (
            f"{self.source.name}: {self.source.about}\n"
            f"{config.model_type}, {config.num_hidden_layers} layers of {config.hidden_size}, "
            f"{weights / 1e6:.1f} M parameters, on {self.device}\n"
            f"up to {self.capacity:,} tokens, vocabulary of {config.vocab_size:,}"
        )


def is_causal(source: Source) -> bool:
    """Whether a model's files are those of a decoder: a GGUF file, or a causal architecture."""
    if list(source.path.glob("*.gguf")):
        return True
    try:
        architectures = AutoConfig.from_pretrained(source.path).architectures or []
    except (OSError, ValueError, KeyError):
        return False
    return any("CausalLM" in name or "LMHead" in name for name in architectures)


def _load(source: Source) -> tuple[Any, Any]:
    folder = source.path
    if files := sorted(folder.glob("*.gguf")):
        folder = _float_copy(source, files[0])
    if not (folder / "config.json").is_file() or not is_causal(source):
        raise ParameterError(
            f"model {source.name!r} ({source.about}) is no decoder",
            expected="a folder with a .gguf file, or with the config.json, safetensors and "
            "tokenizer of a causal language model",
            do="use smollm2, or hf:<id> of a causal language model",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        network, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    except (*UNREADABLE, SafetensorError) as error:
        do = f"remove {folder}: it is made anew from {files[0]}" if files else ""
        raise _damaged(source, str(error).strip().splitlines()[0], do=do) from error
    if missing := sorted(report["missing_keys"]):
        raise _damaged(source, f"its file lacks {len(missing)} weights, such as {missing[0]}")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, network


def _float_copy(source: Source, file: Path) -> Path:
    """The folder with a GGUF file's weights as float32 safetensors, made at first use.

    Reading a GGUF file takes half a minute each time; this takes a second.
    """
    folder = paths.processed() / f"{file.parent.name}-{source.fingerprint[:12]}"
    paths.processed().mkdir(parents=True, exist_ok=True)
    with (paths.processed() / f".{folder.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        print(f"{source.name}: reading {file.name}, once", flush=True)
        with tempfile.TemporaryDirectory(dir=paths.processed(), prefix=".gguf-") as scratch:
            partial = Path(scratch) / "model"
            _convert(source, file, partial)
            partial.replace(folder)
    return folder


def _convert(source: Source, file: Path, folder: Path) -> None:
    try:
        where: dict[str, Any] = {"gguf_file": file.name}
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        network = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **where)
    except (*UNREADABLE, struct.error) as error:
        raise _damaged(source, str(error).strip().splitlines()[0]) from error
    # save_pretrained refuses a network that was read from GGUF, so its parts are written.
    tokenizer.save_pretrained(folder)
    network.config.save_pretrained(folder)
    tied = set(getattr(network, "all_tied_weights_keys", None) or ())
    weights = {name: value for name, value in network.state_dict().items() if name not in tied}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _damaged(source: Source, reason: str, *, do: str = "") -> IntegrityError:
    return IntegrityError(
        f"model {source.name!r} ({source.about}) can't be used as a decoder: {reason}",
        expected="the whole files of a causal language model",
        do=do or "use smollm2, or hf:<id> of a causal language model",
    )
