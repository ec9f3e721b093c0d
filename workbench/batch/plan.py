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
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench import notebooks, paths, sources
from workbench.config import Config, names
from workbench.errors import ParameterError
from workbench.notebooks import Notebook

DEFAULT_TIMEOUT_S = 3600


class SuiteRun(BaseModel):
    """One entry of a suite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    notebook: str
    parameters: dict[str, Any] = {}
    timeout_s: Annotated[int, Field(gt=0)] = DEFAULT_TIMEOUT_S


class Suite(BaseModel):
    """A batch plan: runs in order."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    runs: Annotated[list[SuiteRun], Field(min_length=1)]


@dataclass(frozen=True)
class Job:
    """A notebook with checked parameters, before its model and data were looked at."""

    notebook: Notebook
    config: Config
    timeout_s: int = DEFAULT_TIMEOUT_S


@dataclass(frozen=True)
class Run:
    """A job with its id and directory; its model and data are on this machine and verified."""

    job: Job
    run_id: str

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


def read_suite(name: str) -> list[Job]:
    """The jobs of a suite: a name in `suites/` or a path. ParameterError for anything wrong."""
    path = paths.SUITES / f"{name}.yaml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in paths.SUITES.glob("*.yaml")))
        raise ParameterError(f"unknown suite {name!r}", expected=f"one of {known}, or a YAML file")
    try:
        suite = Suite.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ParameterError(f"{path}, {where}: {problem['msg']}") from None
    jobs = []
    for number, entry in enumerate(suite.runs, 1):
        try:
            notebook = notebooks.find(entry.notebook)
            jobs.append(make_job(notebook, entry.parameters, timeout_s=entry.timeout_s))
        except ParameterError as error:
            raise ParameterError(f"{path}, run {number}: {error}") from None
    return jobs


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
    parts = [job.notebook.code_sha256, parameters | exact, _package_sha256(), content]
    parts += [_lock_sha256(), metadata.version("torch")]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    slug = re.sub(r"[^a-z0-9]+", "-", job.notebook.name.lower()).strip("-")
    return Run(job, f"{slug}-{digest[:12]}")


@cache
def _package_sha256() -> str:
    """Hash over the package's source, its report aside: that can't change a number."""
    digest = hashlib.sha256()
    for path in sorted(paths.PACKAGE.rglob("*")):
        name = path.relative_to(paths.PACKAGE)
        if path.suffix in {".py", ".yaml", ".mplstyle", ".css"} and name.parts[0] != "report":
            digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _lock_sha256() -> str:
    return hashlib.sha256((paths.ROOT / "requirements.lock").read_bytes()).hexdigest()
