"""A notebook-driven research workbench for large language models.

A notebook makes five calls: `start`, `load_data`, `load_model`, `run`, and `save` on the result.
Importing this package loads no torch; each name is loaded when it is first used.
"""

from __future__ import annotations  # set-up starts here with whatever Python there is

import importlib
import os
from typing import Any

# Before torch is loaded, which reads it once: threads that wait asleep, not by spinning, which
# beside another busy process keeps a core from the thread that is waited for. What it costs on idle
# cores is to be measured by benchmarks/busy_core.py. What the user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
_HOME = {
    "Config": "workbench.core.config",
    "Result": "workbench.record.result",
    "WorkbenchError": "workbench.core.errors",
    "figures": "workbench",
    "load_data": "workbench.flow",
    "load_model": "workbench.flow",
    "run": "workbench.flow",
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
