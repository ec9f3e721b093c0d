"""Figures and tables by name: those of the shared floor and of every task.

A figure or table is a public function whose first argument is `result`, in a module of `display/`
or of a task whose name ends in `figures` or `tables`. Its module is imported when it is first used.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from workbench.core import paths

Kind = Literal["figures", "tables"]


@cache
def homes(kind: Kind) -> dict[str, str]:
    """Name of each figure or table -> the module that has it; ValueError for a name of two."""
    found: dict[str, str] = {}
    for folder in ("display", "tasks/*"):
        for path in sorted(paths.PACKAGE.glob(f"{folder}/*{kind}.py")):
            module = ".".join(("workbench", *path.relative_to(paths.PACKAGE).with_suffix("").parts))
            for name in _shown(path):
                if name in found:
                    raise ValueError(f"{found[name]} and {module} both have {kind} named {name!r}")
                found[name] = module
    return found


def load(kind: Kind, name: str) -> Callable[..., Any]:
    """The function that makes a figure or table; AttributeError, listing all, for another name."""
    if name not in homes(kind):
        known = ", ".join(sorted(homes(kind)))
        raise AttributeError(f"no {kind} are named {name!r}; there are {known}")
    function: Callable[..., Any] = getattr(import_module(homes(kind)[name]), name)
    return function


def _shown(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = node.args.posonlyargs + node.args.args
            if arguments and arguments[0].arg == "result":
                yield node.name
