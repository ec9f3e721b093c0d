"""What a suite or a command line asks for, as runs with an id: same id, same work."""

import dataclasses
import errno
import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench import notebooks
from workbench.core import paths, sources
from workbench.core.config import Config, names
from workbench.core.errors import ParameterError
from workbench.core.sources import Source
from workbench.notebooks import Notebook

DEFAULT_TIMEOUT_S, MAX_SECONDS = 3600, 10_000_000
MAX_SLUG = 64
"""Characters of a notebook's name that are part of a run's id."""
FLOORS = (
    "core",
    "record",
    "data",
    "models",
    "training",
    "decoding",
    "methods",
    "flow.py",
    "blocks.py",
)
"""Parts of the package that can change a number of any task."""
NO_NUMBERS = (
    "core/assets.yaml", "core/bootstrap.py", "core/environment.py",
    "record/answer.py", "record/comparison/*", "record/runs.py",
    "tasks/*/*figures.py", "tasks/*/*tables.py",
)  # fmt: skip
"""Of those, and of a task's own, what can't: with another caption, a run is still done."""


@dataclass(frozen=True)
class Job:
    """A notebook with checked parameters, before its model and data were looked at."""

    notebook: Notebook
    config: Config
    timeout_s: int | None = None
    """Longest time of one cell, in seconds; None leaves it to how long earlier runs took."""
    memory_mb: int | None = None
    """Resident memory that the run may take, in MiB; a run that takes more is ended."""
    gpus: float | None = None
    """GPUs it needs, or a part of one; None is one where there are some."""

    @property
    def label(self) -> str:
        """The notebook, and the parameters that are not the task's defaults, wherever set."""
        defaults = type(self.config)().model_dump(mode="json")
        values = self.config.model_dump(mode="json").items()
        changed = (f"{name}={value}" for name, value in values if defaults[name] != value)
        return " ".join([self.notebook.name, *changed])


@dataclass(frozen=True)
class Run:
    """A job with its id and directory; its model and data are on this machine and verified."""

    job: Job
    run_id: str
    identity: dict[str, Any]
    """What the id is a hash of: `notebook`, `parameters`, `package`, `data`, `environment`."""
    made_ns: int = dataclasses.field(compare=False)
    """When that was looked at, in nanoseconds since 1970."""

    @property
    def directory(self) -> Path:
        """Where everything of this run lies."""
        return paths.reports() / "runs" / self.run_id


def from_texts(name: str, texts: Mapping[str, str], *, timeout_s: int | None = None) -> Job:
    """The job of a command line's NAME, key=value texts and longest time of a cell."""
    if timeout_s is not None and not 0 < timeout_s <= MAX_SECONDS:
        raise ParameterError(f"a timeout of {timeout_s} seconds", expected=f"1 to {MAX_SECONDS:,}")
    notebook = notebooks.find(name)
    given = notebook.config.parse(texts)
    changes = {key: getattr(given, key) for key in texts}
    return make_job(notebook, changes, timeout_s=timeout_s)


NEEDED = {"model", "encoder", "dataset"}
"""Parameters that must name a model or data; others may be empty, which leaves a part out."""


def make_job(notebook: Notebook, changes: Mapping[str, Any], **options: Any) -> Job:
    """The job of a notebook's parameters cell with some values changed."""
    return Job(notebook, notebook.configured(changes), **options)


def resolve(job: Job) -> Run:
    """Make model and data local, verify them, and give the job its id.

    The id is the notebook's name and 12 hex digits of a hash over its code, the parameters, the
    source that numbers of its task come from, the content of model and data, the lock file and
    torch's version.
    """
    made_ns, parameters = time.time_ns(), job.config.model_dump(mode="json")
    found = {
        field: [_source(name, kind) for name in names(parameters[field])]
        for field, kind in job.config.sources.items()
        if field in parameters
    }
    for field, group in found.items():
        if not group and field in NEEDED:
            kind = job.config.sources[field]
            raise ParameterError(
                f"{field}={parameters[field]!r} names no {kind}", expected="a name"
            )
    # The name of a Hub repository now has its commit, so that the kernel takes the same one.
    exact = {field: ", ".join(source.name for source in group) for field, group in found.items()}
    job = dataclasses.replace(job, config=job.config.model_copy(update=exact))
    content = {field: [source.fingerprint for source in group] for field, group in found.items()}
    identity = {
        "notebook": job.notebook.code_sha256,
        "parameters": parameters | exact,
        "package": _package_sha256(job.config.task),
        "data": content,
        "environment": environment(),
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    slug = re.sub(r"[^a-z0-9]+", "-", job.notebook.name.lower())[:MAX_SLUG].strip("-")
    return Run(job, f"{slug or 'notebook'}-{digest[:12]}", identity, made_ns)


def _source(name: str, kind: sources.Kind) -> Source:
    """A model or data set on this machine; ParameterError for a name that can be none."""
    try:
        return sources.resolve(name, kind)
    except (OSError, RuntimeError, ValueError) as error:
        # A NUL, more characters than a path can have, the home of an unknown user.
        if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
            raise
        shown = name if len(name) <= MAX_SLUG else f"{name[:MAX_SLUG]}..."
        raise ParameterError(f"{kind} {shown!r}: {error}", expected="a name or a path") from None


@cache
def _package_sha256(task: str) -> str:
    return package_sha256(task)


def package_sha256(task: str) -> str:
    """Hash over the source, as it is now, of all that numbers of a task come from."""
    digest = hashlib.sha256()
    for path in package_files(task):
        digest.update(f"{path.relative_to(paths.PACKAGE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def package_files(task: str) -> list[Path]:
    """The files of the package that numbers of a task come from: the floors, and its own folder."""
    places = [paths.PACKAGE / name for name in (*FLOORS, f"tasks/{task}")]
    found = {file for place in places for file in (place, *place.rglob("*"))}
    return sorted(
        path
        for path in found
        if path.suffix in {".py", ".yaml"}
        and not any(path.relative_to(paths.PACKAGE).match(name) for name in NO_NUMBERS)
    )


def environment() -> list[str]:
    """Hash of the lock file, and torch's version, which the lock file does not hold."""
    return [_lock_sha256(), metadata.version("torch")]


def _lock_sha256() -> str:
    return hashlib.sha256((paths.ROOT / "requirements.lock").read_bytes()).hexdigest()
