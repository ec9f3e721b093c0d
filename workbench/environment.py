"""The same environment for everyone: `environment.yml` is made from the lock file.

`python -m workbench.environment` writes it; `--check` exits 1 where it would change; `--lock`
first chooses versions anew with uv, torch and its GPU libraries left out of the lock; `--add`
chooses only those of packages that are new in pyproject.toml.
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

from workbench.bootstrap import LOCK, ROOT, torch_pin

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
HEAD = """\
# Made by `make fmt` from pyproject.toml and requirements.lock: the same versions, for conda.
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
    return HEAD + "".join(f"      - {json.dumps(pin)}\n" for pin in [torch_pin(), *pins()])


def pins() -> list[str]:
    """The requirements of the lock, without hashes."""
    return re.findall(r"(?m)^([a-z0-9][^\\\n]*?) \\$", LOCK.read_text(encoding="utf-8"))


def lock(kept: Sequence[str] = ()) -> None:
    """Write `requirements.lock`: versions for Python 3.11 to 3.13, with hashes of wheels only.

    `kept` are pins that stay as they are.
    """
    with tempfile.TemporaryDirectory() as folder:
        excluded, found = Path(folder) / "excluded.txt", Path(folder) / "pylock.toml"
        constraints = Path(folder) / "constraints.txt"
        excluded.write_text("\n".join(GPU_LIBRARIES))
        constraints.write_text("\n".join(kept))
        command = ["uv", "pip", "compile", "pyproject.toml", "--extra=dev", "--universal"]
        command += ["--python-version=3.11", "--upgrade", "--no-emit-package=torch", "--quiet"]
        command += [f"--excludes={excluded}", f"--constraints={constraints}"]
        command += ["--format=pylock.toml", f"--output-file={found}"]
        subprocess.run(command, check=True, cwd=ROOT)
        packages = tomllib.loads(found.read_text(encoding="utf-8"))["packages"]
    lines = ["# Made by `make lock`. Hashes are of the wheels that Linux and macOS can use."]
    for package in packages:
        wheels = sorted(_hashes(package))
        if not wheels and "os_name == 'nt'" in package.get("marker", ""):
            continue
        if not wheels:
            sys.exit(f"{package['name']} {package['version']} has no wheel for Linux or macOS")
        marker = f" ; {package['marker']}" if "marker" in package else ""
        pin = f"{package['name']}=={package['version']}{marker}"
        lines.append(" \\\n    ".join([pin, *(f"--hash=sha256:{wheel}" for wheel in wheels)]))
    LOCK.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _hashes(package: dict[str, Any]) -> Iterator[str]:
    """sha256 of each wheel of a package for a platform and Python that the project is for."""
    for wheel in package.get("wheels", []):
        if WHEELS.search(wheel.get("name") or wheel["url"]):
            yield wheel["hashes"]["sha256"]


def main(arguments: list[str]) -> int:
    """Write or check; return an exit code."""
    if "--lock" in arguments or "--add" in arguments:
        lock(kept=pins() if "--add" in arguments else ())
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text():
        return 0
    if "--check" in arguments:
        print("environment.yml does not agree with the lock; do: make fmt", file=sys.stderr)
        return 1
    TARGET.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
