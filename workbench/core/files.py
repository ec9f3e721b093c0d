"""Files written in one step: a reader sees the old one or the new one, never a part."""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_JSON = 64 << 20
"""Bytes of the longest JSON file that is read; the longest record of a run has about 1 MB."""


def is_file(path: Path) -> bool:
    """Whether a file is there; False for a path that none can have, as with a NUL in it."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there; False for a path that none can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON in one step."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def strict_json(text: str) -> Any:
    """The value of strict JSON.

    ValueError for NaN and infinities, which it does not know, for a number that overflows to one,
    and for a text that is nested too deeply to be read.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    def finite(digits: str) -> float:
        if math.isinf(value := float(digits)):
            raise ValueError(f"{digits[:20]} is too large a number")
        return value

    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path, limit: int = MAX_JSON) -> Any:
    """The value of a strict JSON file of at most `limit` bytes.

    OSError where it can't be read, ValueError where it is no such file. Nothing is read of what is
    no regular file: a pipe would be waited for without end.
    """
    size = path.stat().st_size
    if not path.is_file() or size > limit:
        raise ValueError(f"a file of at most {limit:,} bytes is expected, not this of {size:,}")
    return strict_json(path.read_text(encoding="utf-8"))


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8 text in one step; half a character, which it can't hold, as `\ud800`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A file beside `path` to write; moved over it when the block ends well.

    A durable one is flushed to disk before, so that it outlives the machine's end as well.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(name)
    try:
        yield partial
        if durable:
            os.fsync(handle)
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        os.close(handle)
        partial.unlink(missing_ok=True)
