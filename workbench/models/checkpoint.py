"""What a model's folder holds, checked before any loader sees it.

A folder comes from others. transformers follows what its files say: other files, other folders,
adapters' base models, other packages, Python code. Here each of these is found and refused, with
what to do, and what remains is read as plain data: JSON files and safetensors within the folder.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from safetensors import SafetensorError, safe_open

from workbench.errors import IntegrityError, ParameterError
from workbench.models import conversion
from workbench.sources import Source

Role = Literal["decoder", "encoder"]
WANTED = {
    "decoder": "use smollm2, or hf:<id> of a causal language model",
    "encoder": "use minilm, or hf:<id> of a BERT-like model",
}
CONFIG, INDEX, WEIGHTS = "config.json", "model.safetensors.index.json", "model.safetensors"
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.*", "*.model", "tekken.json")
"""Files of which a tokenizer has one at least."""
READ = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.gguf")
"""Files of a model's folder that are read."""
SHARDS_OF_RANKS = "shard-[0-9]*-model-[0-9]*-of-[0-9]*.safetensors"
"""What transformers reads in place of the weights when it lies beside them."""
ELSEWHERE = {
    "transformers_weights": "names other files as its weights",
    "quantization_config": "holds quantized weights, which need another package",
    "compression_config": "holds compressed weights, which need another package",
    "fusion_config": "replaces parts of the network",
    "distributed_config": "asks for several processes",
}
"""Fields of config.json, or of a part of it, that make transformers load something else."""
IMPLEMENTATIONS = (None, "eager", "sdpa", "grouped_mm", "batched_mm")
"""Attention and experts that transformers itself holds; other names are fetched from the Hub."""
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A folder of weights as safetensors, a config and a tokenizer; see `check`."""

    source: Source
    role: Role
    folder: Path
    config: Mapping[str, Any]
    elements: Mapping[str, int]
    """How many numbers the files hold of each safetensors dtype, such as `BF16`."""

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point dtype of most weights; float32 where there is none."""
        floats = [(count, name) for name, count in self.elements.items() if name in DTYPES]
        return DTYPES[max(floats)[1]] if floats else torch.float32

    def bytes_in(self, dtype: torch.dtype) -> int:
        """Size of the weights in bytes with all floating-point numbers in `dtype`."""
        return sum(self.elements.values()) * dtype.itemsize

    def refused(self, reason: str, *, do: str = "") -> IntegrityError:
        """The error that says why the model can't be used."""
        return refusal(self.source, self.role, reason, do=do)


def refusal(source: Source, role: Role, reason: str, *, do: str = "") -> IntegrityError:
    """The error that says why a model can't be used in a role, and what to do."""
    article = "an" if role == "encoder" else "a"
    return IntegrityError(
        f"model {source.name!r} ({source.about}) can't be used as {article} {role}: {reason}",
        expected=f"a folder with {CONFIG}, weights as safetensors and the tokenizer of "
        + ("an encoder" if role == "encoder" else "a causal language model"),
        do=do or WANTED[role],
    )


def check(source: Source, role: Role, folder: Path | None = None) -> Checkpoint:
    """The weights, config and tokenizer in `folder`, or in the source's own.

    Only headers are read. Raises ParameterError where the folder holds another kind of model,
    IntegrityError where its files are damaged, leave the folder, are no safetensors, or would make
    transformers load anything but them.
    """
    folder = folder or source.path
    if not folder.is_dir():
        raise _another(source, role, "it is one file", do="give the path of its folder")
    _stays_inside(source, role, folder)
    if error := conversion.adapter(source.name, folder):
        raise refusal(source, role, *error)
    if not (folder / CONFIG).is_file():
        raise _another(source, role, *conversion.without_config(folder))
    config = read_json(source, role, folder / CONFIG)
    _loads_nothing_else(source, role, folder, config)
    if reason := _wrong_kind(config, role):
        raise _another(source, role, reason)
    files = _weight_files(source, role, folder)
    if not any(file for pattern in TOKENIZERS for file in folder.glob(pattern)):
        do = "copy the tokenizer's files into it: tokenizer.json and tokenizer_config.json"
        raise refusal(source, role, "it holds no tokenizer", do=do)
    elements: Counter[str] = Counter()
    for name, keys in files.items():
        elements += _header(source, role, folder / name, keys)
    return Checkpoint(source, role, folder, config, elements)


def is_causal(config: Mapping[str, Any]) -> bool:
    """Whether a config is a decoder's: by the class of model that it names."""
    names = config.get("architectures") or []
    return any("CausalLM" in name or "LMHead" in name for name in names)


def read_json(source: Source, role: Role, path: Path) -> dict[str, Any]:
    """A JSON object; IntegrityError where the file holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise refusal(source, role, f"{path.name} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise refusal(source, role, f"{path.name} is no JSON object")
    return found


def _another(source: Source, role: Role, reason: str, *, do: str = "") -> ParameterError:
    return ParameterError(
        f"model {source.name!r} ({source.about}) is no {role}: {reason}",
        expected="a folder with config.json, weights as safetensors and a tokenizer"
        + (", or a .gguf file" if role == "decoder" else ""),
        do=do or WANTED[role],
    )


def _stays_inside(source: Source, role: Role, folder: Path) -> None:
    """IntegrityError where a file that is read is a link to a place outside the folder.

    The Hub's cache keeps a snapshot's files as links to the `blobs` of the same repository.
    """
    own = folder.resolve()
    places = [own, own.parent.parent / "blobs"] if own.parent.name == "snapshots" else [own]
    for path in (path for pattern in READ for path in sorted(folder.glob(pattern))):
        if not any(path.resolve().is_relative_to(place) for place in places):
            do = "copy the file into the folder, if it belongs to the model"
            raise refusal(source, role, f"{path.name} is a link out of its folder", do=do)


def _loads_nothing_else(
    source: Source, role: Role, folder: Path, config: Mapping[str, Any]
) -> None:
    """IntegrityError where config or tokenizer would make transformers load anything else."""
    for part in _parts(config):
        for field, what in ELSEWHERE.items():
            if part.get(field):
                do = f"use a checkpoint without {field} in its {CONFIG}"
                raise refusal(source, role, f"its {CONFIG} {what} ({field})", do=do)
        for field, value in part.items():
            several = value.values() if isinstance(value, dict) else [value]
            if field.strip("_").removesuffix("_internal") in (
                "attn_implementation",
                "experts_implementation",
            ) and any(name not in IMPLEMENTATIONS for name in several):
                reason = f"its {CONFIG} asks for other code ({field} is {value!r})"
                raise refusal(source, role, reason, do=f"remove {field} from a copy of it")
    if config.get("auto_map") and not _native(config):
        raise _custom_code(source, role, CONFIG, config)
    path = folder / "tokenizer_config.json"
    tokenizer = read_json(source, role, path) if path.is_file() else {}
    if tokenizer.get("auto_map") and not (folder / "tokenizer.json").is_file():
        raise _custom_code(source, role, path.name, tokenizer)
    if shards := sorted(folder.glob(SHARDS_OF_RANKS)):
        reason = f"it holds a checkpoint of several processes ({shards[0].name}, ...)"
        raise refusal(source, role, reason, do="save it whole, with save_pretrained")


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A config and all configs within it."""
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from _parts(value)


def _native(config: Mapping[str, Any]) -> bool:
    """Whether transformers itself has all classes that a config names."""
    names = config.get("architectures") or []
    return bool(names) and all(
        isinstance(name, str) and hasattr(transformers, name) for name in names
    )


def _custom_code(
    source: Source, role: Role, file: str, config: Mapping[str, Any]
) -> IntegrityError:
    modules = config["auto_map"].values() if isinstance(config["auto_map"], dict) else ()
    named = next((name for name in modules if isinstance(name, str)), "a class of its own")
    return refusal(
        source,
        role,
        f"{file} says that it needs Python code of its own ({named}, in auto_map), and code that "
        "comes with a model is never run",
        do="use a model whose architecture transformers itself has: " + WANTED[role],
    )


def _wrong_kind(config: Mapping[str, Any], role: Role) -> str:
    """What a config's model is instead; empty where it can have the role."""
    named = ", ".join(map(str, config.get("architectures") or [])) or config.get("model_type", "")
    if config.get("is_encoder_decoder"):
        return f"it is an encoder with a decoder ({named})"
    if role == "decoder" and not is_causal(config):
        return f"it is an encoder, or no model of text ({named or 'its config names no class'})"
    return ""


def _weight_files(source: Source, role: Role, folder: Path) -> dict[str, set[str]]:
    """Files that hold weights, and the weights that the index expects in each.

    In transformers' order: one whole file before an index of several.
    """
    if (folder / WEIGHTS).is_file():
        return {WEIGHTS: set()}
    if not (folder / INDEX).is_file():
        raise refusal(source, role, *conversion.without_safetensors(source.name, folder, role))
    places = read_json(source, role, folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise refusal(source, role, f"{INDEX} has no weight_map")
    files: dict[str, set[str]] = {}
    for key, name in places.items():
        if not isinstance(name, str) or Path(name).name != name or "\\" in name:
            raise refusal(source, role, f"{INDEX} names {name!r}, which is no file of its folder")
        if not name.endswith(".safetensors"):
            reason = f"{INDEX} names {name!r}, which is no safetensors file"
            do = conversion.without_safetensors(source.name, folder, role)[1]
            raise refusal(source, role, reason, do=do)
        files.setdefault(name, set()).add(key)
    if missing := sorted(name for name in files if not (folder / name).is_file()):
        reason = f"{len(missing)} of its {len(files)} files of weights are missing: {missing[0]}"
        raise refusal(source, role, reason, do="download or copy it again")
    return files


def _header(source: Source, role: Role, path: Path, keys: set[str]) -> Counter[str]:
    """How many numbers a file holds of each dtype; IntegrityError unless it has the `keys`."""
    found: Counter[str] = Counter()
    try:
        with safe_open(path, "pt") as file:
            there = set(file.keys())
            for key in there:
                part = file.get_slice(key)
                found[part.get_dtype()] += math.prod(part.get_shape())
    except (OSError, ValueError, SafetensorError) as error:
        raise refusal(source, role, f"{path.name}: {error}") from error
    if missing := sorted(keys - there):
        reason = f"{path.name} lacks {len(missing)} weights of {INDEX}, such as {missing[0]}"
        raise refusal(source, role, reason)
    return found
