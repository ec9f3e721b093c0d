"""Where things lie. Each folder can be moved by one environment variable, read at each call.

A relative folder in such a variable is one of the folder in which the command line was started:
`make_absolute` sees to it once, so that kernels, which work in `notebooks/`, find the same. A
kernel that something else has started, such as a JupyterLab of one's own, takes it from the
project's root.
"""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
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
