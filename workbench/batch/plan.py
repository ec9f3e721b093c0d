"""What a suite or a command line asks for, as runs with an id: same id, same work."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench import notebooks, paths, sources
from workbench.config import Config, names
from workbench.notebooks import Notebook

DEFAULT_TIMEOUT_S = 3600
NO_NUMBERS = {
    "batch", "bootstrap.py", "cli.py", "comparison", "environment.py", "report", "runs.py",
}  # fmt: skip
"""Parts of the package that can't change a number: with another page, a run is still done."""


@dataclass(frozen=True)
class Job:
    """A notebook with checked parameters, before its model and data were looked at."""

    notebook: Notebook
    config: Config
    timeout_s: int = DEFAULT_TIMEOUT_S
    memory_mb: int | None = None
    """Resident memory that the run may take, in MiB; a run that takes more is ended."""
    gpus: float | None = None
    """GPUs it needs, or a part of one; None is one where there are some."""

    @property
    def label(self) -> str:
        """The notebook, and the parameters in which the job differs from its cell."""
        cell = self.notebook.parameters
        values = self.config.model_dump(mode="json").items()
        changed = (f"{name}={value}" for name, value in values if cell.get(name) != value)
        return " ".join([self.notebook.name, *changed])


@dataclass(frozen=True)
class Run:
    """A job with its id and directory; its model and data are on this machine and verified."""

    job: Job
    run_id: str
    identity: dict[str, Any]
    """What the id is a hash of: `notebook`, `parameters`, `package`, `data`, `environment`."""

    @property
    def directory(self) -> Path:
        """Where everything of this run lies."""
        return paths.reports() / "runs" / self.run_id


def from_texts(name: str, texts: Mapping[str, str]) -> Job:
    """The job of a command line's NAME and key=value texts."""
    notebook = notebooks.find(name)
    given = notebook.config.parse(texts)
    return make_job(notebook, {key: getattr(given, key) for key in texts})


def make_job(notebook: Notebook, changes: Mapping[str, Any], **options: Any) -> Job:
    """The job of a notebook's parameters cell with some values changed."""
    return Job(notebook, notebook.config.check({**notebook.parameters, **changes}), **options)


def resolve(job: Job) -> Run:
    """Make model and data local, verify them, and give the job its id.

    The id is the notebook's name and 12 hex digits of a hash over its code, the parameters, the
    package's source, the content of model and data, the lock file and torch's version.
    """
    parameters = job.config.model_dump(mode="json")
    found = {
        field: [sources.resolve(name, kind) for name in names(parameters[field])]
        for field, kind in job.config.sources.items()
        if field in parameters
    }
    # The name of a Hub repository now has its commit, so that the kernel takes the same one.
    exact = {field: ", ".join(source.name for source in group) for field, group in found.items()}
    job = dataclasses.replace(job, config=job.config.model_copy(update=exact))
    content = {field: [source.fingerprint for source in group] for field, group in found.items()}
    identity = {
        "notebook": job.notebook.code_sha256,
        "parameters": parameters | exact,
        "package": _package_sha256(),
        "data": content,
        "environment": [_lock_sha256(), metadata.version("torch")],
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    slug = re.sub(r"[^a-z0-9]+", "-", job.notebook.name.lower()).strip("-")
    return Run(job, f"{slug}-{digest[:12]}", identity)


@cache
def _package_sha256() -> str:
    """Hash over the source of all parts of the package that numbers come from."""
    digest = hashlib.sha256()
    for path in sorted(paths.PACKAGE.rglob("*")):
        name = path.relative_to(paths.PACKAGE)
        if path.suffix in {".py", ".yaml", ".mplstyle", ".css"} and name.parts[0] not in NO_NUMBERS:
            digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _lock_sha256() -> str:
    return hashlib.sha256((paths.ROOT / "requirements.lock").read_bytes()).hexdigest()
