"""What a folder of another format is, and the commands that make a model of it.

Each function returns a reason and what to do. The commands run transformers itself, outside the
workbench, on files that the user decides to trust.
"""

import json
import shlex
from pathlib import Path

from workbench.core.sources import HUB

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
OTHER = {
    "*.gguf": "a GGUF file", "*.onnx": "an ONNX model", "*.h5": "TensorFlow weights",
    "*.msgpack": "Flax weights", "*.tflite": "a TensorFlow Lite model",
}  # fmt: skip
CLASSES = {"decoder": "AutoModelForCausalLM", "encoder": "AutoModel"}


def adapter(name: str, folder: Path) -> tuple[str, str] | None:
    """Of a PEFT adapter, how to merge it into its base model; None of anything else."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return None
    try:
        base = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        base = None
    base = base if isinstance(base, str) and base else "BASE"
    old, new = _places(name, folder, "merged")
    do = "merge it into its base model, then give that folder:\n" + _python(
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM as Model, AutoTokenizer as Tokenizer",
        f"base, adapter, new = {base!r}, {old!r}, {new!r}",
        "model = PeftModel.from_pretrained(Model.from_pretrained(base), adapter)",
        "model.merge_and_unload().save_pretrained(new)",
        "Tokenizer.from_pretrained(base).save_pretrained(new)",
    )
    return f"it is a PEFT adapter of {base!r}, not a whole model", do


def without_safetensors(name: str, folder: Path, role: str) -> tuple[str, str]:
    """Of a folder whose weights are no safetensors, how to convert them."""
    pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    if not pickled:
        what = _other(folder)
        return f"it holds no weights as safetensors{f', but {what}' if what else ''}", ""
    old, new = _places(name, folder, "safetensors")
    do = "if you trust the file, convert it once, then give the new folder:\n" + _python(
        f"from transformers import {CLASSES[role]} as Model, AutoTokenizer as Tokenizer",
        f"old, new = {old!r}, {new!r}",
        "Model.from_pretrained(old).save_pretrained(new)",
        "Tokenizer.from_pretrained(old).save_pretrained(new)",
    )
    return f"its weights are pickled ({pickled[0]}), a format that can run code", do


def without_config(folder: Path) -> tuple[str, str]:
    """Of a folder without config.json, what it is and what to do; empty where nothing is known."""
    if (folder / "modules.json").is_file():
        inner = sorted(path.parent for path in folder.glob("*/config.json"))
        inside = next((path for path in inner if list(path.glob("*.safetensors"))), None)
        do = f"give {str(inside)!r}, the encoder within it" if inside else ""
        return "it is a sentence-transformers folder, whose encoder lies in a folder below", do
    what = _other(folder)
    pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    what = what or (f"pickled weights ({pickled[0]})" if pickled else "")
    return f"it has no config.json{f', but {what}' if what else ''}", ""


def longer_vocabulary(name: str, folder: Path, role: str) -> str:
    """How to make a model that has an embedding for each token of its tokenizer."""
    old, new = _places(name, folder, "resized")
    return "give the new tokens embeddings, and train them before you trust them:\n" + _python(
        f"from transformers import {CLASSES[role]} as Model, AutoTokenizer as Tokenizer",
        f"old, new = {old!r}, {new!r}",
        "model, tokenizer = Model.from_pretrained(old), Tokenizer.from_pretrained(old)",
        "model.resize_token_embeddings(len(tokenizer))",
        "model.save_pretrained(new)",
        "tokenizer.save_pretrained(new)",
    )


def _places(name: str, folder: Path, ending: str) -> tuple[str, str]:
    """What transformers reads, a folder or a Hub id, and the folder to write."""
    if name.startswith(HUB):
        old = name.removeprefix(HUB).partition("@")[0]
        return old, f"{old.rpartition('/')[2]}-{ending}"
    return str(folder), f"{folder}-{ending}"


def _other(folder: Path) -> str:
    return next((what for pattern, what in OTHER.items() if list(folder.glob(pattern))), "")


def _python(*lines: str) -> str:
    """A command line that runs some lines of Python."""
    return f"python -c {shlex.quote('; '.join(lines))}"
