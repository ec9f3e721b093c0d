"""Files written in one step: a reader sees the old one or the new one, never a part."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON in one step."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def strict_json(text: str) -> Any:
    """The value of strict JSON; ValueError for NaN and infinities, which it does not know."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


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
