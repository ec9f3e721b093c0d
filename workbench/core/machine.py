"""The machine a run is on: device, precision, seeds, memory, and the facts to record of it."""

import contextlib
import hashlib
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from workbench.core import distributed, paths
from workbench.core.errors import ParameterError

PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "evaluate", "scikit-learn", "numpy")
PRECISIONS = ("auto", "float32", "bfloat16")
CONTAINERS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"),
)
"""Where Linux says of a container its limit, what it holds, and how much of that is files."""


def device() -> torch.device:
    """The first GPU where there is one, else the processor; of several processes, a GPU each."""
    if torch.cuda.is_available():
        return torch.device("cuda", distributed.local_rank() % torch.cuda.device_count())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def gpus() -> list[torch.device]:
    """All GPUs that this process may use; of several processes each has its own."""
    place = device()
    if place.type != "cuda" or distributed.count() > 1:
        return [place] if place.type == "cuda" else []
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]


def precision(wanted: str, place: torch.device) -> torch.dtype:
    """The dtype of matrix products: `auto` takes bfloat16 where the hardware multiplies in it."""
    if wanted not in PRECISIONS:
        raise ParameterError(f"precision={wanted!r}", expected=f"one of {', '.join(PRECISIONS)}")
    if wanted != "auto":
        return getattr(torch, wanted)
    return torch.bfloat16 if _multiplies_bfloat16(place) else torch.float32


def held_in(wanted: str, own: torch.dtype, place: torch.device) -> torch.dtype:
    """The dtype in which a model's weights are held, by `precision` and the checkpoint's `own`.

    `bfloat16` is taken where it is asked for. With `auto` a GPU that multiplies in it holds what
    was saved in 16 bits in it; all else is float32, in which each saved number keeps its value.
    """
    precision(wanted, place)
    on_gpu = place.type == "cuda" and own.itemsize == 2 and _multiplies_bfloat16(place)
    return (
        torch.bfloat16 if wanted == "bfloat16" or (wanted == "auto" and on_gpu) else torch.float32
    )


def held(model: torch.nn.Module) -> tuple[str, str]:
    """In which dtypes a model's weights are held, and on which devices.

    >>> held(torch.nn.Linear(2, 2))
    ('float32', 'cpu')
    """
    weights = list(model.parameters())
    kinds = dict.fromkeys(str(weight.dtype).removeprefix("torch.") for weight in weights)
    devices = dict.fromkeys(str(weight.device) for weight in weights)
    return " and ".join(kinds), ", ".join(devices)


def free_memory(place: torch.device) -> int:
    """Bytes that a model may still take: on a GPU its free ones, else of this machine.

    A container's own limit counts, and of what it holds the files kept in memory don't.
    """
    if place.type == "cuda":
        return torch.cuda.mem_get_info(place)[0]
    free = [psutil.virtual_memory().available]
    for folder, limit, used, files in CONTAINERS:
        with contextlib.suppress(OSError, ValueError, IndexError):
            read = [(Path(folder) / name).read_text(encoding="ascii") for name in (limit, used)]
            kept = (Path(folder) / "memory.stat").read_text(encoding="ascii")
            in_files = int(kept.partition(f"\n{files} ")[2].split()[0])
            free.append(int(read[0]) - int(read[1]) + in_files)
    return max(0, min(free))


def _multiplies_bfloat16(place: torch.device) -> bool:
    if place.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if place.type == "cpu":
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16") or can.get("sve_bf16"))
    return False


def autocast(dtype: torch.dtype, place: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast to `dtype`; nothing for float32."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(place.type, dtype=dtype)


def seed(value: int) -> None:
    """Seed Python's, NumPy's and torch's generators, and ask torch for deterministic kernels."""
    # Read when CUDA starts: cuBLAS is deterministic only with it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling memory before it is written to finds reads that come too early, and takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def peak_memory_mb(place: torch.device) -> dict[str, float]:
    """Most memory this process held so far, in MiB: resident, and on all GPUs where it uses any."""
    peak = _peaks(place)
    return {name: round(max(value, _before.get(name, 0)), 1) for name, value in peak.items()}


_before: dict[str, float] = {}
"""Peaks of the time before the last reset, in MiB."""


def reset_peak_memory(place: torch.device) -> bool:
    """Begin to measure the memory of one part of a run; False where the system can't.

    `peak_memory_mb` still tells the peak of the whole run, `part_memory_mb` that since the reset.
    """
    _before.update(peak_memory_mb(place))
    if place.type == "cuda":
        for gpu in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(gpu)
    try:  # Linux: "5" sets the peak of resident memory back to what is held now (proc(5))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return place.type == "cuda"
    return True


def part_memory_mb(place: torch.device) -> float:
    """Most memory held since `reset_peak_memory`, in MiB: on the GPU where there is one."""
    peak = _peaks(place)
    return round(peak.get("gpu", peak["resident"]), 1)


def spent(
    began: float,
    place: torch.device,
    dtype: torch.dtype | None = None,
    model: torch.nn.Module | None = None,
) -> dict[str, Any]:
    """What a run took since `began` on the monotonic clock: the fields that every `Cost` has.

    With the run's `model`, the devices are those of its weights, and the precision says in what
    dtype these are held where matrix products are made in another.
    """
    products = str(dtype or "none").removeprefix("torch.")
    weights, devices = held(model) if model is not None else (products, str(place))
    return {
        "seconds": time.monotonic() - began,
        "memory_mb": peak_memory_mb(place),
        "device": devices,
        "precision": products if weights == products else f"{products}, weights in {weights}",
        "processes": distributed.count(),
    }


def _peaks(place: torch.device) -> dict[str, float]:
    peak = {"resident": _resident_peak()}
    if place.type == "cuda":
        gpus = range(torch.cuda.device_count())
        peak["gpu"] = sum(map(torch.cuda.max_memory_allocated, gpus)) / (1 << 20)
    return peak


def _resident_peak() -> float:
    """Most resident memory of this process, in MiB."""
    try:  # Linux: getrusage would count the process that started this one too
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def environment() -> dict[str, Any]:
    """Facts of this machine and of the software: an allowlist, no environment variables."""
    lock = paths.ROOT / "requirements.lock"
    place = device()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(place) if place.type == "cuda" else None,
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "torch_build": _torch_build(),
        "commit": _commit(),
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest()[:12] if lock.exists() else None,
    }


def _torch_build() -> str:
    """Which wheel of torch `make setup` installed, and whether its hash was a known one."""
    try:
        record = json.loads((Path(sys.prefix) / "torch.json").read_text(encoding="utf-8"))
        return f"{record['wheel']}: {record['check']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "not installed by make setup: its hash is not known"


def _commit() -> str | None:
    """Short commit of the project, with `+changes` where the working tree differs from it."""
    command = [
        "git",
        "-C",
        str(paths.ROOT),
        "describe",
        "--always",
        "--exclude=*",
        "--dirty=+changes",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
