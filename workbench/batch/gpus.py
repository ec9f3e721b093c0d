"""Which GPUs runs may take, and leases of them, whole or in part."""

import math
import os
import shutil
import subprocess
import time
from collections.abc import Sequence

from workbench.core.errors import MachineError

FREED_MB = 512
"""Memory of a GPU that may be in use beyond what was before a lease, when it is free again."""
FREED_S = 30.0
"""How long that is waited for."""


def visible() -> list[str]:
    """Names of the GPUs that may be used, as `CUDA_VISIBLE_DEVICES` writes them.

    What that variable already allows, else all that nvidia-smi lists; none where there is none.
    """
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name for name in allowed.split(",") if name.strip() and name.strip() != "-1"]
    return _asked("--query-gpu=uuid")


def require() -> None:
    """Raise MachineError where there is none."""
    if not visible():
        allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = (
            f"CUDA_VISIBLE_DEVICES={allowed!r}" if allowed is not None else "nvidia-smi lists none"
        )
        raise MachineError(
            f"no GPU: {why}", expected="one", do="look at nvidia-smi, or leave out --require-gpu"
        )


class Leases:
    """GPUs that runs hold: several whole ones each, or a part of one."""

    def __init__(self, names: Sequence[str]) -> None:
        self.free = dict.fromkeys(names, 1.0)
        """Fraction of each GPU that nobody holds."""
        self.used: dict[str, int] = {}
        """Memory that others had in use when a GPU's first lease began, in MiB."""

    def take(self, amount: float) -> list[str] | None:
        """Names of the GPUs of a lease of `amount`; None while it has to wait.

        A part is taken of the GPU with the least that suffices, so that whole ones stay whole.
        Raises MachineError for more than there are.
        """
        if amount > len(self.free):
            raise MachineError(
                f"a run asks for {amount:g} GPUs",
                expected=f"at most the {len(self.free)} there are",
            )
        share = min(amount, 1.0)
        # Thirds do not add up to one exactly.
        room = sorted((left, name) for name, left in self.free.items() if left >= share - 1e-9)
        names = [name for _, name in room[: math.ceil(amount)]]
        if len(names) < math.ceil(amount):
            return None
        for name in names:
            if self.free[name] == 1.0:
                self.used[name] = _used_mb(name)
            self.free[name] -= share
        return names

    def give(self, names: Sequence[str], amount: float) -> None:
        """Take a lease back, once the memory of a GPU that nobody holds now is free again."""
        for name in names:
            self.free[name] = min(1.0, self.free[name] + min(amount, 1.0))
            if self.free[name] > 1 - 1e-9:
                self.free[name] = 1.0
                # A driver frees memory a little after the process is gone.
                end = time.monotonic() + FREED_S
                while _used_mb(name) > self.used[name] + FREED_MB and time.monotonic() < end:
                    time.sleep(0.2)


def _used_mb(name: str) -> int:
    """Memory of a GPU in use, in MiB; 0 where it can't be asked."""
    found = _asked("--query-gpu=memory.used", f"--id={name}")
    return int(found[0]) if found and found[0].isdecimal() else 0


def _asked(*query: str) -> list[str]:
    """Lines that nvidia-smi answers, numbers without units; none where it can't be asked."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", *query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
