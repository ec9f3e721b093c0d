"""Tasks by name: each folder here is one, with a `config.py` and a `run.py`.

`config.py` has `Config` and `SMOKE`, and loads no torch: plans and the command line read no more.
`run.py` has `load_data`, `load_model` and `run`.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from workbench.core.errors import ParameterError

TASKS: dict[str, ModuleType] = {
    file.parent.name: import_module(f"{__name__}.{file.parent.name}.config")
    for file in sorted(Path(__file__).parent.glob("*/config.py"))
}
"""Name -> the task's module `config`."""


def find(name: str) -> ModuleType:
    """The module `config` of a task; ParameterError listing the known ones if there is none."""
    if name not in TASKS:
        raise ParameterError(f"unknown task {name!r}", expected=f"one of {', '.join(TASKS)}")
    module = TASKS[name]
    if module.Config.task != name:
        # Else the five calls would quietly go to the other task.
        raise ParameterError(
            f"the Config of {module.__name__} has the task {module.Config.task!r}",
            expected=f"task: ClassVar[str] = {name!r}",
        )
    return module


def load(name: str) -> ModuleType:
    """The module `run` of a task; ParameterError listing the known ones if there is none."""
    find(name)
    return import_module(f"{__name__}.{name}.run")
