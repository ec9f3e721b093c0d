"""The same environment for everyone: `environment.yml` is made from the lock file.

`python -m workbench.core.environment` writes it; `--check` exits 1 where it would change; `--lock`
first chooses versions anew with uv, those of torch and its GPU libraries for a lock of their own;
`--add` chooses only those of packages that are new in pyproject.toml.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.core.bootstrap import LOCK, ROOT, TORCH_LOCK, pins, torch_pin

TARGET = ROOT / "environment.yml"
GPU_LIBRARIES = (
    "cuda-bindings cuda-toolkit nvidia-cublas nvidia-cudnn-cu13 nvidia-cusparselt-cu13"
    " nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton"
).split()
WHEELS = re.compile(
    # Python tag, ABI and platform of the wheels that the project's Pythons can use
    r"-(py3(11|12|13)?|py2\.py3|cp3\d+-abi3|cp3(11|12|13)-cp3(11|12|13))(-none)?"
    r"-(any|.*manylinux.*_(x86_64|aarch64)|macosx.*_(arm64|universal2))\.whl$"
)
LOCK_HEAD = "# Made by `make lock`. Hashes are of the wheels that Linux and macOS can use."
TORCH_HEAD = """\
# Made by `make lock`: torch as the public index has it, and what only torch needs. Hashes are of
# the wheels that Linux and macOS can use."""
HEAD = """\
# Made by `make fmt` from pyproject.toml and requirements.lock: the same versions, for conda. A
# file for conda can't hold hashes, so none is checked here; `make setup` checks them.
#   conda env create --file environment.yml && conda activate llm-workbench
#   pip install --no-deps --editable .
name: llm-workbench
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.12
  - pip
  - pip:
"""


def text() -> str:
    """What `environment.yml` has to say: torch and every pin of the lock, without hashes."""
    return HEAD + "".join(f"      - {json.dumps(pin)}\n" for pin in [torch_pin(), *pins(LOCK)])


def lock(kept: Sequence[str] = ()) -> None:
    """Write both locks: versions for Python 3.11 to 3.13, with hashes of wheels only.

    `requirements.lock` is for every machine; `torch.lock` has torch and what only torch needs, the
    GPU libraries. `kept` are pins that stay as they are.
    """
    packages = _resolve(kept, excluded=GPU_LIBRARIES)
    common = [package for package in packages if package["name"] != "torch"]
    LOCK.write_text(_pinned(LOCK_HEAD, common), encoding="utf-8")
    names = {package["name"] for package in common}
    others = [one for one in _resolve([*kept, *pins(LOCK)]) if one["name"] not in names]
    TORCH_LOCK.write_text(_pinned(TORCH_HEAD, others), encoding="utf-8")


def _resolve(kept: Sequence[str], *, excluded: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The packages that uv chooses, as a `pylock.toml` describes them."""
    with tempfile.TemporaryDirectory() as folder:
        left_out, found = Path(folder) / "excluded.txt", Path(folder) / "pylock.toml"
        constraints = Path(folder) / "constraints.txt"
        left_out.write_text("\n".join(excluded))
        constraints.write_text("\n".join(kept))
        command = ["uv", "pip", "compile", "pyproject.toml", "--extra=dev", "--universal"]
        command += ["--python-version=3.11", "--upgrade", "--quiet"]
        command += [f"--excludes={left_out}", f"--constraints={constraints}"]
        command += ["--format=pylock.toml", f"--output-file={found}"]
        subprocess.run(command, check=True, cwd=ROOT)
        return tomllib.loads(found.read_text(encoding="utf-8"))["packages"]


def _pinned(head: str, packages: Sequence[dict[str, Any]]) -> str:
    """The text of a lock: each package with its version, marker and hashes."""
    lines = [head]
    for package in packages:
        wheels = sorted(_hashes(package))
        if not wheels and "os_name == 'nt'" in package.get("marker", ""):
            continue
        if not wheels:
            sys.exit(f"{package['name']} {package['version']} has no wheel for Linux or macOS")
        marker = f" ; {package['marker']}" if "marker" in package else ""
        pin = f"{package['name']}=={package['version']}{marker}"
        lines.append(" \\\n    ".join([pin, *(f"--hash=sha256:{wheel}" for wheel in wheels)]))
    return "\n".join(lines) + "\n"


def _hashes(package: dict[str, Any]) -> Iterator[str]:
    """sha256 of each wheel of a package for a platform and Python that the project is for."""
    for wheel in package.get("wheels", []):
        if WHEELS.search(wheel.get("name") or wheel["url"]):
            yield wheel["hashes"]["sha256"]


def main(arguments: list[str]) -> int:
    """Write or check; return an exit code."""
    if "--lock" in arguments or "--add" in arguments:
        lock(kept=[*pins(LOCK), *pins(TORCH_LOCK)] if "--add" in arguments else ())
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text():
        return 0
    if "--check" in arguments:
        print("environment.yml does not agree with the lock; do: make fmt", file=sys.stderr)
        return 1
    TARGET.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
