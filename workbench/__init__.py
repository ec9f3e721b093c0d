"""A notebook-driven research workbench for large language models.

A notebook makes five calls: `start`, `load_data`, `load_model`, `run`, and `save` on the result.
Cells of your own use blocks: `score`, `generate`, `fit_classifier`, `fit_tagger`, `measure`,
`compare`; and finished runs: `read`, `predict`, `compare_runs`.
Importing this package loads no torch; each name is loaded when it is first used.
"""

from __future__ import annotations  # set-up starts here with whatever Python there is

import importlib
import os
import sys
import warnings
from typing import Any

# Before torch is loaded, which reads it once: threads that wait asleep, not by spinning, which
# beside another busy process keeps a core from the thread that is waited for: training takes over 3
# times as long then, so 1.8 times. On idle cores it takes 12 % longer (benchmarks/README.md). What
# the user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Before nbformat is loaded, whose jsonschema would build a grammar for checking IRIs: more than
# half of the time that any command takes to start, and no notebook is checked for one.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

# tqdm asks for widgets that this project has no use for.
warnings.filterwarnings("ignore", message="IProgress not found")

__version__ = "0.1.0"
_HOME = {
    "Result": "workbench.record.result",
    "WorkbenchError": "workbench.core.errors",
    "compare": "workbench.methods.measures",
    "compare_runs": "workbench.finished",
    "decoder": "workbench.blocks",
    "encoder": "workbench.blocks",
    "figures": "workbench",
    "fit_classifier": "workbench.blocks",
    "fit_tagger": "workbench.blocks",
    "generate": "workbench.blocks",
    "load_data": "workbench.flow",
    "load_model": "workbench.flow",
    "measure": "workbench.methods.measures",
    "predict": "workbench.finished",
    "read": "workbench.finished",
    "run": "workbench.flow",
    "score": "workbench.blocks",
    "start": "workbench.flow",
    "tables": "workbench",
}
__all__ = sorted(_HOME)  # noqa: PLE0605  one list, so that it can't drift


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    if _HOME[name] == "workbench":
        return importlib.import_module(f"workbench.{name}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
