"""Where things lie. Each folder can be moved by one environment variable, read at each call."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
NOTEBOOKS = ROOT / "notebooks"
SUITES = ROOT / "suites"
SEARCHES = SUITES / "searches"
FIXTURES = ROOT / "data" / "fixtures"


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
