"""Figures and tables by name: those of the shared floor and of every task.

A figure or table is a public function whose first argument is `result`, in a module of `display/`
or of a task whose name ends in `figures` or `tables`. Its module is imported when it is first used.
"""

import ast
import difflib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from workbench.core import arguments, paths
from workbench.core.errors import ParameterError, WorkbenchError
from workbench.record import runs
from workbench.record.result import Result

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


class UnknownNameError(ParameterError, AttributeError):
    """A figure or table that there is not: `hasattr` is to see it as a missing attribute."""


def load(kind: Kind, name: str) -> Callable[..., Any]:
    """The function that makes a figure or table; an AttributeError, listing all, for another name.

    Its first argument may be a run's id or directory. ParameterError for anything else than a
    result, and for that of a task which has no such figure or table.
    """
    if name not in homes(kind):
        known = sorted(homes(kind))
        near = difflib.get_close_matches(name, known, n=1)
        raise UnknownNameError(
            f"wb.{kind} has no {name!r}",
            expected=f"one of {', '.join(known)}",
            do=f"did you mean wb.{kind}.{near[0]}?" if near else "",
        )
    function: Callable[..., Any] = getattr(import_module(homes(kind)[name]), name)

    @wraps(function)
    def checked(result: Any, *arguments: Any, **options: Any) -> Any:
        found = _result(result, f"wb.{kind}.{name}")
        own = of_task(kind, found.task)
        if own and name not in own and not _may_show(homes(kind)[name], found):
            raise _nothing(kind, name, found.task)
        inspect.signature(function).bind(found, *arguments, **options)
        try:
            return function(found, *arguments, **options)
        except Exception as error:
            if name in own or isinstance(error, WorkbenchError):
                raise
            raise _nothing(kind, name, found.task) from error

    return checked


def _may_show(module: str, result: Result) -> bool:
    """Whether a shared module, or that of a task whose items are of the same kind."""
    _, floor, task, *_ = module.split(".")
    if floor != "tasks":
        return True
    config = import_module(f"workbench.tasks.{task}.config").Config
    return task == result.task or config.main_measure == result.main_measure


def _nothing(kind: Kind, name: str, task: str) -> ParameterError:
    return ParameterError(
        f"wb.{kind}.{name} has nothing to show of a result of the task {task}",
        expected=f"one of its {kind}: {', '.join(of_task(kind, task))}",
    )


def of_task(kind: Kind, task: str) -> list[str]:
    """The figures or tables that the notebooks of a task show, in the order of the alphabet."""
    texts = (path.read_text(encoding="utf-8") for path in paths.notebooks_of(task))
    shown = {name for text in texts for name in re.findall(rf"wb\.{kind}\.(\w+)\(", text)}
    return sorted(shown & homes(kind).keys())


def _result(given: Any, name: str) -> Result:
    """The result that is meant: itself, or that of a run by its id or directory."""
    if isinstance(given, str | Path):
        return runs.read(given)
    if not isinstance(given, Result):
        raise ParameterError(
            f"the result given to {name} is {arguments.shown(given)}",
            expected="a result, as wb.run gives it, or a finished run's id or directory",
            do="give the result first, such as wb.read(run)",
        )
    return given


def _shown(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = node.args.posonlyargs + node.args.args
            if arguments and arguments[0].arg == "result":
                yield node.name
