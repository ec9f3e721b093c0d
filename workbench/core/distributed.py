"""Processes that train one run together, each on its own part of every batch.

Whoever started them says so in the environment, as `accelerate launch` and torchrun do. All do the
same, from the same seeds; only gradients are shared. The first of them keeps the run directory.
"""

import atexit
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

PLACE = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Variables that must all be set for a process to be one of several."""

STORE = "WORKBENCH_STORE"
"""Variable with the file by which the processes of one machine find each other: it opens no port.
Without it they meet at MASTER_ADDR:MASTER_PORT, where torch listens on every interface."""


def count() -> int:
    """How many processes train this run; 1 unless somebody started several."""
    together = all(os.environ.get(name) for name in PLACE)
    return int(os.environ["WORLD_SIZE"]) if together else 1


def rank() -> int:
    """Which of them this is; 0 keeps the run directory."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def local_rank() -> int:
    """Which of those on this machine it is."""
    return int(os.environ["LOCAL_RANK"]) if count() > 1 else 0


def join(model: "nn.Module") -> None:
    """Meet the other processes, and begin with the weights of the first; nothing to do alone.

    Over NCCL where the model is on a GPU, else over gloo.
    """
    import torch
    from torch import distributed

    if count() == 1:
        return
    if not distributed.is_initialized():
        place = next(model.parameters()).device
        if place.type == "cuda":
            torch.cuda.set_device(place)
        meeting: dict[str, Any] = {}
        if path := os.environ.get(STORE):
            store = distributed.FileStore(path, count())  # type: ignore[attr-defined]
            meeting = {"store": store, "rank": rank(), "world_size": count()}
        distributed.init_process_group("nccl" if place.type == "cuda" else "gloo", **meeting)
        atexit.register(distributed.destroy_process_group)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, src=0)


def part(batch: Any) -> Any:
    """The rows of a batch that are this process's; None where there are too few for it."""
    return batch if count() == 1 else batch.part(rank(), count())


def add_up(parameters: "Sequence[nn.Parameter]", value: "Tensor") -> "Tensor":
    """Put the sum over all processes in place of each gradient; return that of `value`.

    A parameter without a gradient in every process stays without: an optimiser skips it.
    """
    import torch
    from torch import distributed

    trained = [parameter for parameter in parameters if parameter.requires_grad]
    given = value.new_tensor([parameter.grad is not None for parameter in trained])
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    flat = torch.cat([value.reshape(1), given, *(gradient.flatten() for gradient in gradients)])
    distributed.all_reduce(flat)
    sizes = [parameter.numel() for parameter in trained]
    sums = torch.split(flat[1 + len(trained) :], sizes)
    for parameter, anywhere, total in zip(
        trained, flat[1 : 1 + len(trained)].tolist(), sums, strict=True
    ):
        parameter.grad = total.view_as(parameter) if anywhere else None
    return flat[0]


def agreed(value: Any) -> Any:
    """What the first process says: a choice made by it must be the same everywhere."""
    if count() == 1:
        return value
    from torch import distributed

    values = [value]
    distributed.broadcast_object_list(values, src=0)
    return values[0]
