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

from workbench.core.errors import IntegrityError, ParameterError
from workbench.core.sources import Source
from workbench.models import conversion

Role = Literal["decoder", "encoder"]
WANTED = {
    "decoder": "use smollm2, or hf:<id> of a causal language model",
    "encoder": "use minilm, or hf:<id> of a BERT-like model",
}
CONFIG, INDEX, WEIGHTS = "config.json", "model.safetensors.index.json", "model.safetensors"
PROMPTS_OF = "config_sentence_transformers.json"
"""Where sentence-transformers keeps what texts begin with, by what they are for."""
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
MAX_HEADER = 100_000_000
"""Most bytes of a safetensors header, as its own library has it."""
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
}  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """A folder that is to be used as a model, and the errors that say why it can't be."""

    source: Source
    role: Role
    path: Path
    repair: str = ""
    """How to make it again where it is damaged: of a copy that was made here of a GGUF file."""

    def refused(self, reason: str, do: str = "") -> IntegrityError:
        """Its files can't be used."""
        article = "an" if self.role == "encoder" else "a"
        return IntegrityError(
            f"model {self.source.name!r} ({self.source.about}) can't be used as {article} "
            f"{self.role}: {reason}",
            expected=f"a folder with {CONFIG}, weights as safetensors and the tokenizer of "
            + ("an encoder" if self.role == "encoder" else "a causal language model"),
            do=self.repair or do or WANTED[self.role],
        )

    def another(self, reason: str, do: str = "") -> ParameterError:
        """It holds something else than the model that is wanted."""
        return ParameterError(
            f"model {self.source.name!r} ({self.source.about}) is no {self.role}: {reason}",
            expected=f"a folder with {CONFIG}, weights as safetensors and a tokenizer"
            + (", or a .gguf file" if self.role == "decoder" else ""),
            do=do or WANTED[self.role],
        )

    def json(self, name: str) -> dict[str, Any]:
        """The JSON object in one of its files; IntegrityError where there is none."""
        try:
            found = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise self.refused(f"{name} can't be read: {error}") from error
        if not isinstance(found, dict):
            raise self.refused(f"{name} holds no JSON object")
        return found


@dataclass(frozen=True)
class Checkpoint:
    """A checked folder: weights as safetensors, a config and a tokenizer."""

    folder: Folder
    elements: Mapping[str, int]
    """How many numbers the files hold of each safetensors dtype, such as `BF16`."""

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point dtype of most weights; float32 where there is none."""
        floats = [(count, name) for name, count in self.elements.items() if name in DTYPES]
        return DTYPES[max(floats)[1]] if floats else torch.float32

    @property
    def prompts(self) -> dict[str, str]:
        """What texts begin with where their embeddings are compared, by what they are for."""
        if not (self.folder.path / PROMPTS_OF).is_file():
            return {}
        found = self.folder.json(PROMPTS_OF).get("prompts")
        items = found.items() if isinstance(found, dict) else ()
        return {name: text for name, text in items if isinstance(text, str)}

    def bytes_in(self, dtype: torch.dtype) -> int:
        """Size of the weights in bytes when each number is held in `dtype`."""
        return sum(self.elements.values()) * dtype.itemsize


def check(folder: Folder) -> Checkpoint:
    """What a folder holds, from its small files and the headers of the large ones.

    Raises ParameterError where it holds another kind of model, IntegrityError where its files are
    damaged, leave the folder, are no safetensors, or would make transformers load anything else.
    """
    if not folder.path.is_dir():
        raise folder.another("it is one file", "give the path of its folder")
    _stays_inside(folder)
    name = folder.source.name
    if reasons := conversion.adapter(name, folder.path):
        raise folder.refused(*reasons)
    if not (folder.path / CONFIG).is_file():
        raise folder.another(*conversion.without_config(folder.path))
    config = folder.json(CONFIG)
    _loads_nothing_else(folder, config)
    if not folder.repair and (reason := _wrong_kind(config, folder.role)):
        raise folder.another(reason)
    files = _weight_files(folder)
    if not any(file for pattern in TOKENIZERS for file in folder.path.glob(pattern)):
        do = "copy the tokenizer's files into it: tokenizer.json and tokenizer_config.json"
        raise folder.refused("it holds no tokenizer", do)
    elements: Counter[str] = Counter()
    for file, keys in files.items():
        elements += _header(folder, file, keys)
    return Checkpoint(folder, elements)


def is_causal(config: Mapping[str, Any]) -> bool:
    """Whether a config is a decoder's: by the class of model that it names."""
    return any("CausalLM" in name or "LMHead" in name for name in _classes(config))


def _classes(config: Mapping[str, Any]) -> list[str]:
    """Classes of transformers that a config names."""
    names = config.get("architectures")
    return list(map(str, names)) if isinstance(names, list) else []


def _stays_inside(folder: Folder) -> None:
    """IntegrityError where a file that is read is a link to a place outside the folder.

    The Hub's cache keeps a snapshot's files as links to the `blobs` of the same repository.
    """
    own = folder.path.resolve()
    places = [own, own.parent.parent / "blobs"] if own.parent.name == "snapshots" else [own]
    for path in (path for pattern in READ for path in sorted(folder.path.glob(pattern))):
        if not any(path.resolve().is_relative_to(place) for place in places):
            do = "copy the file into the folder, if it belongs to the model"
            raise folder.refused(f"{path.name} is a link out of its folder", do)


def _loads_nothing_else(folder: Folder, config: Mapping[str, Any]) -> None:
    """IntegrityError where config or tokenizer would make transformers load anything else."""
    for part in _parts(config):
        for field, what in ELSEWHERE.items():
            # Of copies that were made of GGUF files here, it says only where they come from.
            if part.get(field) and not (folder.repair and field == "quantization_config"):
                do = f"use a checkpoint without {field} in its {CONFIG}"
                raise folder.refused(f"its {CONFIG} {what} ({field})", do)
        for field, value in part.items():
            several = value.values() if isinstance(value, dict) else [value]
            if field.strip("_").removesuffix("_internal") in (
                "attn_implementation",
                "experts_implementation",
            ) and any(name not in IMPLEMENTATIONS for name in several):
                reason = f"its {CONFIG} asks for other code ({field} is {value!r})"
                raise folder.refused(reason, f"remove {field} from a copy of it")
    if config.get("auto_map") and not _native(config):
        raise _custom_code(folder, CONFIG, config)
    name = "tokenizer_config.json"
    tokenizer = folder.json(name) if (folder.path / name).is_file() else {}
    if tokenizer.get("auto_map") and not (folder.path / "tokenizer.json").is_file():
        raise _custom_code(folder, name, tokenizer)
    if shards := sorted(folder.path.glob(SHARDS_OF_RANKS)):
        reason = f"it holds a checkpoint of several processes ({shards[0].name}, ...)"
        raise folder.refused(reason, "save it whole, with save_pretrained")


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A config and all configs within it."""
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from _parts(value)


def _native(config: Mapping[str, Any]) -> bool:
    """Whether transformers itself has all classes that a config names."""
    names = _classes(config)
    return bool(names) and all(hasattr(transformers, name) for name in names)


def _custom_code(folder: Folder, file: str, config: Mapping[str, Any]) -> IntegrityError:
    modules = config["auto_map"].values() if isinstance(config["auto_map"], dict) else ()
    named = next((name for name in modules if isinstance(name, str)), "a class of its own")
    return folder.refused(
        f"{file} says that it needs Python code of its own ({named}, in auto_map), and code that "
        "comes with a model is never run",
        "use a model whose architecture transformers itself has: " + WANTED[folder.role],
    )


def _wrong_kind(config: Mapping[str, Any], role: Role) -> str:
    """What a config's model is instead; empty where it can have the role."""
    named = ", ".join(_classes(config)) or config.get("model_type", "")
    if config.get("is_encoder_decoder"):
        return f"it is an encoder with a decoder ({named})"
    if role == "decoder" and not is_causal(config):
        return f"its {CONFIG} names {named or 'no class'}, which is no causal language model"
    return ""


def _weight_files(folder: Folder) -> dict[str, set[str]]:
    """Files that hold weights, and the weights that the index expects in each.

    In transformers' order: one whole file before an index of several.
    """
    convert = conversion.without_safetensors(folder.source.name, folder.path, folder.role)
    if (folder.path / WEIGHTS).is_file():
        return {WEIGHTS: set()}
    if not (folder.path / INDEX).is_file():
        raise folder.refused(*convert)
    places = folder.json(INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise folder.refused(f"{INDEX} has no weight_map")
    files: dict[str, set[str]] = {}
    for key, name in places.items():
        if not isinstance(name, str) or Path(name).name != name or "\\" in name:
            raise folder.refused(f"{INDEX} names {name!r}, which is no file of its folder")
        if not name.endswith(".safetensors"):
            reason = f"{INDEX} names {name!r}, which is no safetensors file"
            raise folder.refused(reason, convert[1])
        files.setdefault(name, set()).add(key)
    if missing := sorted(name for name in files if not (folder.path / name).is_file()):
        reason = f"{len(missing)} of its {len(files)} files of weights are missing: {missing[0]}"
        raise folder.refused(reason, "download or copy it again")
    return files


def _header(folder: Folder, name: str, keys: set[str]) -> Counter[str]:
    """How many numbers a file holds of each dtype; IntegrityError unless it has the `keys`.

    Of the file only its header is read: to map a large one takes as much memory as there is.
    Source: the safetensors format, https://github.com/huggingface/safetensors#format.
    """
    path, found = folder.path / name, Counter[str]()
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, MAX_HEADER)))
        header.pop("__metadata__", None)
        for part in header.values():
            found[part["dtype"]] += math.prod(part["shape"])
        end = 8 + length + max(part["data_offsets"][1] for part in header.values())
        size = path.stat().st_size
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise folder.refused(f"{name} has no safetensors header: {error}") from error
    if size != end:
        raise folder.refused(f"{name} has {size:,} bytes, {end:,} by its header")
    if missing := sorted(keys - header.keys()):
        reason = f"{name} lacks {len(missing)} weights of {INDEX}, such as {missing[0]}"
        raise folder.refused(reason)
    return found
