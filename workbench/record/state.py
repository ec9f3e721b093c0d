"""The state of a run directory: who holds it, and how the run stands."""

import contextlib
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.core.errors import InterruptedRunError, printable
from workbench.core.files import read_json, write_json
from workbench.record.result import LOCK, STATE

DAMAGED = "damaged"
Seconds = Annotated[float, Field(ge=0, le=1e9)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Identity(_Form):
    parameters: dict[str, Any]


class _Facts(_Form):
    """What readers of a state rely on; a field may be missing, and others may be there."""

    status: str | None = None
    message: str | None = None
    started: str | None = None
    notebook: str | None = None
    task: str | None = None
    seconds: Seconds | None = None
    exit_code: int | None = None
    attempts: int | None = None
    timeout_s: int | None = None
    peak_mb: float | None = None
    identity: _Identity | None = None


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
    """The facts of `state.json`, none where there is no such file.

    A run said to be running that nobody holds is `interrupted`. Of a file that can't be used, only
    the status `damaged` and a message are returned, and it is said on standard error.
    """
    try:
        facts: dict[str, Any] = read_json(directory / STATE)
        _Facts.model_validate(facts)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        message = f"{STATE} can't be used: {_reason(error)}"
        set_aside(directory, message)
        return {"status": DAMAGED, "message": message}
    if facts.get("status") == "running" and not is_held(directory):
        facts["status"] = "interrupted"
    return facts


def _reason(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
    return (getattr(error, "strerror", None) or str(error)).partition("\n")[0]


_SAID: set[tuple[Path, str]] = set()


def set_aside(directory: Path, why: str) -> None:
    """Say on standard error, once, that a run directory is not used and why."""
    if (directory, why) not in _SAID:
        _SAID.add((directory, why))
        print(printable(f"set aside {directory}: {why}"), file=sys.stderr, flush=True)


def is_held(directory: Path) -> bool:
    """Whether some process is at this run."""
    try:
        with (directory / LOCK).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
