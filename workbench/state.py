"""The state of a run directory: who holds it, and how the run stands."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.errors import InterruptedRunError
from workbench.files import strict_json, write_json
from workbench.result import LOCK, STATE


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold the run's lock; InterruptedRunError if another process has it.

    The system frees the lock when the process ends, however it ends.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            began = read(directory).get("started", "just now")
            raise InterruptedRunError(
                f"{directory.name} is already running, since {began}",
                do="wait for it, or stop that process",
            ) from None
        yield


def write(directory: Path, **facts: Any) -> None:
    """Write `state.json` in one step."""
    write_json(directory / STATE, facts)


def read(directory: Path) -> dict[str, Any]:
    """The facts of `state.json`; a run said to be running that nobody holds is `interrupted`."""
    try:
        facts = strict_json((directory / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(facts, dict):
        return {}
    if facts.get("status") == "running" and not _is_held(directory):
        facts["status"] = "interrupted"
    return facts


def _is_held(directory: Path) -> bool:
    try:
        with (directory / LOCK).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
