"""Which GPUs runs may take, one for each run that is on its way."""

import os
import shutil
import subprocess

from workbench.errors import MachineError


def visible() -> list[str]:
    """Names of the GPUs that may be used, as `CUDA_VISIBLE_DEVICES` writes them.

    What that variable already allows, else all that nvidia-smi lists; none where there is none.
    """
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name for name in allowed.split(",") if name.strip() and name.strip() != "-1"]
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


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
