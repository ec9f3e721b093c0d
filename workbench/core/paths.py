"""Where things lie. Each folder can be moved by one environment variable, read at each call.

A relative folder in such a variable is one of the folder in which the command line was started:
`make_absolute` sees to it once, so that kernels, which work in `notebooks/`, find the same. A
kernel that something else has started, such as a JupyterLab of one's own, takes it from the
project's root.
"""

import json
import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
NOTEBOOKS = ROOT / "notebooks"
SUITES = ROOT / "suites"
SEARCHES = SUITES / "searches"
FIXTURES = ROOT / "data" / "fixtures"
FOLDERS = ("WORKBENCH_RAW", "WORKBENCH_REPORTS", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME")
"""Variables with a folder; `WORKBENCH_DATA` may have several."""


def make_absolute() -> None:
    """Make folders in environment variables absolute, for this process and those it starts."""
    for name in FOLDERS:
        if folder := os.environ.get(name):
            os.environ[name] = str(_absolute(folder, Path.cwd()))
    if listed := os.environ.get("WORKBENCH_DATA"):
        folders = (_absolute(folder, Path.cwd()) for folder in listed.split(os.pathsep) if folder)
        os.environ["WORKBENCH_DATA"] = os.pathsep.join(map(str, folders))


def _absolute(folder: str, start: Path) -> Path:
    # os.path's leaves a ~ of an unknown user as it is, where Path's raises.
    return (start / os.path.expanduser(folder)).resolve()  # noqa: PTH111


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


def notebooks_of(task: str) -> list[Path]:
    """The project's notebooks that start a task."""
    call = json.dumps(f'wb.start("{task}"')[1:-1]
    every = sorted(NOTEBOOKS.glob("*.ipynb"))
    return [path for path in every if call in path.read_text(encoding="utf-8", errors="replace")]


def raw() -> Path:
    """Folder of unpacked assets (`WORKBENCH_RAW`, default `data/raw`)."""
    return _absolute(os.environ.get("WORKBENCH_RAW") or "data/raw", ROOT)


def processed() -> Path:
    """Folder of what was made from raw assets and can be made again, beside theirs."""
    return raw().parent / "processed"


def own_data() -> list[Path]:
    """Folders in which relative paths are looked for after the project's (`WORKBENCH_DATA`)."""
    listed = os.environ.get("WORKBENCH_DATA", "").split(os.pathsep)
    return [_absolute(folder, ROOT) for folder in listed if folder]


def reports() -> Path:
    """Folder of runs and their index (`WORKBENCH_REPORTS`, default `reports`)."""
    return _absolute(os.environ.get("WORKBENCH_REPORTS") or "reports", ROOT)
