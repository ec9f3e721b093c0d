"""Runs by name: an id, the beginning of one, or a directory."""

import difflib
from pathlib import Path

from workbench.core import paths
from workbench.core.errors import DataError, ParameterError
from workbench.core.files import is_folder
from workbench.record.artefacts import is_unchanged
from workbench.record.result import ITEMS, Result

NEAR, MAX_NAME = 5, 200
"""Ids that an error names at most, and characters of a wrong one."""


def find(name: str | Path) -> Path:
    """The directory of a run. ParameterError where none or several could be meant."""
    name = str(name)
    folder = paths.reports() / "runs"
    known = sorted(path.name for path in folder.glob("*/"))
    if name in known:
        return folder / name
    if (own := paths.find(name)) and is_folder(own[1]):
        return own[1]
    begun = [run for run in known if name and run.startswith(name)]
    if len(begun) == 1:
        return folder / begun[0]
    if begun:
        raise ParameterError(
            f"{len(begun)} runs begin with {name!r}",
            expected=_some(begun),
            do="give more of the id",
        )
    within = [run for run in known if name and name in run]
    near = within or difflib.get_close_matches(name[:MAX_NAME], known, n=NEAR, cutoff=0.4) or known
    shown = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..."
    raise ParameterError(
        f"unknown run {shown!r}",
        expected=f"a directory, or one of the {len(known):,} runs in {folder} by the beginning of "
        "its id" + (f": {_some(near)}" if near else ""),
    )


def _some(names: list[str]) -> str:
    more = f", and {len(names) - NEAR:,} more" if len(names) > NEAR else ""
    return ", ".join(names[:NEAR]) + more


def read(name: str | Path) -> Result:
    """A finished run by its id, the beginning of one, or its directory, with its items.

    DataError where they are missing or not as they were saved.
    """
    directory = find(name)
    record = Result.read_record(directory)
    file = directory / ITEMS
    if not record.items_file:
        raise DataError(f"the run in {directory} kept no items", expected=ITEMS)
    listed = record.artefacts.get(ITEMS)
    if listed is None and not file.exists():
        raise DataError(f"{file} can't be read: it is not there", do="run it again")
    if not is_unchanged(directory, ITEMS, listed):
        raise DataError(f"{file} is not as the run's record says", do="run it again")
    return Result.read(directory)
