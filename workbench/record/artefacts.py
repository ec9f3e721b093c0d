"""The files of a run as its record lists them, each with hash and size."""

import hashlib
from collections.abc import Container
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Artefact(BaseModel):
    """A file of the run, relative to its directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sha256: str
    bytes: int


def artefact(path: Path) -> Artefact:
    """Hash and size of a file; OSError where it can't be read."""
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return Artefact(sha256=sha256, bytes=stream.tell())


def is_unchanged(directory: Path, name: str, recorded: Artefact | None) -> bool:
    """Whether a file of a run is there as its record says; OSError where it can't be read."""
    path = directory / name
    if recorded is None or Path(name).name != name or not path.is_file():
        return False
    # Size first: what has grown to a terabyte is not read.
    return path.stat().st_size == recorded.bytes and artefact(path) == recorded


def listed(directory: Path, skipped: Container[str]) -> dict[str, Artefact]:
    """Every regular file of a directory, but those `skipped` and the hidden ones."""
    return {
        path.name: artefact(path)
        for path in sorted(directory.iterdir())
        if path.is_file() and path.name not in skipped and not path.name.startswith(".")
    }
