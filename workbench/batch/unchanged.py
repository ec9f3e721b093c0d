"""Whether what a run's id counts is still what it was: package, lock file, models and data.

A run executes its notebook as it was when the id was made, so an edit of that file is no matter.
Everything else is read from disk while the run goes on, and is looked at again before its record
counts: else a result could be filed under the id of other work.
"""

from importlib import metadata
from pathlib import Path

from workbench import notebooks
from workbench.batch import plan
from workbench.batch.plan import Run
from workbench.core import assets, distributed, paths, sources
from workbench.core.config import names
from workbench.core.errors import DataError, IntegrityError, MachineError, WorkbenchError

MOST = 3
"""Files that an error names at most."""
DO = "leave it as it is while the run goes on, and run it again"


def require(run: Run, *, notebook: bool | None = None) -> None:
    """Raise where something that the id counts is not as it was when the id was made.

    DataError for a data set, IntegrityError for a model, MachineError for the package, the lock
    file, torch, or the `notebook`, which counts where each of several processes reads it. Models
    and data are hashed again, because size and time of a file can be kept when it is replaced;
    names on the Hub hold their commit.
    """
    several = distributed.count() > 1 if notebook is None else notebook
    parts = ["package", "environment"] + (["notebook"] if several else [])
    task = run.job.config.task
    now = {"package": plan.package_sha256(task), "environment": plan.environment()}
    now["notebook"] = _notebook_sha256(run)
    places = {
        "package": [*plan.package_files(task), *{file.parent for file in plan.package_files(task)}],
        "environment": [paths.ROOT / "requirements.lock"],
        "notebook": [run.job.notebook.path],
    }
    for part in parts:
        if now[part] != run.identity[part]:
            found = f"; torch is {metadata.version('torch')}" if part == "environment" else ""
            raise MachineError(_message(run, f"the {part}{found}", places[part]), do=DO)
    parameters = run.job.config.model_dump(mode="json")
    for field, kind in run.job.config.sources.items():
        for name, before in zip(
            names(parameters.get(field, "")), run.identity["data"].get(field, ()), strict=True
        ):
            where = _changed(name, kind, before)
            if where is not None:
                error = DataError if kind == "dataset" else IntegrityError
                raise error(_message(run, f"the {kind} {name!r}", where), do=DO)


def _notebook_sha256(run: Run) -> str:
    try:
        return notebooks.read(run.job.notebook.path).code_sha256
    except (OSError, WorkbenchError):
        return ""


def _changed(name: str, kind: sources.Kind, before: str) -> list[Path] | None:
    """Files among which the one is that changed; None where all are as before."""
    if name.startswith(sources.HUB):
        return None
    asset = assets.catalogue().get(name)
    if asset and asset.kind == kind:
        bad = [*asset.missing(), *asset.damaged()]
        return [asset.directory / file for file in bad] or None
    try:
        source = sources.resolve(name, kind)
    except WorkbenchError:
        return []  # it is gone
    if source.fingerprint == before:
        return None
    path = source.path
    return [*sorted(path.rglob("*")), path] if path.is_dir() else [path]


def _message(run: Run, what: str, files: list[Path]) -> str:
    """What changed, with the files, or the folders, that were written since the id was made."""
    late = [file for file in files if _changed_ns(file) > run.made_ns]
    # A folder is written when a file of it goes or comes.
    found = [file for file in late if not file.is_dir()] or late or files[-1:]
    more = f" and {len(found) - MOST:,} more" if len(found) > MOST else ""
    named = ", ".join(map(str, found[:MOST]))
    return f"{what} changed after the run's id was made{': ' if named else ''}{named}{more}"


def _changed_ns(file: Path) -> int:
    """When a file last changed, by the clock that no program can set back; 0 where it is gone."""
    try:
        return file.stat().st_ctime_ns
    except OSError:
        return 0
