"""Models of one quantized file, as folders that transformers reads: made once, then kept.

Such a file takes half a minute to read; its float32 copy takes a second.
"""

import fcntl
import tempfile
from collections.abc import Callable
from pathlib import Path

from workbench.core import paths
from workbench.core.errors import ParameterError
from workbench.core.sources import Source

Convert = Callable[[Source, Path, Path], None]
"""Writes a source's file into a new folder: weights as float32 safetensors, config, tokenizer."""


def file_of(source: Source, suffix: str) -> Path | None:
    """The one file with this suffix that a source is or holds; None where it is something else.

    ParameterError where a folder holds several.
    """
    files = sorted(source.path.glob(f"*{suffix}")) if source.path.is_dir() else [source.path]
    files = [file for file in files if file.suffix == suffix]
    if len(files) > 1:
        kind = suffix.removeprefix(".").upper()
        raise ParameterError(
            f"model {source.name!r} ({source.about}) holds {len(files)} {kind} files",
            expected="one",
            do=f"give the path of the one to read, such as {files[0]}",
        )
    return files[0] if files else None


def folder_of(source: Source, file: Path, convert: Convert) -> Path:
    """The folder with the copy of a file, made where it is not there."""
    folder = paths.processed() / f"{file.parent.name}-{source.fingerprint[:12]}"
    paths.processed().mkdir(parents=True, exist_ok=True)
    with (paths.processed() / f".{folder.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        print(f"{source.name}: reading {file.name}, once", flush=True)
        with tempfile.TemporaryDirectory(dir=paths.processed(), prefix=".copy-") as scratch:
            partial = Path(scratch) / "model"
            convert(source, file, partial)
            partial.replace(folder)
    return folder


def repair(file: Path, folder: Path) -> str:
    """What to do where a copy is damaged."""
    return f"remove {folder}: it is rebuilt from {file}"
