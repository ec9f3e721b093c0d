"""Reading a checked folder with transformers: tokenizer and weights, where and in which dtype.

The one place that calls `from_pretrained` of transformers for a model that is used: no code of the
model's own, no network, no report of weights on screen; what is missing is an error.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoTokenizer
from transformers.utils import logging

from workbench.core import machine
from workbench.core.errors import MachineError
from workbench.models import conversion
from workbench.models.checkpoint import Checkpoint

UNREADABLE = (
    OSError, ValueError, LookupError, TypeError, AttributeError,
    RuntimeError, ArithmeticError, ImportError, SafetensorError, StrictDataclassError,
)  # fmt: skip
"""What transformers may raise of a damaged or odd file."""
ROOM = 1.1
"""Memory that must be free, as a multiple of the weights' own: reading takes some as well."""
UNUSED = "pooler"
"""In the name of weights that nothing here uses, so that they may be missing."""
GIB = 1 << 30


def read_tokenizer(checkpoint: Checkpoint, **options: Any) -> Any:
    """The folder's tokenizer; IntegrityError where it can't be read."""
    try:
        with silence():
            return AutoTokenizer.from_pretrained(
                checkpoint.folder.path, trust_remote_code=False, local_files_only=True, **options
            )
    except UNREADABLE as error:
        raise checkpoint.folder.refused(f"its tokenizer: {first_line(error)}") from error


def read_network(
    auto: Any, checkpoint: Checkpoint, precision: str, *, several: bool, config: Any = None
) -> nn.Module:
    """The network that the class `auto` of transformers makes of a folder, on its devices.

    Its weights are held in the dtype that `machine.held_in` says of `precision`, and read straight
    onto `machine.device()`, or, with `several`, over all GPUs where one has too little memory.
    Raises MachineError before anything is read where the memory is too small, and IntegrityError
    where the files can't be read or lack weights that are used.
    """
    place = machine.device()
    dtype = machine.held_in(precision, checkpoint.dtype, place)
    where = placement(checkpoint, dtype, place, several=several)
    options: dict[str, Any] = {"config": config} if config else {}
    try:
        with silence():
            network, report = auto.from_pretrained(
                checkpoint.folder.path,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                trust_remote_code=False,
                local_files_only=True,
                **where,
                **options,
            )
    except torch.OutOfMemoryError:
        raise
    except UNREADABLE as error:
        raise checkpoint.folder.refused(first_line(error)) from error
    if missing := sorted(key for key in report["missing_keys"] if UNUSED not in key):
        raise checkpoint.folder.refused(
            f"its file lacks {len(missing)} weights, such as {missing[0]}"
        )
    if report["missing_keys"]:
        network.pooler = None  # nothing reads it, and its weights would be random
    if any(weight.is_meta for weight in network.parameters()):
        # What no GPU had room for would be read from the disk at each step.
        raise MachineError(
            f"model {checkpoint.folder.source.name!r} can't be divided among the GPUs: a layer is "
            "larger than what each has free at last",
            do="use more GPUs, or larger ones, or a smaller model",
        )
    result: nn.Module = network.eval()
    return result


def check_vocabulary(checkpoint: Checkpoint, tokenizer: Any, network: Any) -> None:
    """IntegrityError where the tokenizer has tokens that the network has no embedding for."""
    last = max(tokenizer.get_vocab().values())
    embedded = network.get_input_embeddings().weight.shape[0]
    if last >= embedded:
        folder = checkpoint.folder
        raise folder.refused(
            f"its tokenizer has tokens up to {last:,}, its network embeddings of {embedded:,} only",
            conversion.longer_vocabulary(folder.source.name, folder.path, folder.role),
        )


def placement(
    checkpoint: Checkpoint, dtype: torch.dtype, place: torch.device, *, several: bool
) -> dict[str, Any]:
    """Where the weights go, as options of `from_pretrained`; MachineError where they don't fit."""
    needed = ROOM * checkpoint.bytes_in(dtype)
    free = machine.free_memory(place)
    if needed <= free:
        return {} if place.type == "cpu" else {"device_map": {"": place}}
    gpus = machine.gpus() if several and place.type == "cuda" else []
    if len(gpus) > 1:
        memory = {gpu.index: machine.free_memory(gpu) for gpu in gpus}
        free = sum(memory.values())
        if needed <= free:
            # Each keeps room for what it computes.
            room = {gpu: int(size / ROOM) for gpu, size in memory.items()}
            return {"device_map": "auto", "max_memory": room}
    raise _too_large(checkpoint, dtype, place, needed=needed, free=free, gpus=len(gpus))


def _too_large(
    checkpoint: Checkpoint,
    dtype: torch.dtype,
    place: torch.device,
    *,
    needed: float,
    free: float,
    gpus: int,
) -> MachineError:
    source, name = checkpoint.folder.source, str(dtype).removeprefix("torch.")
    choices = ["a smaller model"]
    if dtype == torch.float32:
        half = ROOM * checkpoint.bytes_in(torch.bfloat16) / GIB
        choices.append(f"precision = 'bfloat16' where the notebook has it ({half:,.1f} GiB)")
    choices.append("more GPUs, or larger ones" if place.type == "cuda" else "more memory, or a GPU")
    where = f"{gpus} GPUs together" if gpus > 1 else f"the device {place}"
    return MachineError(
        f"model {source.name!r} ({source.about}) doesn't fit: in {name} it needs "
        f"{needed / GIB:,.1f} GiB, {where} has {free / GIB:,.1f} GiB free",
        expected=f"{ROOM:g} times the size of its weights, of which nothing was read yet",
        do="use " + ", or ".join(choices),
    )


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep transformers' warnings and bars from the screen: what matters of them is checked."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """The first line of an error's text, with the next where it ends in a colon, or its name."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    several = 2 if lines and lines[0].endswith(":") else 1
    return " ".join(lines[:several]) or type(error).__name__
