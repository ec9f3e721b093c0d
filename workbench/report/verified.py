"""What the records of runs say, and whether every file is still as its record says.

Hashing all files of thousands of runs takes seconds, and the index is written after each run. So
the verdict on a directory is kept as long as name, size and times of its files stay the same; the
time of the last change of a file's data or properties, which no program can set back, is among
them.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from workbench.core import paths
from workbench.core.errors import DataError, VersionError, WorkbenchError
from workbench.core.files import write_text
from workbench.record.answer import Other, answer, first_metric, others
from workbench.record.comparison import amounts
from workbench.record.comparison.correctness import Correctness, read_correctness
from workbench.record.result import LOCK, PAGE, RESULT, STATE, Metric, Result, is_whole

KEPT = ".index-cache.json"
FRESH_NS = 1_000_000_000
"""A file that changed this short a while ago may change again within one tick of its clock."""


class Verified(BaseModel):
    """What the index takes from a run's record."""

    model_config = ConfigDict(frozen=True)

    files: str
    """Hash over name, size and times of the run's files when they were verified."""
    whole: bool
    why: str = ""
    """Why its record could not be read."""
    task: str = ""
    notebook: str = ""
    status: str = ""
    started: str = ""
    seconds: float | None = None
    device: str = ""
    cost: dict[str, float] = {}
    """What it took, by name and unit."""
    parameters: dict[str, Any] = {}
    sources: dict[str, tuple[str, str]] = {}
    """Kind -> name and fingerprint."""
    metrics: dict[str, Metric] = {}
    """Those of the headline, most important first."""
    answer: str = ""
    method: str = ""
    """The run's own; empty where its record and its items name none."""
    others: list[Other] = []
    """The methods beside it by its first number, the best first."""
    right: str = ""
    test: dict[str, Any] | None = None
    correctness: Correctness | None = None
    no_correctness: str = ""
    """Why there are none."""


class _Kept(BaseModel):
    runs: dict[str, Verified]


def verified(reports: Path, directories: Sequence[Path]) -> dict[str, Verified]:
    """Run id -> what its record says, for every directory that has one."""
    known = _read(reports / KEPT)
    found, unknown, fresh = {}, [], set()
    for directory in directories:
        with contextlib.suppress(FileNotFoundError):  # a directory that goes while we look
            files, changed_ns = _files(directory)
            earlier = known.get(directory.name)
            if earlier and earlier.files == files:
                found[directory.name] = earlier
            elif os.path.lexists(directory / RESULT):
                unknown.append((directory, files))
                fresh |= {directory.name} if time.time_ns() - changed_ns < FRESH_NS else set()
    # Reading and hashing leave Python's lock, so threads share the work.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found |= dict(pool.map(_verify, unknown))
    keep = {name: each for name, each in found.items() if name not in fresh}
    if keep != known:
        _write(reports / KEPT, keep)
    return found


def _files(directory: Path) -> tuple[str, int]:
    """Hash over what the system says of a run's files, and when the last of them changed.

    State, lock and page are no part of a verified run.
    """
    facts, changed_ns = [], 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in {STATE, LOCK, PAGE}:
                continue
            stat = entry.stat(follow_symlinks=False)
            facts.append((entry.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
            changed_ns = max(changed_ns, stat.st_ctime_ns)
    return hashlib.sha256(repr(sorted(facts)).encode()).hexdigest()[:32], changed_ns


def _verify(asked: tuple[Path, str]) -> tuple[str, Verified]:
    """Read a record and hash all files it lists."""
    directory, files = asked
    try:
        record = Result.read_record(directory)
    except DataError as error:
        why = str(error).partition("\n")[0].replace(f"{directory}/", "")
        status = "unknown" if isinstance(error, VersionError) else "damaged"
        return directory.name, Verified(files=files, whole=False, status=status, why=why)
    whole = is_whole(directory)
    correctness, no_correctness = None, "a file of it is not as its record says"
    if whole:
        try:
            correctness, no_correctness = read_correctness(directory, record), ""
        except WorkbenchError as error:
            no_correctness = str(error).partition("\n")[0]
    return directory.name, Verified(
        files=files,
        whole=whole,
        task=record.task,
        notebook=record.notebook,
        status=record.status,
        started=record.started,
        seconds=record.cost.seconds,
        device=record.cost.device,
        cost=amounts(record.cost),
        parameters=record.parameters,
        sources={
            kind: (source.get("name", ""), source.get("fingerprint", ""))
            for kind, source in record.sources.items()
        },
        metrics={name: record.metrics[name] for name in record.headline if name in record.metrics},
        answer=record.answer or answer(record),
        method=record.method or (correctness.method if correctness else ""),
        others=others(record, first_metric(record)),
        right=record.right,
        test=record.test,
        correctness=correctness,
        no_correctness=no_correctness,
    )


def _read(path: Path) -> dict[str, Verified]:
    """The kept verdicts; none where the file is damaged or of another version of the package."""
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
        if digest != _digest(body):
            return {}
        return _Kept.model_validate_json(body).runs
    except (OSError, ValueError):
        return {}


def _write(path: Path, runs: dict[str, Verified]) -> None:
    body = _Kept(runs=runs).model_dump_json()
    write_text(path, f"{_digest(body.encode()).decode()}\n{body}")


def _digest(body: bytes) -> bytes:
    """Hash over the content and over the source that it was made by."""
    return hashlib.sha256(_source() + body).hexdigest().encode()


@cache
def _source() -> bytes:
    """Hash over the parts of the package that say what is verified and what is right."""
    digest = hashlib.sha256()
    for part in ("record", "report"):
        for path in sorted((paths.PACKAGE / part).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.digest()
