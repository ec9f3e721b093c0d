"""Where things lie. Each folder can be moved by one environment variable, read at each call."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
NOTEBOOKS = ROOT / "notebooks"
SUITES = ROOT / "suites"
SEARCHES = SUITES / "searches"
FIXTURES = ROOT / "data" / "fixtures"
SHELL = "WORKBENCH_SHELL"
"""Variable that names the shell's folder: the command line sets it, and kernels inherit it."""


def shell() -> Path:
    """Folder in which the command was called; without a command, the process's own folder."""
    return Path(os.environ.get(SHELL) or Path.cwd())


def places() -> dict[str, Path]:
    """Where a relative path is looked for, in this order: a folder's name in words -> folder.

    Beside the notebook, in the shell's folder, in the project, and in the folders of the
    environment variable WORKBENCH_DATA. A command and the kernels that it starts give the same.
    """
    here = Path.cwd()
    # A command runs notebooks of the project; a kernel's own folder is its notebook's.
    command = os.environ.get(SHELL) and here == shell()
    found = {
        "beside the notebook": NOTEBOOKS if command else here,
        "in the shell's folder": shell(),
        "in the project": ROOT,
    }
    return found | {f"in WORKBENCH_DATA ({n})": one for n, one in enumerate(own_data(), 1)}


def find(name: str) -> tuple[str, Path] | None:
    """The first file or folder that a path means, and in which of the `places` it lies."""
    if not name.strip():
        return None
    try:
        path = Path(name).expanduser()
        found = (
            (place, (folder / path).resolve())
            for place, folder in ({"": path} if path.is_absolute() else places()).items()
        )
        return next(((place, each) for place, each in found if each.exists()), None)
    except (OSError, RuntimeError, ValueError):  # too long, no such user's home, or a zero byte
        return None


def raw() -> Path:
    """Folder of unpacked assets (`WORKBENCH_RAW`, default `data/raw`)."""
    return Path(os.environ.get("WORKBENCH_RAW") or ROOT / "data" / "raw").resolve()


def processed() -> Path:
    """Folder of what was made from raw assets and can be made again, beside theirs."""
    return raw().parent / "processed"


def own_data() -> list[Path]:
    """Folders in which relative paths are looked for after the project's (`WORKBENCH_DATA`)."""
    listed = os.environ.get("WORKBENCH_DATA", "").split(os.pathsep)
    return [Path(folder).expanduser().resolve() for folder in listed if folder]


def reports() -> Path:
    """Folder of runs and their index (`WORKBENCH_REPORTS`, default `reports`)."""
    return Path(os.environ.get("WORKBENCH_REPORTS") or ROOT / "reports").resolve()
